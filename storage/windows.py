"""The day in a time zone, in Unix microseconds. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

US_PER_S = 1_000_000


def day_window(now_us: int, *, timezone: str) -> tuple[int, int]:
    """Start and end of the local day that holds `now_us`.

    A day lasts from the first moment of its date to the first moment of the next one: 23, 24 or
    25 hours. A midnight that daylight saving skips counts as the moment of the skip. Raises
    `zoneinfo.ZoneInfoNotFoundError` for an unknown zone; UTC needs no zone data.
    """
    zone: tzinfo = UTC if timezone == "UTC" else ZoneInfo(timezone)
    today = datetime.fromtimestamp(now_us // US_PER_S, zone).date()
    return _midnight_us(today, zone), _midnight_us(today + timedelta(days=1), zone)


def _midnight_us(day: date, zone: tzinfo) -> int:
    # fold=0: of two midnights the first; of a skipped one the moment of the skip (PEP 495).
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * US_PER_S
