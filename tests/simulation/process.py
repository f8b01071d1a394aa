"""One process of the bot: what it may do ends with it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from storage import locks
from storage.errors import StorageError, StoreUnavailable
from storage.inline import MEMORY
from tests.simulation.faults import Fault
from tests.simulation.ground import Ground
from tests.simulation.loop import Crash, VirtualLoop
from tests.simulation.scene import Scene

P = ParamSpec("P")
T = TypeVar("T")

BUSY_S = 5.0
"""F-110: how long a write waits for an outside lock."""
STATEMENTS_MAX = 30
"""F-111, F-112: an error strikes at one of so many statements; at the commit if there are fewer."""
_PATH = Path(MEMORY)


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
                with suppress(StorageError):
                    self._write(body, *args, **kwargs)
            raise
        await self._busy(body.__name__)
        done = self._write(body, *args, **kwargs)
        await self._process.pause()
        return done

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        await self._process.pause()
        await self._busy(body.__name__)
        found = self._look(body, *args, **kwargs)
        await self._process.pause()
        return found

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _busy(self, name: str) -> None:
        if self._scene.draws(Fault.DATABASE_BUSY):
            self._scene.weather.failed(Fault.DATABASE_BUSY, name)
            await self._process.wait(BUSY_S)
            raise StoreUnavailable(cause="database is locked")

    def _write(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        name, changes = body.__name__, self._ground.raw.total_changes
        work = self._fenced(body, *args, **kwargs)
        fault = next(filter(self._scene.draws, (Fault.DATABASE_FULL, Fault.DATABASE_IO)), None)
        try:
            if fault is not None:
                statements = self._rng.randrange(STATEMENTS_MAX)
                self._ground.run_until_error(work, statements=statements, cause=fault.value[1])
            done = self._ground.run(work)
        except StoreUnavailable:
            assert fault is not None
            self._scene.weather.failed(fault, name)
            self._trace("database", f"{name} failed")
            raise
        finally:
            if self._ground.raw.total_changes != changes:
                self._answers.clear()
        self._scene.weather.went_well(name)
        self._trace("database", name)
        self._committed(name)
        return done

    def write_fenced(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `Database.transact`; also of a process that is no more. Raises StoreInUse (I-29)."""
        return self._ground.run(self._fenced(body, *args, **kwargs))

    def _fenced(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Callable[[Connection], T]:
        def fenced(connection: Connection) -> T:
            locks.assert_epoch(connection, epoch=self._epoch, database=_PATH)
            return body(connection, *args, **kwargs)

        return fenced

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
