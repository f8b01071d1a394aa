"""S-13, kept beside the bot's breakers: when a provider must be left alone, and new orders refused.

It asks for less than the bot promises, so that what was under way already may end.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.books import News
from tests.simulation.faults import Fault
from tests.simulation.invariants import Moment, invariant
from tests.simulation.witness import Departure

DOUBTS_MAX = 3
DOUBTS_S = 60.0
PAUSE_S = 30.0
UNDER_WAY_S = 10.0
"""What was let through before may still leave, or be accepted, for so long."""
_CLOSED = frozenset({Fault.BAD_KEY, Fault.NO_BALANCE, Fault.BAD_ADDRESS})


class Pauses:
    """What one process was told: answers that leave doubt, and refusals of the account."""

    def __init__(self) -> None:
        self._doubts_s: list[float] = []
        self.since_s: float | None = None
        """When the third doubt within a minute came."""
        self.closed_s: float | None = None
        """Since when the account is refused; None after the next look at it."""

    def told(self, leaving: Departure, *, is_unknown: bool, now_s: float) -> None:
        """The answer to a create was read."""
        if leaving.fault in _CLOSED:
            self.closed_s = now_s if self.closed_s is None else self.closed_s
        if leaving.fault in _CLOSED or leaving.fault is Fault.ENVELOPE_REFUSED:
            # One of its codes says that the credits are used up: a pause that a look may end.
            self._doubts_s.clear()
            self.since_s = None
        # What had left before the pause tells nothing new about what came after it.
        is_old = self.since_s is not None and leaving.at_s <= self.since_s
        if not is_unknown or is_old or self.closed_s is not None or self.is_paused(now_s):
            return
        self._doubts_s = [*self._doubts_s, now_s][-DOUBTS_MAX:]
        if len(self._doubts_s) == DOUBTS_MAX and now_s - self._doubts_s[0] <= DOUBTS_S:
            self.since_s = now_s
            self._doubts_s.clear()

    def probed(self) -> None:
        """The account was looked at, and is good."""
        self.closed_s = None

    def is_paused(self, now_s: float) -> bool:
        return self.since_s is not None and now_s < self.since_s + PAUSE_S


@invariant("S-13", "after three doubts in a minute no create leaves for a while", Moment.NOW)
def left_alone(pauses: Pauses, leaving: Departure) -> Iterator[str]:
    since_s = pauses.since_s
    if since_s is not None and UNDER_WAY_S < leaving.at_s - since_s < PAUSE_S - 1.0:
        yield f"{leaving.reference}: a create {leaving.at_s - since_s:.0f} s after the third doubt"


@invariant("S-13", "while the account is refused nobody's order is accepted", Moment.NOW)
def refused(pauses: Pauses, news: News, now_s: float) -> Iterator[str]:
    since_s = pauses.closed_s
    if since_s is None or now_s - since_s < UNDER_WAY_S:
        return
    for old, job in news.jobs:
        if old is None:
            yield f"job {job.id}: accepted {now_s - since_s:.0f} s after the account was refused"
