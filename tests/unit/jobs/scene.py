"""A world whose cards go into a fake Discord; its jobs can also be moved by hand."""

from __future__ import annotations

from bot.jobs.books import record_outcome
from bot.jobs.ports import Card, Delivered, Delivery, DeliveryPostponed
from bot.jobs.sinks import Sinks
from storage import jobs
from storage.types import Artifact, Cause, Job, JobStatus, Outcome, Sink
from tests.unit.jobs.fake_messages import FakeMessages
from tests.unit.jobs.fakes import Fuse
from tests.unit.jobs.world import STUDIO, World

MINUTE_US = 60_000_000
MEBIBYTE = 1_048_576


class Scene(World):
    """`sinks` is the newest process's way to members, also without its engine."""

    def __init__(self) -> None:
        self.messages: FakeMessages | None = None
        self.sinks: Sinks
        super().__init__()

    @property
    def discord(self) -> FakeMessages:
        if self.messages is None:
            self.messages = FakeMessages(clock=self.clock)
        return self.messages

    def way_to_members(self) -> Delivery:
        self.discord.fuse = self.fuse
        self.sinks = Sinks(messages=self.discord, database=self.database, clock=self.clock)
        return self.sinks

    # --- Jobs ---------------------------------------------------------------------------------

    def accepted(self, *, token: bool = True, channel_id: int = STUDIO) -> Job:
        """A job that waits; its interaction's token lives for fifteen minutes."""
        now_us = self.clock.now_us()
        planned = self.planned(
            channel_id=channel_id,
            interaction_token="token" if token else None,
            interaction_expires_us=now_us + 15 * MINUTE_US if token else None,
        )
        return self.inner.run(jobs.enqueue, job=planned, allowance=self.allowance, now_us=now_us)

    async def carded(self, *, token: bool = True) -> Job:
        """A job whose card stands in the channel; without `token` its end has come."""
        job = self.accepted()
        message_id = await self.sinks.show(self.card(job))
        assert message_id is not None
        self.inner.run(jobs.record_card, job_id=job.id, message_id=message_id)
        if not token:
            await self.clock.sleep(16 * 60)
        return self.fresh(job)

    async def without_card(self) -> Job:
        """A job whose card was deleted, and whose token's end has come."""
        job = await self.carded(token=False)
        self.discord.delete(job.card_message_id or 0)
        return job

    def start(self, job: Job) -> Job:
        now_us = self.clock.now_us()
        self.inner.run(jobs.begin_submit, job_id=job.id, now_us=now_us)
        self.inner.run(jobs.bind, job_id=job.id, task_id=f"t{job.id}", now_us=now_us, due_us=now_us)
        return self.fresh(job)

    def succeed(self, job: Job, *, size_bytes: int = 100, source_url: str | None = None) -> Job:
        """From the queue to a result that is secured and paid."""
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

    def card(self, job: Job) -> Card:
        return Card(
            job=self.fresh(job),
            model_label="GPT Image 2",
            artifacts=self.inner.view(jobs.artifacts_of, job_id=job.id),
        )

    async def deliver(self, job: Job) -> Delivered:
        """One try, without the engine, and nothing written down about its end."""
        return await self.sinks.deliver(self.card(job))

    async def bring(self, job: Job) -> Job:
        """What the engine does until a sink has the outcome, for one job."""
        while True:
            try:
                delivered = await self.deliver(job)
            except DeliveryPostponed as postponed:
                await self.clock.sleep(postponed.retry_after_s)
                continue
            await self.database.transact(
                record_outcome, job_id=job.id, delivered=delivered, now_us=self.clock.now_us()
            )
            return self.fresh(job)

    def restart(self, fuse: Fuse | None = None) -> None:
        """Nothing of the former process is remembered, but what is written down."""
        self.build(fuse)

    # --- The promises -------------------------------------------------------------------------

    def check_shown(self, job: Job) -> None:
        """I-22, I-23, I-28: one sink has the outcome, and says what the books say."""
        job = self.fresh(job)
        assert job.status is JobStatus.DELIVERED, job
        assert (job.outcome is Outcome.SUCCEEDED) or job.charged_ucr == 0
        assert self.discord.pings(job) <= 1
        shown = self.discord.with_outcome(job)
        assert len(shown) <= 1, shown
        for message in shown:
            assert message.job.outcome is job.outcome
            assert message.job.charged_ucr == job.charged_ucr
            if job.sink is not Sink.LIST:
                assert (message.channel_id == job.channel_id) == (job.sink is not Sink.DM)

    def check_over(self) -> None:
        self.check()
        for job in self.all_jobs():
            self.check_shown(job)
