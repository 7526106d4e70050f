"""Waking a PC that is switched off: the packet as the card wants it, the own command, and never a storm."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from trinity.errors import TrinityError, UsageError
from trinity.fleet import waking
from trinity.home import Home


@pytest.mark.parametrize("mac", ["aa:bb:cc:00:11:22", "AA-BB-CC-00-11-22"])
def test_the_packet_is_six_bytes_ff_and_the_address_sixteen_times(mac: str) -> None:
    assert waking.magic_packet(mac) == b"\xff" * 6 + b"\xaa\xbb\xcc\x00\x11\x22" * 16


@pytest.mark.parametrize("mac", ["", "aa:bb", "aa:bb:cc:00:11:2g", "aabbcc001122", "aa:bb:cc:00:11:22\n"])
def test_what_is_no_address_is_told(mac: str) -> None:
    with pytest.raises(UsageError):
        waking.magic_packet(mac)


def test_it_arrives_by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        card.bind(("127.0.0.1", 0))
        card.settimeout(5)
        waking.send_packet("aa:bb:cc:00:11:22", "127.0.0.1", card.getsockname()[1])
        assert card.recv(200) == waking.magic_packet("aa:bb:cc:00:11:22")


def test_an_address_that_cannot_be_reached_is_told() -> None:
    with pytest.raises(TrinityError, match="cannot send the wake packet"):
        waking.send_packet("aa:bb:cc:00:11:22", "no such host.invalid")


def test_five_wakes_of_one_pc_in_ten_minutes_and_no_more(home: Home) -> None:
    at = 5000.0
    assert [waking.may_wake(home, "PC2", lambda: at) for _ in range(7)] == [True] * 5 + [False] * 2
    assert waking.may_wake(home, "PC3", lambda: at)
    assert not waking.may_wake(home, "PC2", lambda: at + 599)
    assert waking.may_wake(home, "PC2", lambda: at + 600)
    assert waking.may_wake(home, "PC2", lambda: 10.0)  # started anew: its clock began again


def test_the_own_command_is_run_with_the_pcs_name_and_without_a_shell(home: Home, tmp_path: Path) -> None:
    program = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')"
    command = [sys.executable, "-c", program, str(tmp_path / "woken"), "{pc}; rm -rf x"]
    done = waking.rouse(home, {"pcs": {}}, "PC2", command)
    assert done == [f"wake command {sys.executable}"]
    assert (tmp_path / "woken").read_text(encoding="utf-8") == "PC2; rm -rf x\n"
    for _ in range(6):
        waking.rouse(home, {"pcs": {}}, "PC2", command)
    assert (tmp_path / "woken").read_text(encoding="utf-8").count("PC2") == 5


def test_a_command_that_fails_is_told(home: Home) -> None:
    with pytest.raises(TrinityError, match="failed with 3: no switch"):
        waking.run_command(
            [sys.executable, "-c", "import sys; print('no switch', file=sys.stderr); sys.exit(3)"], "PC2"
        )
    with pytest.raises(TrinityError, match="cannot run"):
        waking.run_command(["/nowhere/wake"], "PC2")


def test_a_pc_without_a_way_to_wake_it_is_left_alone(home: Home) -> None:
    assert waking.rouse(home, {"pcs": {"PC2": {}}}, "PC2", []) == []
    packet = {"pcs": {"PC2": {"mac": "aa:bb:cc:00:11:22", "wake_address": "127.0.0.1"}}}
    assert waking.rouse(home, packet, "PC2", []) == ["wake packet to aa:bb:cc:00:11:22"]
