"""When the process ends: most often around what its jobs and turns do, rarely where nothing is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from tests.simulation.loop import VirtualLoop

CRASHES_MIN, CRASHES_MAX = 3, 7
GENTLE_SHARE = 0.15
"""Of the ends: by an order, as an update of the container gives it."""
STEPS_MAX = 30
"""A crash a little later comes within so many steps after its event."""
RECOVERY_SHARE = 0.06
"""F-17: of the ends, during the recovery itself."""
EARLY_SHARE = 0.15
"""Of the processes: they may end where something begins, when little can get lost."""
EVENTS_WATCHED = 8
"""A process ends at the first of so many kinds of events: each alone may never happen."""
SKIPS = (0, 0, 0, 1, 2)
EARLY = ("accept_job", "open_turn", "create", "record_callbacks")
EVENTS = (
    "adopt_task",
    "begin",
    "begin_again",
    "begin_submit",
    "bind",
    "cancel_job",
    "end_unanswered",
    "fail",
    "late_loss",
    "late_result",
    "made",
    "mark_seen",
    "mark_unknown",
    "record_card",
    "record_outcome",
    "record_sent",
    "requeue",
    "settle_turn",
    "succeed",
    "give_up",
)
"""Transactions of jobs, posts and turns; `create` leaves us, `made` is its effect."""


class Crashes:
    """Plans one crash for each boot until there were enough.

    `is_busy` tells whether a job or a turn is open: an idle process that is killed shows nothing.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        rng: random.Random,
        until_s: float,
        spared: frozenset[int],
        is_busy: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._until_s = until_s
        self._spared = spared
        self._is_busy = is_busy
        self._left = rng.randrange(CRASHES_MIN, CRASHES_MAX + 1)
        self._events: frozenset[str] = frozenset()
        self._is_before = False
        self._steps = 0
        self._skip = 0
        self._boot = 0
        self._last = ""
        self._has_failed = False
        self.is_gentle = False
        """Whether the end that comes is an order to stop (SIGTERM)."""
        self.done = 0
        self.busy = 0
        """How many found an open job or turn."""
        self.deaths: Counter[str] = Counter()
        """By the last transaction of the process; `before …` for one that had not committed."""

    def plan(self, boot: int) -> None:
        """Draw how the process that begins now shall end."""
        rng = self._rng
        self._loop.step_of_crash = -1
        self._events, self._boot, self._last = frozenset(), boot, "start"
        self._has_failed = False
        draw, self._skip = rng.random(), rng.choice(SKIPS)
        events = {*rng.sample(EVENTS, EVENTS_WATCHED)}
        if rng.random() < EARLY_SHARE:
            events.add(rng.choice(EARLY))
        self._is_before = rng.random() < 0.3
        self._steps = self._drawn_steps()
        delay_s = rng.expovariate(20 / self._until_s)
        self.is_gentle = rng.random() < GENTLE_SHARE
        if self._left <= 0 or self._loop.now_s >= self._until_s or boot in self._spared:
            return
        self._left -= 1
        # Whatever is planned, it ends at some time: what is waited for may never happen.
        self._loop.outside(delay_s, lambda: self._die_if(boot))
        if draw < RECOVERY_SHARE:
            self._die_in(rng.randrange(1, 60))
        else:
            self._events = frozenset(events)

    def _drawn_steps(self) -> int:
        """At once, a little later, or at any await."""
        draw = self._rng.random()
        if draw < 0.4:
            return 1
        if draw < 0.7:
            return self._rng.randrange(1, STEPS_MAX)
        return int(2 ** (self._rng.random() * 10))

    def begins(self, event: str) -> None:
        """A transaction is asked for, and nothing of it is done."""
        self._last = f"before {event}"
        if self._is_before:
            self._strike(event, steps=1)

    def committed(self, event: str) -> None:
        """A transaction is done."""
        self._last = event
        self.happened(event)

    def happened(self, event: str) -> None:
        """Something was done just now; perhaps it was the last."""
        if not self._is_before or event in {"create", "made"}:
            self._strike(event, steps=self._steps)

    def _strike(self, event: str, *, steps: int) -> None:
        if event not in self._events:
            return
        if self._skip:
            self._skip -= 1
            return
        self._events = frozenset()
        self._die_in(steps)

    def died(self) -> None:
        """Count a process that was killed; one that could not start has ended by itself."""
        if self._has_failed:
            return
        self.done += 1
        self.busy += self._is_busy()
        self.deaths[self._last] += 1

    def die_now(self) -> None:
        """A start that failed ends its process."""
        self.is_gentle = False
        self._left += not self._has_failed
        self._has_failed = True
        self._die_in(1)

    def stop(self) -> None:
        """No more of them."""
        self._left = 0
        self._events = frozenset()
        self._loop.step_of_crash = -1

    def _die_if(self, boot: int) -> None:
        """Time is over: where something is open, or as soon as anything is done."""
        is_the_same = self._boot == boot and self._loop.now_s < self._until_s
        if not is_the_same or self._loop.step_of_crash >= self._loop.steps:
            return
        self._events, self._skip = frozenset(EVENTS), 0
        if self._is_busy():
            self._die_in(self._steps)

    def _die_in(self, steps: int) -> None:
        self._loop.step_of_crash = self._loop.steps + steps
