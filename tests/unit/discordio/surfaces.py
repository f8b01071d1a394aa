"""A place for answers that keeps what it was given, and a clock that a test moves."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from itertools import count

from bot.discordio.surface import MessageGone, Page, SurfaceError

SETTLE_TURNS = 50
"""Turns of the loop in which everything that can run without time has run."""


class VirtualClock:
    """Time that stands still until `advance`."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []

    def now_us(self) -> int:
        return int(self.at_s * 1_000_000)

    def monotonic_s(self) -> float:
        return self.at_s

    async def sleep(self, delay_s: float) -> None:
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self.at_s + delay_s, next(self._order), woken))
        await woken.wait()

    async def advance(self, delay_s: float) -> None:
        """Let `delay_s` pass, waking every sleeper at its moment."""
        until_s = self.at_s + delay_s
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until_s:
            at_s, _, woken = heapq.heappop(self._sleepers)
            self.at_s = max(self.at_s, at_s)
            woken.set()
            await settle()
        self.at_s = until_s


async def settle() -> None:
    """Let every task run as far as it can without time."""
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)


@dataclass
class Wall:
    """A `Surface` in memory. `failures` are raised by the next calls; `log` is every call.

    Places of one Discord share their `nonces`: those are the author's, not the channel's (S-7).
    """

    clock: VirtualClock
    lane: int = 1
    failures: list[SurfaceError] = field(default_factory=list)
    standing: dict[int, Page] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=dict)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    firsts: list[bool] = field(default_factory=list)
    blocked: asyncio.Event | None = None

    async def typing(self) -> None:
        self.log.append((self.clock.at_s, "typing", ""))

    async def post(self, page: Page, *, nonce: str, is_first: bool) -> int:
        self.firsts.append(is_first)
        await self._note("post", page.text)
        if nonce in self.nonces:
            if self.nonces[nonce] not in self.standing:
                raise MessageGone
            return self.nonces[nonce]
        message_id = len(self.nonces) + 1
        self.nonces[nonce] = message_id
        self.standing[message_id] = page
        return message_id

    async def edit(self, message_id: int, page: Page) -> None:
        await self._note("edit", page.text)
        if message_id not in self.standing:
            raise MessageGone
        self.standing[message_id] = page

    async def remove(self, message_id: int) -> None:
        await self._note("remove", "")
        if self.standing.pop(message_id, None) is None:
            raise MessageGone

    async def _note(self, what: str, text: str) -> None:
        self.log.append((self.clock.at_s, what, text))
        if self.blocked is not None:
            await self.blocked.wait()
        if self.failures:
            raise self.failures.pop(0)

    @property
    def texts(self) -> list[str]:
        return [page.text for page in self.standing.values()]

    def calls(self, what: str) -> list[tuple[float, str]]:
        return [(at_s, text) for at_s, kind, text in self.log if kind == what]
