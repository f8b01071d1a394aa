"""Edits per channel, not per message: several answers in one channel share its budget fairly."""

from __future__ import annotations

from bot.clock import Clock
from bot.limits import EDIT_INTERVAL_S, PACER_LANES_MAX


class ChannelPacer:
    """Gives out moments at which an edit may start, at least `interval_s` apart per lane.

    Discord counts edits per channel (5 in 5 s), and the request that empties the bucket blocks
    inside discord.py until it refills. A writer asks for one moment at a time and sends the newest
    text when it comes, so writers in one lane take turns, and nobody ever waits for more than one
    round. A lane is a channel id, or an interaction id (its webhook has its own bucket).
    """

    def __init__(self, clock: Clock, *, interval_s: float = EDIT_INTERVAL_S) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._next_s: dict[int, float] = {}

    async def turn(self, lane: int) -> None:
        """Wait for this lane's next moment; callers are served in the order they came."""
        now_s = self._clock.monotonic_s()
        self._forget_idle(now_s)
        at_s = max(now_s, self._next_s.get(lane, now_s))
        self._next_s[lane] = at_s + self._interval_s
        if at_s > now_s:
            await self._clock.sleep(at_s - now_s)

    def _forget_idle(self, now_s: float) -> None:
        if len(self._next_s) < PACER_LANES_MAX:
            return
        self._next_s = {lane: at_s for lane, at_s in self._next_s.items() if at_s > now_s}
