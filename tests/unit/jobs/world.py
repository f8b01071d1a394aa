"""A whole world of jobs: real books, the production engine, fakes around it, virtual time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loader import load
from bot.catalogue.media import MediaModel
from bot.jobs.bench import Bench, PollGate
from bot.jobs.cards import Cards
from bot.jobs.engine import Engine
from bot.jobs.orders import plan
from bot.jobs.ports import Delivery, Order
from bot.jobs.service import JobService
from bot.limits import CALLBACK_ADDRESS_S, CALLBACK_BODIES_MAX
from bot.providers.breaker import Breakers
from storage import inbox, jobs, ledger
from storage.database import Connection
from storage.inline import InlineDatabase
from storage.job_rows import COLUMNS, job_of
from storage.schema import jobs as jobs_table
from storage.types import (
    UCR_PER_CREDIT,
    Allowance,
    Balance,
    Job,
    JobKind,
    JobStatus,
    NewJob,
    Outcome,
)
from tests.unit.jobs.fakes import FakeDelivery, FakeFiles, FakeProvider, Fuse, FusedStore, Task
from tests.unit.jobs.virtual import LoopClock

MIRA = 101
TOM = 102
SAM = 103
STUDIO = 9_001
GUILD = 77
CATALOGUE: Catalogue = load(None)
PICTURE_UCR = 2_400_000
"""`gpt-image-2` in 1k."""
PUBLIC_URL = "https://bot.example"
DAY_S = 86_400.0


class Models:
    """Every provider is set up, but for those named."""

    def __init__(self) -> None:
        self.off: set[str] = set()

    def available(self, model: MediaModel) -> bool:
        return model.provider not in self.off


class World:
    """One bot over its restarts. Between `boot` and `crash` or `stop` its engine runs."""

    def __init__(self, *, public: bool = True, seed: int = 7) -> None:
        self.clock = LoopClock()
        self.inner = InlineDatabase()
        self.catalogue = CATALOGUE
        self.allowance = Allowance(amount_ucr=1_000 * UCR_PER_CREDIT)
        self.provider = FakeProvider(self.clock)
        self.files = FakeFiles()
        self.delivery = FakeDelivery()
        self.models = Models()
        self.rng = random.Random(seed)
        self.public = public
        self.boots = 0
        self.is_up = False
        self.calls_back = False
        """Whether the provider reports ends by itself, up to three times, while we are up."""
        self._senders: set[asyncio.Task[None]] = set()
        self.provider.on_created = self._created
        self.fuse = Fuse()
        self.database = FusedStore(self.inner, self.fuse)
        self._orders = 0
        self.engine: Engine
        self.service: JobService
        self.bench: Bench
        self.build()

    # --- The process ----------------------------------------------------------------------------

    def build(self, fuse: Fuse | None = None) -> None:
        """Make the objects of a new process over the same books and the same outside."""
        self.fuse = fuse or Fuse()
        self.database = FusedStore(self.inner, self.fuse)
        for fake in (self.provider, self.files, self.delivery):
            fake.fuse = self.fuse
        cards = Cards(
            database=self.database,
            catalogue=self.catalogue,
            allowance=self.allowance,
            clock=self.clock,
            folder=self.files,
        )
        self.breakers = Breakers(self.clock, probed=("aivideo",))
        self.bench = Bench(
            database=self.database,
            catalogue=self.catalogue,
            providers=self.provider,
            fetcher=self.files,
            folder=self.files,
            delivery=self.way_to_members(),
            cards=cards,
            clock=self.clock,
            rng=self.rng,
            gate=PollGate(self.clock),
            callback_url=self.callback_url,
            breakers=self.breakers,
        )
        self.engine = Engine(self.bench)
        self.service = JobService(
            database=self.database,
            catalogue=self.catalogue,
            models=self.models,
            breakers=self.breakers,
            allowance=self.allowance,
            clock=self.clock,
            cards=cards,
            folder=self.files,
            wake=self.engine.wake,
        )

    def way_to_members(self) -> Delivery:
        """A new process's way of cards into Discord."""
        return self.delivery

    async def boot(self, fuse: Fuse | None = None) -> None:
        """Start a process; the first one has been built already."""
        if self.boots or fuse is not None:
            self.build(fuse)
        self.boots += 1
        self.is_up = True
        await self.engine.start()

    async def crash(self) -> None:
        """The process is gone at this very moment: nothing of it has any further effect."""
        self.fuse.burnt = True
        self.is_up = False
        own = asyncio.current_task()
        outside = {own, *self._senders}
        left = [task for task in asyncio.all_tasks() if task not in outside]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def stop(self) -> None:
        """End in order, as SIGTERM does."""
        self.service.close()
        await self.engine.close()
        self.is_up = False

    def end_of_the_world(self) -> None:
        """Nobody is left to call back."""
        for sender in self._senders:
            sender.cancel()

    def callback_url(self, job_id: int, attempt: int) -> str | None:
        return f"{PUBLIC_URL}/{job_id}/{attempt}" if self.public else None

    # --- Members --------------------------------------------------------------------------------

    def order(self, **changes: Any) -> Order:
        self._orders += 1
        order = Order(
            reference=f"i:{self._orders}",
            kind=JobKind.IMAGE,
            user_id=MIRA,
            guild_id=GUILD,
            channel_id=STUDIO,
            prompt="a red fox in the snow",
        )
        return replace(order, **changes)

    def planned(self, **changes: Any) -> NewJob:
        """An order as it would be accepted now."""
        planned = plan(self.order(**changes), self.catalogue, self.models.available)
        return planned.new_job(now_us=self.clock.now_us())

    def film(self, **changes: Any) -> Order:
        return self.order(kind=JobKind.VIDEO, **changes)

    async def request(self, **changes: Any) -> Job:
        return await self.service.request(self.order(**changes))

    # --- The provider calls ---------------------------------------------------------------------

    def _created(self, task: Task) -> None:
        if self.calls_back and task.callback_url is not None and task.ends_us is not None:
            sender = asyncio.ensure_future(self._send(task, task.callback_url, task.ends_us))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def _send(self, task: Task, url: str, ends_us: int) -> None:
        """At the end, three minutes later, ten minutes later (providers.md 1.4)."""
        _base, job_id, attempt = url.rsplit("/", 2)
        await self.clock.sleep((ends_us - self.clock.now_us()) / 1_000_000)
        for delay_s in (0, 180, 600):
            await self.clock.sleep(delay_s)
            if self.is_up:
                job = self.inner.view(jobs.get, job_id=int(job_id))
                assert job is not None
                body = {"id": task.id, "status": "failed" if task.failure else "completed"}
                await self.call_back(job, body=body, attempt=int(attempt))
                return

    async def call_back(
        self, job: Job, *, body: dict[str, Any] | str | None = None, attempt: int | None = None
    ) -> bool:
        """Deliver a callback as the web layer does; by default the true one."""
        if body is None:
            body = {"id": self.task_of(job).id, "status": "completed"}
        text = body if isinstance(body, str) else json.dumps(body)
        (verdict,) = await self.inner.transact(
            inbox.record_callbacks,
            arrivals=[
                inbox.Arrival(
                    job_id=job.id,
                    attempt=max(self.fresh(job).attempt, 1) if attempt is None else attempt,
                    digest=hashlib.sha256(text.encode()).hexdigest(),
                    body=text,
                )
            ],
            bodies_max=CALLBACK_BODIES_MAX,
            over_before_us=self.clock.now_us() - int(CALLBACK_ADDRESS_S * 1_000_000),
            now_us=self.clock.now_us(),
        )
        self.engine.wake()
        return verdict is inbox.Verdict.NEW

    def task_of(self, job: Job) -> Task:
        """The provider's task for a job, by the address it was given."""
        (found,) = self.tasks_of(job)
        return found

    def tasks_of(self, job: Job) -> list[Task]:
        return [
            task
            for task in self.provider.tasks.values()
            if task.callback_url is not None and f"/{job.id}/" in task.callback_url
        ]

    # --- Looking --------------------------------------------------------------------------------

    def fresh(self, job: Job) -> Job:
        found = self.inner.view(jobs.get, job_id=job.id)
        assert found is not None
        return found

    def all_jobs(self) -> list[Job]:
        """Every job there is, oldest first."""
        return self.inner.view(_all_jobs)

    def status_of(self, job: Job) -> str:
        """Asked thousands of times while virtual time passes, so by the shortest way."""
        return self.inner.view(_status_of, job_id=job.id)

    async def until(self, true: Callable[[], bool], *, within_s: float = DAY_S) -> None:
        """Let time pass until something holds."""
        began_s = self.clock.monotonic_s()
        while not true():
            waited_s = self.clock.monotonic_s() - began_s
            assert waited_s < within_s, [
                (job.status, job.outcome, job.failure) for job in self.all_jobs()
            ]
            await self.clock.sleep(0.25 + waited_s / 20)

    async def until_status(self, job: Job, *statuses: JobStatus, within_s: float = DAY_S) -> Job:
        await self.until(lambda: self.status_of(job) in statuses, within_s=within_s)
        return self.fresh(job)

    async def delivered(self, job: Job, *, within_s: float = DAY_S) -> Job:
        """Let time pass until the job is over."""
        return await self.until_status(job, JobStatus.DELIVERED, within_s=within_s)

    async def balance(self, user_id: int = MIRA) -> Balance:
        return await self.inner.transact(
            ledger.balance, user_id=user_id, allowance=self.allowance, now_us=self.clock.now_us()
        )

    # --- The promises ---------------------------------------------------------------------------

    def check(self) -> None:
        """What holds at every moment: the books, and one create per attempt (I-1 … I-5, I-24)."""
        assert self.inner.view(ledger.audit) == ()
        attempts = sum(job.attempt for job in self.all_jobs())
        assert len(self.provider.creates) <= attempts
        tasks = [job.task_id for job in self.all_jobs() if job.task_id is not None]
        assert len(set(tasks)) == len(tasks)

    def check_over(self) -> None:
        """What holds when nothing moves any more (I-22, I-23)."""
        self.check()
        for job in self.all_jobs():
            assert job.status is JobStatus.DELIVERED, job
            assert job.sink is not None
            assert len(self.delivery.outcomes.get(job.id, {""})) == 1
            assert (job.outcome is Outcome.SUCCEEDED) or job.charged_ucr == 0


def _all_jobs(connection: Connection) -> list[Job]:
    return [job_of(row) for row in connection.execute(_EVERY)]


def _status_of(connection: Connection, *, job_id: int) -> str:
    found = connection.exec_driver_sql("SELECT status FROM jobs WHERE id = ?", (job_id,))
    status: str = found.scalar_one()
    return status


_EVERY = select(*COLUMNS).order_by(jobs_table.c.id)
