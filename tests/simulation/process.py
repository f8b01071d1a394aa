"""One process of the bot: what it may do ends with it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from storage import locks
from storage.errors import StoreUnavailable
from storage.inline import MEMORY
from tests.simulation.faults import Fault
from tests.simulation.ground import Ground
from tests.simulation.loop import Crash, VirtualLoop
from tests.simulation.scene import Scene

P = ParamSpec("P")
T = TypeVar("T")

BUSY_S = 5.0
"""F-110: how long a write waits for an outside lock."""
STATEMENTS_MAX = 12
"""F-112: an error strikes at one of so many statements, at the commit, or not at all."""


class Process:
    """Alive until it is killed or has ended."""

    def __init__(self, loop: VirtualLoop, *, number: int, rng: random.Random) -> None:
        self.loop = loop
        self.number = number
        self.is_alive = True
        self.is_up = False
        """Whether it listens: commands and callbacks reach it."""
        self.began_s = loop.now_s
        self._rng = rng

    def check(self) -> None:
        """Let nobody act whose process is gone."""
        if not self.is_alive:
            raise Crash

    async def pause(self) -> None:
        """Let others come first; here a process may end."""
        if self._rng.random() < 0.1:
            await asyncio.sleep(self._rng.random() * 0.05)
        else:
            await asyncio.sleep(0)
        self.check()

    async def wait(self, delay_s: float) -> None:
        """Wait, unless the process ends."""
        await asyncio.sleep(delay_s)
        self.check()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something in this process."""
        return self.loop.create_task(work)


class ProcessClock:
    """`Clock` of one process; wall time may be wrong (F-118), monotonic time is not."""

    def __init__(self, process: Process, skew_us: Callable[[], int]) -> None:
        self._process = process
        self._skew_us = skew_us

    def now_us(self) -> int:
        return self._process.loop.now_us() + self._skew_us()

    def monotonic_s(self) -> float:
        return self._process.loop.now_s

    async def sleep(self, delay_s: float) -> None:
        self._process.check()
        await asyncio.sleep(delay_s)
        self._process.check()


class ProcessStore:
    """`Store` of one process: others may come before and after each transaction.

    `committed` looks at the database after each commit. A read that nothing was written since
    need not be done again: its answer is the same.
    """

    def __init__(
        self,
        ground: Ground,
        process: Process,
        *,
        scene: Scene,
        epoch: int,
        begins: Callable[[str], None],
        committed: Callable[[str], None],
    ) -> None:
        self._ground = ground
        self._process = process
        self._scene = scene
        self._rng = scene.rng
        self._trace = scene.trace
        self._epoch = epoch
        self._begins = begins
        self._committed = committed
        self._answers: dict[Any, Any] = {}

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._begins(body.__name__)
        try:
            await self._process.pause()
        except asyncio.CancelledError:
            # As in production: what has begun commits, whether somebody waits for it or not.
            if self._process.is_alive and self._rng.random() < 0.5:
                self._write(body, *args, **kwargs)
            raise
        await self._busy()
        done = self._write(body, *args, **kwargs)
        await self._process.pause()
        return done

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        await self._process.pause()
        await self._busy()
        found = self._look(body, *args, **kwargs)
        await self._process.pause()
        return found

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _busy(self) -> None:
        if self._strikes(Fault.DATABASE_BUSY):
            await self._process.wait(BUSY_S)
            raise StoreUnavailable(cause="database is locked")

    def _write(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        raw = self._ground.raw
        self._answers.clear()
        is_full = self._strikes(Fault.DATABASE_FULL)
        if is_full:
            (pages,) = raw.execute("PRAGMA page_count").fetchone()
            raw.execute(f"PRAGMA max_page_count = {pages}")
        if self._strikes(Fault.DATABASE_IO):
            self._ground.statements_left = self._rng.randrange(STATEMENTS_MAX)
        try:
            done = self.write_fenced(body, *args, **kwargs)
        except StoreUnavailable:
            self._trace("database", f"{body.__name__} failed")
            raise
        finally:
            self._ground.statements_left = -1
            if is_full:
                raw.execute("PRAGMA max_page_count = 1073741823")
        self._trace("database", body.__name__)
        self._committed(body.__name__)
        return done

    def write_fenced(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `Database.transact`; also of a process that is no more. Raises StoreInUse (I-29)."""

        def fenced(connection: Connection) -> T:
            locks.assert_epoch(connection, epoch=self._epoch, database=Path(MEMORY))
            return body(connection, *args, **kwargs)

        return self._ground.run(fenced)

    def _look(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        key = (body, args, tuple(kwargs.items()))
        try:
            known: T = self._answers[key]
        except KeyError:
            found = self._answers[key] = self._ground.view(body, *args, **kwargs)
            return found
        except TypeError:  # an argument that cannot be a key
            return self._ground.view(body, *args, **kwargs)
        return known

    def _strikes(self, fault: Fault) -> bool:
        return self._scene.strikes(fault)
