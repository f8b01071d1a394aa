"""When the process ends: at any step of the loop, most often where something is half done."""

from __future__ import annotations

import random

from tests.simulation.loop import VirtualLoop

CRASHES_MAX = 6
GENTLE_SHARE = 0.15
"""Of the ends: by an order, as an update of the container gives it."""
STEPS_MAX = 30
"""A crash at an event comes within so many steps after it."""
_EVENTS = (
    "accept_job",
    "begin_look",
    "begin_submit",
    "bind",
    "callback",
    "claim_work",
    "command",
    "fail",
    "mark_unknown",
    "open_turn",
    "postpone",
    "record_callbacks",
    "record_outcome",
    "record_sent",
    "settle_turn",
    "release_all",
    "requeue",
    "succeed",
)


class Crashes:
    """Plans one crash for each boot until there were enough."""

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        rng: random.Random,
        until_s: float,
        spared: frozenset[int],
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._until_s = until_s
        self._spared = spared
        self._left = rng.randrange(1, CRASHES_MAX + 1)
        self._event: str | None = None
        self._skip = 0
        self._boot = 0
        self.is_gentle = False
        """Whether the end that comes is an order to stop (SIGTERM)."""
        self.done = 0

    def plan(self, boot: int) -> None:
        """Draw how the process that begins now shall end."""
        self._loop.step_of_crash = -1
        self._event, self._boot = None, boot
        draw, skip = self._rng.random(), self._rng.randrange(4)
        event = self._rng.choice(_EVENTS)
        steps = int(2 ** (self._rng.random() * 11))
        delay_s = self._rng.expovariate(6 / self._until_s)
        self.is_gentle = self._rng.random() < GENTLE_SHARE
        if self._left <= 0 or self._loop.now_s >= self._until_s or boot in self._spared:
            return
        self._left -= 1
        # Whatever is planned, it ends at some time: what is waited for may never happen.
        self._loop.outside(delay_s, lambda: self._die_if(boot, min(steps, 200)))
        if draw < 0.1:  # F-17: during the recovery itself
            self._die_in(self._rng.randrange(1, 60))
        elif draw < 0.25:
            self._die_in(steps)
        elif draw < 0.85:
            self._event, self._skip = event, skip

    def happened(self, event: str) -> None:
        """Something was done just now; perhaps it was the last."""
        if event == self._event:
            if self._skip:
                self._skip -= 1
            else:
                self._event = None
                self._die_in(self._rng.randrange(1, STEPS_MAX))

    def die_now(self) -> None:
        """A start that failed ends its process."""
        self.is_gentle = False
        self._die_in(1)

    def stop(self) -> None:
        """No more of them."""
        self._left = 0
        self._event = None
        self._loop.step_of_crash = -1

    def _die_if(self, boot: int, steps: int) -> None:
        is_the_same = self._boot == boot and self._loop.now_s < self._until_s
        if is_the_same and self._loop.step_of_crash < self._loop.steps:
            self._die_in(steps)

    def _die_in(self, steps: int) -> None:
        self._loop.step_of_crash = self._loop.steps + steps
