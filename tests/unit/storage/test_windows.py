"""Days in time zones."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.types import Span
from storage.windows import window, window_after

HOUR_US = 3_600_000_000
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # daylight saving once began at midnight
    "America/Havana",  # and here it ends at 1:00, so that midnight comes twice
    "Asia/Kathmandu",
    "Pacific/Apia",  # skipped 30 December 2011
    "Australia/Lord_Howe",  # half an hour of daylight saving
)


def _day(now_us: int, *, timezone: str) -> tuple[int, int]:
    return window(now_us, span=Span.DAY, timezone=timezone)


def us(*when: int, zone: str = "UTC") -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000  # type: ignore[arg-type,misc] # a tuple of ints is year, month, day, …


@given(
    now_us=st.integers(min_value=us(2000, 1, 1), max_value=us(2037, 12, 31)),
    zone=st.sampled_from(ZONES),
)
def test_a_moment_lies_in_its_day_and_days_touch(now_us: int, zone: str) -> None:
    """No gap, no overlap, never longer than 25 hours, never without length."""
    starts_us, ends_us = _day(now_us, timezone=zone)
    assert starts_us <= now_us < ends_us
    assert 0 < ends_us - starts_us <= 25 * HOUR_US
    assert _day(ends_us, timezone=zone)[0] == ends_us
    assert _day(starts_us, timezone=zone) == (starts_us, ends_us)
    assert _day(starts_us - 1, timezone=zone)[1] == starts_us


@pytest.mark.parametrize(
    ("moment", "zone", "hours"),
    [
        ((2026, 3, 10, 12), "UTC", 24),
        ((2026, 3, 29, 12), "Europe/Berlin", 23),
        ((2026, 10, 25, 12), "Europe/Berlin", 25),
        ((2018, 11, 4, 12), "America/Sao_Paulo", 23),
        ((2026, 11, 1, 12), "America/Havana", 25),
    ],
)
def test_days_of_daylight_saving_are_shorter_or_longer(
    moment: tuple[int, ...], zone: str, hours: int
) -> None:
    """Known days of known zones."""
    starts_us, ends_us = _day(us(*moment, zone=zone), timezone=zone)
    assert (ends_us - starts_us) // HOUR_US == hours


def test_utc_needs_no_zone_data() -> None:
    """A bare machine may have none; the default zone must work there."""
    start = datetime(2026, 3, 10, tzinfo=UTC).timestamp() * 1_000_000
    assert _day(us(2026, 3, 10, 12), timezone="UTC")[0] == start


def test_an_unknown_zone_is_an_error() -> None:
    """The settings check it first; nothing is guessed here."""
    with pytest.raises(ZoneInfoNotFoundError):
        _day(0, timezone="Mars/Olympus")


@pytest.mark.parametrize(
    ("moment", "zone", "days"),
    [
        ((2026, 2, 28, 23), "UTC", 28),
        ((2024, 2, 1, 0), "Asia/Kathmandu", 29),
        ((2026, 3, 31, 23), "Europe/Berlin", 31),
        ((2026, 4, 30, 12), "America/New_York", 30),
        ((2026, 12, 31, 23), "Pacific/Apia", 31),
    ],
)
def test_months_follow_the_calendar(moment: tuple[int, ...], zone: str, days: int) -> None:
    """From the first moment of the first day to that of the next month's, across DST and years."""
    starts_us, ends_us = window(us(*moment, zone=zone), span=Span.MONTH, timezone=zone)
    assert starts_us == us(moment[0], moment[1], 1, zone=zone)
    assert round((ends_us - starts_us) / HOUR_US / 24) == days
    assert window(ends_us, span=Span.MONTH, timezone=zone)[0] == ends_us


@given(
    now_us=st.integers(min_value=us(2000, 1, 1), max_value=us(2037, 12, 31)),
    old=st.sampled_from(ZONES),
    new=st.sampled_from(ZONES),
    span=st.sampled_from(list(Span)),
)
def test_a_change_of_zone_leaves_no_stump(now_us: int, old: str, new: str, span: Span) -> None:
    """The next window begins where the old one ended, and is at least half as long as usual."""
    ended_us = window(now_us, span=span, timezone=old)[1]
    starts_us, ends_us = window_after(ended_us, now_us=ended_us, span=span, timezone=new)
    usual = window(ended_us, span=span, timezone=new)
    assert starts_us == ended_us
    assert ends_us - starts_us >= (usual[1] - usual[0]) / 2
    assert window(ends_us, span=span, timezone=new)[0] == ends_us


def test_without_a_change_of_zone_windows_are_those_of_the_calendar() -> None:
    """Also after a pause, and for the very first one."""
    today = _day(us(2026, 3, 10, 12), timezone="UTC")
    for before in (None, today[0], today[0] - 5):
        assert (
            window_after(before, now_us=us(2026, 3, 10, 12), span=Span.DAY, timezone="UTC") == today
        )
