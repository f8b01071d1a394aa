"""Slows a loop of sessions down before Discord resets the token (S-9, F-83)."""

from __future__ import annotations

from bot.clock import Clock
from bot.limits import (
    EARLY_STOPS_MAX,
    EARLY_STOPS_WINDOW_S,
    STABLE_CONNECTION_S,
    START_DELAY_S,
    START_DELAY_S_MAX,
    STARTS_WITHOUT_DELAY,
)
from storage import preferences
from storage.database import Store


class IdentifyPostponed(Exception):
    """A new session must wait; raised through discord.py, which has no way to wait that long."""

    def __init__(self, *, delay_s: float) -> None:
        super().__init__(f"{delay_s:.0f} s")
        self.delay_s = delay_s


class StartGuard:
    """Counts sessions in a row that did not hold, over restarts.

    A start of the process and a new session within it count alike. One is good when its
    connection held for `STABLE_CONNECTION_S`; one that somebody ended before is as if it had not
    been, a few times an hour: a supervisor may ask for the end each minute.
    """

    KEY = "start_guard.failed_starts"
    STOPS_KEY = "start_guard.early_stops"
    """When sessions were ended in order too early, as far as they were forgiven (Unix µs)."""

    def __init__(self, database: Store, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._connected_s: float | None = None
        self._is_good = False
        self._failed_before = 0

    async def next_delay_s(self) -> float:
        """Count this session as failed until it proves good; how long it must wait.

        May raise `StorageError`.
        """
        self._connected_s, self._is_good = None, False
        failed = int(await self._database.read(preferences.get, key=self.KEY) or 0)
        self._failed_before = failed
        await self._put(self.KEY, str(failed + 1))
        if failed <= STARTS_WITHOUT_DELAY:
            return 0.0
        # The exponent is bounded first: thousands of failed starts are no reason to overflow.
        doublings = min(failed - STARTS_WITHOUT_DELAY, 16)
        return min(START_DELAY_S * (1 << doublings), START_DELAY_S_MAX)

    async def look(self, *, is_connected: bool) -> None:
        """Notice, now and then, that the session holds. May raise `StorageError`."""
        now_s = self._clock.monotonic_s()
        if not is_connected:
            self._connected_s = None
        elif self._connected_s is None:
            self._connected_s = now_s
        elif now_s - self._connected_s >= STABLE_CONNECTION_S and not self._is_good:
            await self._put(self.KEY, "0")
            self._is_good = True

    async def note_orderly_stop(self) -> None:
        """The session ends because somebody asked for it. May raise `StorageError`."""
        if self._is_good:
            return
        now_us = self._clock.now_us()
        noted = await self._database.read(preferences.get, key=self.STOPS_KEY) or ""
        window_us = EARLY_STOPS_WINDOW_S * 1_000_000
        # A time to come is of a clock that was set back: it is forgotten as late as any other.
        recent = [us for us in map(int, noted.split()) if abs(now_us - us) < window_us]
        if len(recent) < EARLY_STOPS_MAX:
            # First what is used up: a process that ends in between has counted once too often.
            await self._put(self.STOPS_KEY, " ".join(map(str, [*recent, now_us])))
            await self._put(self.KEY, str(self._failed_before))

    async def _put(self, key: str, value: str) -> None:
        await self._database.transact(
            preferences.put, key=key, value=value, now_us=self._clock.now_us()
        )
