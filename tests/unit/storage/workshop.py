"""Jobs in memory, with the arguments that most tests do not vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storage import inbox, jobs
from storage.inbox import Arrival, Verdict
from storage.types import Allowance, Artifact, Callback, Cause, Job, JobKind, NewJob, Sink
from tests.unit.storage.bank import CREDIT, DAILY, HOUR_US, MIRA, Bank

PRICE = CREDIT // 2
MINUTE_US = 60_000_000
LEASE_US = 30_000_000
WEEK_US = 7 * 86_400_000_000
BODIES_MAX = 4


def new_job(reference: str, *, user_id: int = MIRA, **changes: Any) -> NewJob:
    """A picture as `/imagine` orders it."""
    facts: dict[str, Any] = {
        "kind": JobKind.IMAGE,
        "model": "gpt-image-2",
        "provider": "aivideo",
        "guild_id": 7,
        "channel_id": 70,
        "prompt": "a fox in the snow",
        "request": {"image_urls": [], "options": {"resolution": "1k"}, "nsfw_checker": True},
        "price_ucr": PRICE,
        "cost_ucr": PRICE,
        "multiplier_ppm": 1_000_000,
        "spoiler": False,
        "deadline_us": 30 * MINUTE_US,
        "interaction_token": "token",
        "interaction_expires_us": 15 * MINUTE_US,
    }
    return NewJob(reference=reference, user_id=user_id, **{**facts, **changes})


def picture(position: int = 0, *, path: str | None = None) -> Artifact:
    """A result file as the fetcher secured it."""
    return Artifact(
        position=position,
        filename=f"fox-{position}.png",
        content_type="image/png",
        size_bytes=1_234,
        sha256="ab" * 32,
        path=path,
        source_url="https://cdn.example/fox.png",
        source_expires_us=None,
    )


def arrival(job_id: int, body: str = "{}", *, attempt: int = 1) -> Arrival:
    """A callback; what stands for its digest is as long as one."""
    return Arrival(job_id=job_id, attempt=attempt, digest=f"{body:>64}", body=body)


class Workshop(Bank):
    """The bank's members order pictures; every act happens at `now_us`."""

    def __init__(self, *, allowance: Allowance = DAILY) -> None:
        super().__init__(allowance=allowance)
        self.tasks = 0

    def act(self, body: Callable[..., Any], /, **arguments: Any) -> Any:
        return self.database.run(body, now_us=self.now_us, **arguments)

    def order(self, reference: str = "", **changes: Any) -> Job:
        return self.database.run(
            jobs.enqueue,
            job=new_job(reference or self._reference(), **changes),
            allowance=self.allowance,
            now_us=self.now_us,
        )

    def job(self, job: Job) -> Job:
        found = self.database.view(jobs.get, job_id=job.id)
        assert found is not None
        return found

    def claim(self, limit: int = 10, **arguments: Any) -> list[str]:
        claimed = self.act(jobs.claim_due, lease_us=LEASE_US, limit=limit, **arguments)
        return [job.reference for job in claimed]

    def postpone(self, job: Job, due_us: int, **arguments: Any) -> Job | None:
        moved: Job | None = self.act(
            jobs.postpone, job_id=job.id, status=job.status, due_us=due_us, **arguments
        )
        return moved

    def begin(self, job: Job) -> Job | None:
        moved: Job | None = self.act(jobs.begin_submit, job_id=job.id)
        return moved

    def bind(self, job: Job, task_id: str = "") -> Job | None:
        self.tasks += 1
        moved: Job | None = self.act(
            jobs.bind,
            job_id=job.id,
            task_id=task_id or f"task-{self.tasks}",
            due_us=self.now_us + MINUTE_US,
        )
        return moved

    def lose_answer(self, job: Job) -> Job | None:
        moved: Job | None = self.act(
            jobs.mark_unknown,
            job_id=job.id,
            cause="reset",
            grace_until_us=self.now_us + HOUR_US,
            due_us=self.now_us + HOUR_US,
        )
        return moved

    def requeue(self, job: Job) -> Job | None:
        moved: Job | None = self.act(jobs.requeue, job_id=job.id, due_us=self.now_us + MINUTE_US)
        return moved

    def succeed(self, job: Job, cost_ucr: int = PRICE, *, path: str | None = None) -> Job | None:
        moved: Job | None = self.act(
            jobs.succeed, job_id=job.id, artifacts=(picture(path=path),), cost_ucr=cost_ucr
        )
        return moved

    def fail(self, job: Job, *, loss_ucr: int = 0) -> Job | None:
        moved: Job | None = self.act(
            jobs.fail,
            job_id=job.id,
            failure="TaskFailed",
            cause=Cause.PROVIDER_ERROR,
            loss_ucr=loss_ucr,
        )
        return moved

    def cancel(self, job: Job) -> Job | None:
        moved: Job | None = self.act(jobs.cancel, job_id=job.id)
        return moved

    def late(self, job: Job, **arguments: Any) -> Job | None:
        facts = {"artifacts": (picture(),), "loss_ucr": PRICE, **arguments}
        moved: Job | None = self.act(jobs.late_result, job_id=job.id, **facts)
        return moved

    def deliver(
        self, job: Job, sink: Sink = Sink.CARD, message_id: int | None = None
    ) -> Job | None:
        moved: Job | None = self.act(
            jobs.record_delivered, job_id=job.id, sink=sink, message_id=message_id
        )
        return moved

    def call_back(self, job: Job, body: str = "{}", *, attempt: int = 1) -> Verdict:
        return self.arrive(arrival(job.id, body, attempt=attempt))[0]

    def arrive(self, *arrivals: Arrival) -> tuple[Verdict, ...]:
        """They came together: one transaction."""
        verdicts: tuple[Verdict, ...] = self.act(
            inbox.record_callbacks,
            arrivals=arrivals,
            bodies_max=BODIES_MAX,
            over_before_us=self.now_us - WEEK_US,
        )
        return verdicts

    def callbacks(self, job: Job) -> tuple[Callback, ...]:
        return self.database.view(inbox.callbacks_of, job_id=job.id)

    def at(self, status: str, reference: str = "", **changes: Any) -> Job:
        """A job that came as far as that."""
        job = self.order(reference, **changes)
        if status != "queued":
            assert self.begin(job)
        if status == "unknown":
            assert self.lose_answer(job)
        if status in {"running", "finished", "delivered"}:
            assert self.bind(job)
        if status in {"finished", "delivered"}:
            assert self.succeed(job)
        if status == "delivered":
            assert self.deliver(job)
        assert self.job(job).status == status
        return self.job(job)

    def events(self, job: Job) -> list[tuple[str | None, str, str, int]]:
        """(old, new, cause, attempt) of a job's moves."""
        return self.database.view(
            lambda c: [
                (row[0], row[1], row[2], row[3])
                for row in c.exec_driver_sql(
                    "SELECT old_status, new_status, cause, attempt FROM job_events"
                    " WHERE job_id = ? ORDER BY id",
                    (job.id,),
                )
            ]
        )
