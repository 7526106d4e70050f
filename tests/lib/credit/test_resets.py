"""Reset times in people's words: stated, never in the past, never guessed."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trinity import clock
from trinity.credit.resets import parse_reset

FRIDAY = "2026-11-20T09:22:20Z"

STATED = [
    ("You've hit your session limit · resets 10:22am (UTC)", FRIDAY, "2026-11-20T10:22:59Z"),
    ("You've hit your weekly limit · resets Nov 23, 9:24am (UTC)", FRIDAY, "2026-11-23T09:24:59Z"),
    ("resets 3pm (America/New_York)", FRIDAY, "2026-11-20T20:00:59Z"),
    ("resets 3\u202fpm (America/New_York)", FRIDAY, "2026-11-20T20:00:59Z"),
    ("resets at 15:00", FRIDAY, "2026-11-20T15:00:59Z"),
    ("You will regain access on 2026-12-01 at 00:00 UTC.", FRIDAY, "2026-12-01T00:00:59Z"),
    ("try again in 2 hours 5 minutes", FRIDAY, "2026-11-20T11:27:20Z"),
    ("in 2 hours 5 minutes", FRIDAY, "2026-11-20T11:27:20Z"),
    ("available again in 1h30m", FRIDAY, "2026-11-20T10:52:20Z"),
    ("resets in an hour and 10 minutes", FRIDAY, "2026-11-20T10:32:20Z"),
    ("wait 30 seconds and retry", FRIDAY, "2026-11-20T09:22:50Z"),
    ("Retry-After: 30", FRIDAY, "2026-11-20T09:22:50Z"),
    ("tomorrow at 3pm", FRIDAY, "2026-11-21T15:00:59Z"),
    ("resets tomorrow at 3pm (Europe/Berlin)", FRIDAY, "2026-11-21T14:00:59Z"),
    ("Dec 31", FRIDAY, "2026-12-31T00:00:59Z"),
    ("resets Jan 3, 5pm PT", "2026-12-30T09:00:00Z", "2027-01-04T01:00:59Z"),
    ("resets 3 Jan 2027, 17:00 CET", "2026-12-30T09:00:00Z", "2027-01-03T16:00:59Z"),
    ("resets 1am (UTC)", "2026-12-31T23:30:00Z", "2027-01-01T01:00:59Z"),
    ("resets Feb 29, 9am (UTC)", "2028-02-20T09:00:00Z", "2028-02-29T09:00:59Z"),
    ("resets 12am (UTC)", FRIDAY, "2026-11-21T00:00:59Z"),
    ("resets 12pm (UTC)", FRIDAY, "2026-11-20T12:00:59Z"),
    ("resets midnight UTC", FRIDAY, "2026-11-21T00:00:59Z"),
    ("resets Monday 9am UTC", FRIDAY, "2026-11-23T09:00:59Z"),
    ("resets Fri 9am UTC", FRIDAY, "2026-11-27T09:00:59Z"),
    ("resets Fri 10am UTC", FRIDAY, "2026-11-20T10:00:59Z"),
    ("Your limit will reset at 3 p.m. (America/New_York).", FRIDAY, "2026-11-20T20:00:59Z"),
    ("resets 10am (GMT+2)", FRIDAY, "2026-11-21T08:00:59Z"),
    ("resets 12:00 +02:00", FRIDAY, "2026-11-20T10:00:59Z"),
    ("resets 2026-11-21T08:00:30Z", FRIDAY, "2026-11-21T08:00:30Z"),
    ("resets 2026-11-21T08:00:30+01:00", FRIDAY, "2026-11-21T07:00:30Z"),
    ("Claude AI usage limit reached|1795173142", FRIDAY, "2026-11-20T11:12:22Z"),
    (
        "ask your admin at https://example.invalid/5pm · your 5-hour limit resets 10:24am (UTC)",
        FRIDAY,
        "2026-11-20T10:24:59Z",
    ),
    # rounding: the minute that is passing now, and one that has just passed, are now and not tomorrow
    ("resets 9:22am (UTC)", FRIDAY, "2026-11-20T09:22:59Z"),
    ("resets 9:21am (UTC)", FRIDAY, FRIDAY),
    ("resets 9:15am (UTC)", FRIDAY, "2026-11-21T09:15:59Z"),
    # clock changes: 2:30 does not exist on 8 March 2026 in New York, 1:30 is twice on 1 November
    ("resets 2:30am (America/New_York)", "2026-03-08T05:00:00Z", "2026-03-08T07:30:59Z"),
    ("resets 1:30am (America/New_York)", "2026-11-01T04:00:00Z", "2026-11-01T06:30:59Z"),
    ("resets 1:30am (America/New_York)", "2026-11-01T06:00:00Z", "2026-11-01T06:30:59Z"),
]


@pytest.mark.parametrize(("text", "seen_at", "expected"), STATED)
def test_a_stated_reset_is_found(text: str, seen_at: str, expected: str) -> None:
    found = parse_reset(text, clock.parse(seen_at), "UTC")
    assert found is not None
    assert clock.iso(found) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Please try again later.",
        "API Error: 529 Overloaded. This is usually temporary — try again in a moment.",
        "Your limit resets next month.",
        "resets soon",
        "resets 13pm (UTC)",
        "resets 25:00 (UTC)",
        "resets 0:30pm (UTC)",
        "resets Feb 30, 9am (UTC)",
        "resets 3/4 at 5pm (UTC)",
        "resets 3pm (Mars/Base)",
        "resets 3pm (XYZ)",
        "resets in 90 days",
        "resets today",
        "resets today at 7am (UTC)",
        "resets Nov 19, 9am (UTC)",
        "resets Nov 19, 2025, 9am (UTC)",
        "You will regain access on 2025-12-01 at 00:00 UTC.",
        "at 9:30am we met and it is a very long story that says nothing about any limit at all, truly",
        "Claude AI usage limit reached|1595173142",
        "API Error: 400 messages.12: tool 14:22 failed (request id req_1795173142, model sent: x-5-1) and more text",
    ],
)
def test_what_is_not_stated_is_not_guessed(text: str) -> None:
    assert parse_reset(text, clock.parse(FRIDAY), "UTC") is None


def test_a_time_without_a_zone_is_in_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    if not hasattr(time, "tzset"):  # Windows takes no zone from the environment: there the answer is only near
        found = parse_reset("resets 3pm", clock.parse(FRIDAY))
        assert found is not None and 0 <= found - clock.parse(FRIDAY) <= 86460
        return
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        found = parse_reset("resets 3pm", clock.parse(FRIDAY))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found is not None and clock.iso(found) == "2026-11-20T20:00:59Z"


ZONES = sorted(
    name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith(("Etc", "System"))
)
MOMENTS = st.integers(min_value=1_700_000_000, max_value=2_000_000_000)


def _shown(moment: float, zone: str, dated: bool) -> str:
    """A reset as the client writes it: seconds cut off, minutes only when there are any."""
    local = datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone))
    hour = local.hour % 12 or 12
    minutes = f":{local.minute:02d}" if local.minute else ""
    day = f"{local.strftime('%b')} {local.day}, " if dated else ""
    return f"You've hit your limit · resets {day}{hour}{minutes}{'pm' if local.hour >= 12 else 'am'} ({zone})"


@settings(deadline=None, max_examples=150)
@given(MOMENTS, st.sampled_from(ZONES), st.integers(min_value=0, max_value=20 * 3600), st.booleans())
def test_a_reset_that_the_client_shows_is_read_back_in_every_zone(
    seen_at: int, zone: str, ahead: int, dated: bool
) -> None:
    reset = seen_at + ahead
    found = parse_reset(_shown(reset, zone, dated), seen_at)
    assert found is not None
    assert found >= seen_at
    # Never too early; late by less than the minute that was cut off, or by the hour that a clock change repeats.
    late = found - reset
    assert 0 <= late < 60 or (_clock_changes(reset, zone) and 0 <= late <= 2 * 3600 + 60)


def _clock_changes(moment: int, zone: str) -> bool:
    info = zoneinfo.ZoneInfo(zone)
    around = [datetime.fromtimestamp(moment + hours * 3600, info).utcoffset() for hours in (-3, 0, 3)]
    return len(set(around)) > 1


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=200), MOMENTS, st.sampled_from(ZONES))
def test_no_text_raises_or_names_the_past(text: str, seen_at: int, zone: str) -> None:
    found = parse_reset("resets " + text, seen_at, zone)
    assert found is None or found >= seen_at


WORDS = """
    resets in at on 3pm 15:00 tomorrow Monday Nov 23, 31 Feb (UTC) (Europe/Berlin) +02:00 -12 2 hours 99 days 2026-11-23
    12am Dec noon 1795173142 | · . 1h 00:60 24:00 until today
"""


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.sampled_from(WORDS.split()),
        max_size=7,
    ),
    MOMENTS,
)
def test_no_order_of_time_words_raises_or_names_the_past(words: list[str], seen_at: int) -> None:
    found = parse_reset(" ".join(["resets", *words]), seen_at, UTC)
    assert found is None or found >= seen_at


def test_the_day_of_a_time_is_that_of_its_own_zone() -> None:
    seen_at = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # already Saturday in Tokyo
    found = parse_reset("resets tomorrow at 9am (Asia/Tokyo)", seen_at.timestamp())
    expected = datetime(2026, 11, 22, 9, 0, 59, tzinfo=zoneinfo.ZoneInfo("Asia/Tokyo"))
    assert found == expected.timestamp()
    assert expected - seen_at < timedelta(days=2)
