"""Days in time zones."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.windows import day_window

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


def us(*when: int, zone: str = "UTC") -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000  # type: ignore[arg-type,misc] # a tuple of ints is year, month, day, …


@given(
    now_us=st.integers(min_value=us(2000, 1, 1), max_value=us(2037, 12, 31)),
    zone=st.sampled_from(ZONES),
)
def test_a_moment_lies_in_its_day_and_days_touch(now_us: int, zone: str) -> None:
    """No gap, no overlap, never longer than 25 hours, never without length."""
    starts_us, ends_us = day_window(now_us, timezone=zone)
    assert starts_us <= now_us < ends_us
    assert 0 < ends_us - starts_us <= 25 * HOUR_US
    assert day_window(ends_us, timezone=zone)[0] == ends_us
    assert day_window(starts_us, timezone=zone) == (starts_us, ends_us)
    assert day_window(starts_us - 1, timezone=zone)[1] == starts_us


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
    starts_us, ends_us = day_window(us(*moment, zone=zone), timezone=zone)
    assert (ends_us - starts_us) // HOUR_US == hours


def test_utc_needs_no_zone_data() -> None:
    """A bare machine may have none; the default zone must work there."""
    start = datetime(2026, 3, 10, tzinfo=UTC).timestamp() * 1_000_000
    assert day_window(us(2026, 3, 10, 12), timezone="UTC")[0] == start


def test_an_unknown_zone_is_an_error() -> None:
    """The settings check it first; nothing is guessed here."""
    with pytest.raises(ZoneInfoNotFoundError):
        day_window(0, timezone="Mars/Olympus")
