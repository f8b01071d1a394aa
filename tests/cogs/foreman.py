"""Jobs on real books, moved by hand: what the engine would do, one step at a time."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.media import MediaModel
from bot.clock import Clock
from bot.jobs.cards import Cards
from bot.jobs.ports import Card, Delivered, Delivery
from bot.jobs.service import JobService
from bot.providers.breaker import Breakers
from bot.results.records import Fetched
from storage import jobs
from storage.inline import InlineDatabase
from storage.types import Allowance, Artifact, Cause, Job, JobKind, Sink

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000400000003080200000056d7a5a1"
    "0000001049444154789c63601805a360140c0000030300018d9f2d0e0000000049454e44ae426082"
)
"""The head of a PNG of 4 × 3 pixels: all that anybody looks at."""
MINUTE_US = 60_000_000


class Models:
    """Every provider is set up, but for those named."""

    def __init__(self) -> None:
        self.off: set[str] = set()

    def available(self, model: MediaModel) -> bool:
        return model.id not in self.off


class Folder:
    """`ResultFolder` in a folder that ends with the test."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory()
        return Path(self._folder.name)

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def path_of(self, name: str) -> Path | None:
        path = self.path / name
        return path if path.is_file() else None

    async def keep(self, chunks: AsyncIterator[bytes], *, kind: JobKind) -> Fetched:
        raise NotImplementedError  # Tests put their files there themselves.

    async def missing_bytes(self, kind: JobKind) -> int:
        del kind
        return 0

    async def disk_free_ppm(self) -> int:
        raise NotImplementedError  # Nobody keeps house here.

    async def remove(self, names: Collection[str]) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    async def remove_others(self, names: Collection[str]) -> int:
        raise NotImplementedError  # Nothing is left behind by a former process.


class Foreman:
    """The hands of an engine; `woken` counts how often the service rang."""

    def __init__(
        self,
        database: InlineDatabase,
        catalogue: Catalogue,
        *,
        allowance: Allowance,
        clock: Clock,
        breakers: Breakers,
    ) -> None:
        self.database = database
        self._breakers = breakers
        self.models = Models()
        self.folder = Folder()
        self.woken = 0
        self._catalogue = catalogue
        self._allowance = allowance
        self._clock = clock
        self.cards = Cards(
            database=database,
            catalogue=catalogue,
            allowance=allowance,
            clock=clock,
            folder=self.folder,
        )

    def service(self) -> JobService:
        return JobService(
            database=self.database,
            catalogue=self._catalogue,
            models=self.models,
            breakers=self._breakers,
            allowance=self._allowance,
            clock=self._clock,
            cards=self.cards,
            folder=self.folder,
            wake=self._ring,
        )

    def _ring(self) -> None:
        self.woken += 1

    # --- Rows ---------------------------------------------------------------------------------

    def jobs_of(self, user_id: int) -> list[Job]:
        """Oldest first."""
        found = self.database.view(jobs.list_for, user_id=user_id, limit=100, before_id=None)
        return list(reversed(found))

    def fresh(self, job: Job) -> Job:
        found = self.database.view(jobs.get, job_id=job.id)
        assert found is not None
        return found

    # --- Moves --------------------------------------------------------------------------------

    def submit(self, job: Job) -> Job:
        return _moved(self.database.run(jobs.begin_submit, job_id=job.id, now_us=self._now_us()))

    def start(self, job: Job, *, progress: int | None = None) -> Job:
        """The provider works on it."""
        self.submit(job)
        now_us = self._now_us()
        bound = self.database.run(
            jobs.bind, job_id=job.id, task_id=f"task-{job.id}", now_us=now_us, due_us=now_us
        )
        return replace(_moved(bound), progress=progress)

    def lose(self, job: Job) -> Job:
        """The answer to the create got lost."""
        self.submit(job)
        now_us = self._now_us()
        return _moved(
            self.database.run(
                jobs.mark_unknown,
                job_id=job.id,
                cause="timeout",
                grace_until_us=now_us + 10 * MINUTE_US,
                due_us=now_us,
                now_us=now_us,
            )
        )

    def succeed(
        self,
        job: Job,
        *,
        data: bytes | None = PNG,
        size_bytes: int | None = None,
        filename: str = "atelier.png",
        source_url: str | None = None,
        source_expires_us: int | None = None,
    ) -> Job:
        """From the queue to a secured result; without `data` its file is gone."""
        self.start(job)
        name = f"{job.short_id}.bin"
        if data is not None:
            (self.folder.path / name).write_bytes(data)
        artifact = Artifact(
            position=0,
            filename=filename,
            content_type="video/mp4" if filename.endswith("mp4") else "image/png",
            size_bytes=size_bytes or len(data or b"x"),
            sha256="0" * 64,
            path=name,
            source_url=source_url,
            source_expires_us=source_expires_us,
        )
        return _moved(
            self.database.run(
                jobs.succeed,
                job_id=job.id,
                artifacts=(artifact,),
                cost_ucr=job.price_ucr,
                now_us=self._now_us(),
            )
        )

    def fail(self, job: Job, failure: str) -> Job:
        return _moved(
            self.database.run(
                jobs.fail,
                job_id=job.id,
                failure=failure,
                cause=Cause.PROVIDER_ERROR,
                now_us=self._now_us(),
            )
        )

    async def card(self, job: Job) -> Card:
        return await self.cards.of(job)

    async def deliver(self, delivery: Delivery, job: Job) -> Delivered:
        """As the engine does: show the outcome, then write down who has it."""
        delivered = await delivery.deliver(await self.cards.of(job))
        self.record(job, delivered.sink, delivered.message_id)
        return delivered

    def record(self, job: Job, sink: Sink, message_id: int | None) -> None:
        self.database.run(
            jobs.record_delivered,
            job_id=job.id,
            sink=sink,
            message_id=message_id,
            now_us=self._now_us(),
        )

    def _now_us(self) -> int:
        return self._clock.now_us()


def _moved(job: Job | None) -> Job:
    assert job is not None, "the move was not legal"
    return job
