"""Jobs on real books, moved by hand, and their cards on their way into a fake Discord."""

from __future__ import annotations

from bot.jobs.ports import Card, Delivered
from bot.jobs.sinks import Sinks
from storage import jobs
from storage.inline import InlineDatabase
from storage.types import Allowance, Artifact, Cause, Job, JobKind, NewJob
from tests.unit.jobs.fake_messages import FakeMessages
from tests.unit.jobs.fakes import Fuse, FusedStore
from tests.unit.jobs.virtual import LoopClock

MIRA = 101
GUILD = 77
STUDIO = 9_001
MINUTE_US = 60_000_000
MEBIBYTE = 1_048_576
RICH = Allowance(amount_ucr=1_000_000_000)


class Scene:
    """One Discord, one database, and the process that stands between them."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.inner = InlineDatabase()
        self.database = FusedStore(self.inner, Fuse())
        self.messages = FakeMessages(clock=self.clock)
        self.sinks = self.started()
        self._orders = 0

    def started(self) -> Sinks:
        """A new process: it remembers nothing but what is written down."""
        self.sinks = Sinks(messages=self.messages, database=self.database, clock=self.clock)
        return self.sinks

    # --- Jobs ---------------------------------------------------------------------------------

    def order(self, *, token: bool = True, channel_id: int = STUDIO) -> Job:
        """Accept a job; its interaction's token lives for fifteen minutes."""
        self._orders += 1
        now_us = self.clock.now_us()
        return self.inner.run(
            jobs.enqueue,
            job=NewJob(
                reference=f"i:{self._orders}",
                kind=JobKind.IMAGE,
                model="gpt-image-2",
                provider="aivideo",
                user_id=MIRA,
                guild_id=GUILD,
                channel_id=channel_id,
                prompt="a red fox",
                request={},
                price_ucr=2_400_000,
                cost_ucr=2_400_000,
                multiplier_ppm=1_000_000,
                spoiler=False,
                interaction_token="token" if token else None,
                interaction_expires_us=now_us + 15 * MINUTE_US if token else None,
                deadline_us=now_us + 30 * MINUTE_US,
            ),
            allowance=RICH,
            now_us=now_us,
        )

    async def carded(self, *, token: bool = True) -> Job:
        """A job whose card stands in the channel."""
        job = self.order()
        message_id = await self.sinks.show(self.card(job))
        assert message_id is not None
        self.inner.run(jobs.record_card, job_id=job.id, message_id=message_id)
        if not token:
            await self.clock.sleep(16 * 60)
        return self.fresh(job)

    def start(self, job: Job) -> Job:
        now_us = self.clock.now_us()
        self.inner.run(jobs.begin_submit, job_id=job.id, now_us=now_us)
        self.inner.run(jobs.bind, job_id=job.id, task_id=f"t{job.id}", now_us=now_us, due_us=now_us)
        return self.fresh(job)

    def succeed(self, job: Job, *, size_bytes: int = 100, source_url: str | None = None) -> Job:
        self.start(job)
        artifact = Artifact(
            position=0,
            filename="atelier.png",
            content_type="image/png",
            size_bytes=size_bytes,
            sha256="0" * 64,
            path=f"{job.short_id}.png",
            source_url=source_url,
            source_expires_us=None,
        )
        self.inner.run(
            jobs.succeed,
            job_id=job.id,
            artifacts=(artifact,),
            cost_ucr=job.price_ucr,
            now_us=self.clock.now_us(),
        )
        return self.fresh(job)

    def fail(self, job: Job) -> Job:
        self.inner.run(
            jobs.fail,
            job_id=job.id,
            failure="TaskFailed",
            cause=Cause.PROVIDER_ERROR,
            now_us=self.clock.now_us(),
        )
        return self.fresh(job)

    # --- Cards --------------------------------------------------------------------------------

    def fresh(self, job: Job) -> Job:
        found = self.inner.view(jobs.get, job_id=job.id)
        assert found is not None
        return found

    def card(self, job: Job) -> Card:
        return Card(
            job=self.fresh(job),
            model_label="GPT Image 2",
            artifacts=self.inner.view(jobs.artifacts_of, job_id=job.id),
        )

    async def deliver(self, job: Job) -> Delivered:
        return await self.sinks.deliver(self.card(job))
