"""Our entries go into a profile's settings and come out again; whatever else is in there is the user's."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from trinity import home as homes
from trinity.errors import TrinityError
from trinity.hooks import registry
from trinity.setup import profiles, registration, settings_file
from trinity.setup.registration import Registration

FOREIGN = {"type": "command", "command": "echo foreign", "timeout": 3, "unknown": [1]}
BEFORE = {
    "model": "opus",
    "hooks": {
        "Stop": [{"hooks": [FOREIGN]}, {"matcher": "x", "hooks": []}],
        "PreToolUse": [{"matcher": "Bash", "hooks": [FOREIGN, {**FOREIGN, "command": "python3 hooks/stop.py"}]}],
        "Setup": [],
    },
    "statusLine": {"type": "command", "command": 'date "+%H é"', "padding": 2},
    "env": {"A": "ü"},
}
TEXTS = {
    "absent": None,
    "empty": b"",
    "an object": b"{}",
    "two spaces": json.dumps(BEFORE, indent=2, ensure_ascii=False).encode() + b"\n",
    "tabs without a last newline": json.dumps(BEFORE, indent="\t").encode(),
    "one line": json.dumps(BEFORE, separators=(",", ":")).encode(),
    "windows": json.dumps(BEFORE, indent=4).replace("\n", "\r\n").encode(),
    "an odd hand": b'{ "model" :"opus",\n      "hooks":{ }}\n\n\n',
}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return tmp_path / "user" / ".claude"


@pytest.fixture
def made(home: homes.Home) -> Registration:
    return Registration("/usr/bin/python3.11", "/opt/trinity/hooks", str(home.root))


def settings(profile: Path) -> dict[str, Any]:
    return dict(json.loads((profile / "settings.json").read_bytes().decode("utf-8-sig")))


def put(profile: Path, data: bytes | None) -> None:
    profile.mkdir(parents=True, exist_ok=True)
    if data is not None:
        (profile / "settings.json").write_bytes(data)


@pytest.mark.parametrize("data", TEXTS.values(), ids=TEXTS.keys())
def test_uninstall_gives_the_file_back_byte_for_byte(
    data: bytes | None, home: homes.Home, profile: Path, made: Registration
) -> None:
    put(profile, data)
    assert profiles.register(home, profile, made)
    assert not profiles.register(home, profile, made)
    assert registration.registered(settings_file.read(profile), profile, made)
    profiles.withdraw(home, profile)
    assert sorted(path.name for path in profile.iterdir()) == ([] if data is None else ["settings.json"])
    assert data is None or (profile / "settings.json").read_bytes() == data
    assert not profiles.known(home)
    assert not list((home.root / "registered").iterdir()) and not list(home.status_line.iterdir())


def test_a_profile_that_was_not_there_is_gone_afterwards(home: homes.Home, profile: Path, made: Registration) -> None:
    profiles.register(home, profile, made)
    assert (profile / "settings.json").stat().st_mode & 0o077 == 0
    profiles.withdraw(home, profile)
    assert not profile.exists()


def test_every_hook_of_the_table_is_there_and_every_foreign_one(
    home: homes.Home, profile: Path, made: Registration
) -> None:
    put(profile, TEXTS["two spaces"])
    profiles.register(home, profile, made)
    now = settings(profile)
    assert registration.without(now, BEFORE["statusLine"]) == BEFORE  # type: ignore[arg-type]
    for hook in registry.HOOKS:
        (group,) = [g for g in now["hooks"][hook.event] if any(registration.ours(h) for h in g["hooks"])]
        (entry,) = group["hooks"]
        assert entry["managedBy"] == "trinity" and isinstance(entry["timeout"], int)
        assert entry["args"][-1] == str(home.root)
        assert any(part.startswith("/opt/trinity/hooks/") for part in entry["args"])
    assert list(now) == list(BEFORE)


def test_the_status_line_from_before_is_kept_to_be_called_and_its_place_too(
    home: homes.Home, profile: Path, made: Registration
) -> None:
    put(profile, TEXTS["two spaces"])
    profiles.register(home, profile, made)
    line = settings(profile)["statusLine"]
    assert "statusline.py" in line["command"] and line["padding"] == 2
    kept = home.status_line / f"previous-{registry.profile_key(str(profile))}"
    assert kept.read_text(encoding="utf-8") == 'date "+%H é"'


def test_the_plugin_finds_the_mark_of_the_registration(home: homes.Home, profile: Path, made: Registration) -> None:
    put(profile, None)
    profiles.register(home, profile, made)
    mark = (home.root / "registered" / registry.profile_key(str(profile))).read_bytes().strip()
    assert mark and mark in (profile / "settings.json").read_bytes()


def test_there_is_a_backup_from_before_the_first_change(home: homes.Home, profile: Path, made: Registration) -> None:
    put(profile, TEXTS["windows"])
    profiles.register(home, profile, made)
    profiles.register(home, profile, Registration("/other/python", made.hooks, made.home))
    assert (profile / profiles.BACKUP).read_bytes() == TEXTS["windows"]


def test_what_others_changed_since_stays(home: homes.Home, profile: Path, made: Registration) -> None:
    put(profile, TEXTS["two spaces"])
    profiles.register(home, profile, made)
    now = settings(profile)
    now["model"] = "sonnet"
    now["hooks"]["Stop"].append({"hooks": [{"type": "command", "command": "later"}]})
    (profile / "settings.json").write_text(json.dumps(now), encoding="utf-8")
    profiles.withdraw(home, profile)
    expected = json.loads(json.dumps(BEFORE))
    expected["model"] = "sonnet"
    expected["hooks"]["Stop"].append({"hooks": [{"type": "command", "command": "later"}]})
    assert settings(profile) == expected


def test_a_change_before_a_second_install_is_part_of_what_comes_back(
    home: homes.Home, profile: Path, made: Registration
) -> None:
    put(profile, TEXTS["two spaces"])
    profiles.register(home, profile, made)
    now = settings(profile)
    now["model"] = "sonnet"
    (profile / "settings.json").write_text(json.dumps(now, indent=2), encoding="utf-8")
    assert profiles.register(home, profile, Registration("/newer/python", made.hooks, made.home))
    profiles.withdraw(home, profile)
    assert settings(profile) == {**BEFORE, "model": "sonnet"}


def test_a_client_that_writes_the_same_settings_anew_changes_nothing(
    home: homes.Home, profile: Path, made: Registration
) -> None:
    put(profile, TEXTS["an odd hand"])
    profiles.register(home, profile, made)
    (profile / "settings.json").write_text(json.dumps(settings(profile)), encoding="utf-8")
    profiles.withdraw(home, profile)
    assert json.loads((profile / "settings.json").read_bytes()).get("model") == "opus"
    assert "trinity" not in (profile / "settings.json").read_text(encoding="utf-8")


def test_an_entry_that_lost_its_mark_is_known_by_what_it_runs(
    home: homes.Home, profile: Path, made: Registration
) -> None:
    put(profile, b"{}\n")
    profiles.register(home, profile, made)
    text = (profile / "settings.json").read_text(encoding="utf-8")
    stripped = json.loads(text, object_hook=lambda found: {k: v for k, v in found.items() if k != "managedBy"})
    (profile / "settings.json").write_text(json.dumps(stripped), encoding="utf-8")
    assert registration.registered(settings_file.read(profile), profile, made)
    profiles.withdraw(home, profile)
    assert settings(profile) == {}


def test_a_status_line_that_somebody_set_since_is_kept(home: homes.Home, profile: Path, made: Registration) -> None:
    put(profile, TEXTS["two spaces"])
    profiles.register(home, profile, made)
    theirs = {"type": "command", "command": "their own"}
    (profile / "settings.json").write_text(json.dumps({**settings(profile), "statusLine": theirs}), encoding="utf-8")
    profiles.withdraw(home, profile)
    assert settings(profile)["statusLine"] == theirs


def test_a_crash_before_the_settings_were_written_leaves_them_and_is_repeated(
    home: homes.Home, profile: Path, made: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(profile, TEXTS["windows"])
    with monkeypatch.context() as patch:
        patch.setattr(settings_file, "write", lambda settings, data: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            profiles.register(home, profile, made)
    assert (profile / "settings.json").read_bytes() == TEXTS["windows"]
    assert profiles.register(home, profile, made)
    profiles.withdraw(home, profile)
    assert (profile / "settings.json").read_bytes() == TEXTS["windows"]


def test_settings_that_switch_hooks_off_are_refused_untouched(
    home: homes.Home, profile: Path, made: Registration
) -> None:
    put(profile, b'{"disableAllHooks": true}')
    with pytest.raises(TrinityError, match="disableAllHooks") as raised:
        profiles.register(home, profile, made)
    assert "--no-hooks" in raised.value.hint
    assert (profile / "settings.json").read_bytes() == b'{"disableAllHooks": true}'
    assert not profiles.known(home)


@pytest.mark.parametrize("name", ["allowManagedHooksOnly", "disableAllHooks"])
def test_an_organisation_that_allows_no_hooks_of_users_is_named(
    name: str, home: homes.Home, profile: Path, made: Registration, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "managed" / "managed-settings.d" / "10.json"
    policy.parent.mkdir(parents=True)
    policy.write_text(json.dumps({name: True}), encoding="utf-8")
    monkeypatch.setattr(registration, "_MANAGED", str(tmp_path / "managed"))
    with pytest.raises(TrinityError, match=name):
        profiles.register(home, profile, made)


def test_a_profile_that_reports_to_another_state_folder_is_left_to_it(
    home: homes.Home, profile: Path, made: Registration, tmp_path: Path
) -> None:
    put(profile, TEXTS["two spaces"])
    profiles.register(home, profile, made)
    other = homes.open_home(tmp_path / "other", create=True)
    elsewhere = Registration(made.python, made.hooks, str(other.root))
    with pytest.raises(TrinityError, match="report to") as raised:
        profiles.register(other, profile, elsewhere)
    assert "--uninstall" in raised.value.hint
    profiles.withdraw(home, profile)
    assert profiles.register(other, profile, elsewhere)
    profiles.withdraw(other, profile)
    assert (profile / "settings.json").read_bytes() == TEXTS["two spaces"]


def test_any_order_of_installs_changes_and_uninstalls_keeps_what_is_foreign(
    home: homes.Home, profile: Path, made: Registration
) -> None:
    """Random walks: after each uninstall the file says what the user last said, and nothing of ours."""
    for seed in range(25):
        dice = random.Random(seed)
        users: dict[str, Any] = json.loads(json.dumps(BEFORE)) if dice.random() < 0.7 else {}
        put(profile, json.dumps(users, indent=dice.choice([None, 2, 4])).encode())
        for step in range(8):
            choice = dice.choice(["install", "upgrade", "change", "withdraw"])
            if choice == "install":
                profiles.register(home, profile, made)
            elif choice == "upgrade":
                profiles.register(home, profile, Registration(f"/python/{step}", made.hooks, made.home))
            elif choice == "change":
                now = settings(profile)
                now["changed"] = users["changed"] = step
                (profile / "settings.json").write_text(json.dumps(now, indent=2), encoding="utf-8")
            else:
                profiles.withdraw(home, profile)
        profiles.withdraw(home, profile)
        assert settings(profile) == users, seed
        (profile / profiles.BACKUP).unlink(missing_ok=True)
