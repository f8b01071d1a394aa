"""Slows a loop of sessions down before Discord resets the token (S-9, F-83)."""

from __future__ import annotations

from bot.clock import Clock
from bot.limits import (
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
    connection held for `STABLE_CONNECTION_S`, or when it ended because somebody asked it to.
    """

    KEY = "start_guard.failed_starts"

    def __init__(self, database: Store, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._connected_s: float | None = None
        self._is_good = False

    async def next_delay_s(self) -> float:
        """Count this session as failed until it proves good; how long it must wait.

        May raise `StorageError`.
        """
        self._connected_s, self._is_good = None, False
        failed = int(await self._database.read(preferences.get, key=self.KEY) or 0)
        await self._put(failed + 1)
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
            await self.note_good_start()

    async def note_good_start(self) -> None:
        await self._put(0)
        self._is_good = True

    async def _put(self, failed: int) -> None:
        await self._database.transact(
            preferences.put, key=self.KEY, value=str(failed), now_us=self._clock.now_us()
        )
