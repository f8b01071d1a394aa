"""Days and months in a time zone, in Unix microseconds. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from storage.types import Span

US_PER_S = 1_000_000


def window(now_us: int, *, span: Span, timezone: str) -> tuple[int, int]:
    """Start and end of the local day or month that holds `now_us`.

    It lasts from the first moment of its first date to the first moment after its last: a day has
    23, 24 or 25 hours. A midnight that daylight saving skips counts as the moment of the skip.
    Raises `zoneinfo.ZoneInfoNotFoundError` for an unknown zone; UTC needs no zone data.
    """
    zone: tzinfo = UTC if timezone == "UTC" else ZoneInfo(timezone)
    first = datetime.fromtimestamp(now_us // US_PER_S, zone).date()
    if span is Span.DAY:
        after = first + timedelta(days=1)
    else:
        first = first.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return _midnight_us(first, zone), _midnight_us(after, zone)


def window_after(
    previous_end_us: int | None, *, now_us: int, span: Span, timezone: str
) -> tuple[int, int]:
    """The window that holds `now_us`, when the one before it ended at `previous_end_us`.

    After a change of zone the two may overlap: the new one then begins where the old one ended,
    and if that leaves the smaller part of it, it lasts to the end of the next. So no change of
    zone brings a second window for the same days.
    """
    starts_us, ends_us = window(now_us, span=span, timezone=timezone)
    if previous_end_us is None or previous_end_us <= starts_us:
        return starts_us, ends_us
    if (ends_us - previous_end_us) * 2 < ends_us - starts_us:
        ends_us = window(ends_us, span=span, timezone=timezone)[1]
    return previous_end_us, ends_us


def _midnight_us(day: date, zone: tzinfo) -> int:
    # fold=0: of two midnights the first; of a skipped one the moment of the skip (PEP 495).
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * US_PER_S
