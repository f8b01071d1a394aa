"""The way of callbacks into a real database on a real file, watched."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bot.clock import Clock, SystemClock
from bot.web.intake import Intake
from storage import jobs
from storage.database import Connection, Database
from storage.inbox import Arrival, Verdict
from tests.unit.storage.bank import NONE
from tests.unit.storage.workshop import new_job

P = ParamSpec("P")
T = TypeVar("T")

JOBS = 3
SOON_S = 10.0
"""Far more than any of it takes: what hangs fails instead."""


@dataclass
class WatchedStore:
    """The real one; it counts transactions, and holds them back or refuses them when told to."""

    inner: Database
    transactions: int = 0
    refusals: list[Exception] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self.transactions += 1
        self.asked.set()
        await self.open.wait()
        if self.refusals:
            raise self.refusals.pop(0)
        return await self.inner.transact(body, *args, **kwargs)

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.inner.read(body, *args, **kwargs)

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Post:
    """An intake, what it stores in, and how often it woke the engine."""

    path: Path
    store: WatchedStore
    intake: Intake
    woken: list[int] = field(default_factory=list)

    def bodies(self) -> list[str]:
        """What another process finds in the file: only what was committed."""
        with contextlib.closing(sqlite3.connect(self.path)) as outside:
            return [row[0] for row in outside.execute("SELECT body FROM callbacks ORDER BY id")]

    async def results(self, *arrivals: Arrival) -> list[Verdict | BaseException]:
        """Send all of them at once."""
        async with asyncio.timeout(SOON_S):
            return await asyncio.gather(
                *(self.intake.record(one) for one in arrivals), return_exceptions=True
            )

    def sent(self, one: Arrival) -> asyncio.Task[Verdict]:
        """Send one that is not waited for."""
        return asyncio.ensure_future(self.intake.record(one))


@asynccontextmanager
async def post(
    folder: Path,
    *,
    waiting_max: int = 256,
    timeout_s: float = 5.0,
    clock: Clock | None = None,
) -> AsyncIterator[Post]:
    path = folder / "atelier.db"
    database = await Database.open(f"sqlite+aiosqlite:///{path}")
    for number in range(JOBS):
        await database.transact(
            jobs.enqueue,
            job=new_job(f"job {number}", price_ucr=0, cost_ucr=0),
            allowance=NONE,
            now_us=1,
        )
    store = WatchedStore(database)
    woken: list[int] = []
    at = Post(
        path=path,
        store=store,
        woken=woken,
        intake=Intake(
            database=store,
            clock=clock or SystemClock(),
            wake=lambda: woken.append(store.transactions),
            waiting_max=waiting_max,
            timeout_s=timeout_s,
        ),
    )
    try:
        yield at
    finally:
        store.open.set()
        await at.intake.close()
        await database.close()


async def settled() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)
