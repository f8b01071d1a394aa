"""Callbacks: hints that our own read confirms, or nothing (S-4, S-6, I-26)."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from sqlalchemy import text

from bot.errors import ProviderInternalError, RateLimited, ResultUnusable, TaskNotFound
from bot.providers.base import CreateVerdict, NotCreated
from storage import inbox, jobs
from storage.database import Connection
from storage.errors import StoreUnavailable
from storage.types import Job, JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import FakeProvider, Task, lost, nothing, unavailable
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import PICTURE_UCR, World


async def an_unknown_job(world: World, **changes: Any) -> Job:
    """A job whose create's answer was lost, while the task exists."""
    world.provider.plans = [lost]
    job = await world.request(**changes)
    return await world.until_status(job, JobStatus.UNKNOWN)


def wrong(provider: FakeProvider, task: Task) -> NotCreated:
    """It made a task and is judged to have made none (5.8)."""
    provider.tasks[task.id] = task
    error = RateLimited(provider="aivideo")
    return NotCreated(error=error, retryable=True, retry_after_s=10.0, digest="d" * 64)


def unseen(world: World, job: Job) -> int:
    found = world.inner.view(inbox.callbacks_of, job_id=job.id)
    return sum(callback.seen_us is None for callback in found)


def losses(world: World) -> list[int]:
    """What the operator lost, one amount for each ended hold with a loss."""

    def body(connection: Connection) -> list[int]:
        return [
            row.loss_ucr
            for row in connection.execute(
                text("SELECT loss_ucr FROM holds WHERE loss_ucr > 0 ORDER BY id")
            )
        ]

    return world.inner.view(body)


@virtually
async def test_a_callback_resolves_a_lost_answer(world: World) -> None:
    """F-7, F-62: the named task is read with our key, bound, and paid as any other."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.clock.sleep(30)
    await world.call_back(job)
    done = await world.delivered(job, within_s=3)
    assert (done.outcome, done.charged_ucr) == (Outcome.SUCCEEDED, PICTURE_UCR)
    assert len(world.provider.creates) == 1
    await world.stop()
    world.check_over()


@virtually
async def test_a_callback_may_come_before_the_creates_answer(world: World) -> None:
    """F-62: adopted while the create is still in flight; the late answer agrees."""
    world.provider.hold = asyncio.Event()
    world.provider.task_takes_s = 2.0
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.clock.sleep(3)
    await world.call_back(job)
    await world.until_status(job, JobStatus.RUNNING, within_s=2)
    done = await world.delivered(job, within_s=10)
    assert done.outcome is Outcome.SUCCEEDED
    world.provider.hold.set()
    await world.clock.sleep(5)
    await world.stop()
    world.check_over()


@virtually
@pytest.mark.parametrize(
    ("error", "event"),
    [(StoreUnavailable(cause="busy"), "evidence_not_read"), (KeyError("ours"), "evidence_broke")],
    ids=["outside", "ours"],
)
async def test_what_keeps_evidence_from_being_read_does_not_end_the_create(
    world: World, logged: list[dict[str, object]], error: Exception, event: str
) -> None:
    """F-62, F-110: the answer is waited for; a mistake of ours has a name of its own."""
    world.provider.hold = asyncio.Event()
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    world.provider.get_errors = [error]
    await world.call_back(job)
    await world.clock.sleep(1)
    assert not world.provider.get_errors
    world.provider.hold.set()
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    found = [entry for entry in logged if str(entry["event"]).startswith("evidence_")]
    assert [(entry["event"], entry["log_level"]) for entry in found] == [(event, "error")]
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_answer_that_disagrees_is_told_the_operator(
    world: World, logged: list[dict[str, object]]
) -> None:
    """F-62: the adopted task stands; what the answer says is an alarm."""

    def other(provider: FakeProvider, task: Task) -> CreateVerdict:
        provider.tasks[task.id] = task
        return NotCreated(error=ProviderInternalError(provider="aivideo"))

    world.provider.hold = asyncio.Event()
    world.provider.task_takes_s = 2.0
    world.provider.plans = [other]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.clock.sleep(3)
    await world.call_back(job)
    await world.until_status(job, JobStatus.RUNNING)
    world.provider.hold.set()
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert any(entry["event"] == "misclassified" for entry in logged)
    await world.stop()
    world.check_over()


@virtually
async def test_repeated_callbacks_have_one_effect(world: World) -> None:
    """F-10, F-61: the same body and other bodies, many times, before and after the end."""
    await world.boot()
    job = await an_unknown_job(world)
    task_id = world.task_of(job).id
    await world.clock.sleep(30)
    assert await world.call_back(job)
    for number in range(20):
        assert not await world.call_back(job)
        await world.call_back(job, body={"id": task_id, "n": number})
    done = await world.delivered(job)
    assert done.outcome is Outcome.SUCCEEDED
    for number in range(20):
        await world.call_back(job, body={"id": task_id, "again": number})
    await world.clock.sleep(600)
    assert world.delivery.deliveries[job.id] == 1
    assert world.fresh(job) == done
    await world.stop()
    world.check_over()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="empty"),
        pytest.param("no json", id="no json"),
        pytest.param("[" * 5_000, id="deep"),
        pytest.param('{"id": 7}', id="number"),
        pytest.param('{"id": "../../credits"}', id="path"),
        pytest.param('{"id": "task-invented", "status": "completed"}', id="invented"),
        pytest.param('{"id": null, "data": {"taskId": []}}', id="null"),
    ],
)
def test_an_invented_body_moves_nothing(new_world: NewWorld, body: str) -> None:
    """F-65, I-26: the right address with a body of lies: the hold stays, then goes back."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [nothing]
        await world.boot()
        job = await world.request()
        await world.until_status(job, JobStatus.UNKNOWN)
        await world.call_back(job, body=body)
        await world.clock.sleep(20)
        assert world.fresh(job).status is JobStatus.UNKNOWN
        done = await world.delivered(job, within_s=660)
        assert done.failure == "OutcomeUnknown"
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_the_task_of_another_job_is_refused(world: World) -> None:
    """F-65: the right address, a task that exists and belongs to somebody else."""
    await world.boot()
    other = await world.request()
    await world.until_status(other, JobStatus.RUNNING)
    world.provider.plans = [nothing]
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.call_back(job, body={"id": world.task_of(other).id})
    assert (await world.delivered(other)).outcome is Outcome.SUCCEEDED
    assert (await world.delivered(job)).failure == "OutcomeUnknown"
    await world.stop()
    world.check_over()


@pytest.mark.parametrize(
    ("model", "age_s"),
    [pytest.param("veo-3", 0.0, id="other model"), pytest.param("gpt-image-2", 600.0, id="old")],
)
def test_a_task_that_cannot_be_ours_is_refused(
    new_world: NewWorld, model: str, age_s: float
) -> None:
    """Section 5, point 4: another model, or made before our intent was written."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [nothing]
        await world.boot()
        job = await world.request()
        await world.until_status(job, JobStatus.UNKNOWN)
        created_us = world.clock.now_us() - int(age_s * 1_000_000)
        world.provider.tasks["task-x"] = Task(
            id="task-x",
            model=model,
            prompt="?",
            callback_url=None,
            created_us=created_us,
            ends_us=created_us,
            urls=("https://files.example/x.png",),
        )
        await world.call_back(job, body={"id": "task-x"})
        assert (await world.delivered(job)).failure == "OutcomeUnknown"
        assert world.files.fetched == []
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_forged_bodies_cannot_make_us_hammer_the_provider(world: World) -> None:
    """F-65: a hundred different bodies a second; one read per five seconds at most."""
    world.provider.plans = [nothing]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    for number in range(100):
        await world.call_back(job, body={"id": f"task-invented-{number}"})
        await world.clock.sleep(0.1)
    await world.clock.sleep(50)
    times = [at_us for _task, at_us in world.provider.gets]
    assert len(times) > 1
    assert min(b - a for a, b in itertools.pairwise(times)) >= 5_000_000
    await world.stop()


@virtually
async def test_a_flood_of_callbacks_does_not_poll_more_often(world: World) -> None:
    """F-65: also for a job whose task is known."""
    world.provider.task_takes_s = 300.0
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    for number in range(200):
        await world.call_back(job, body={"id": "task-1", "n": number})
        await world.clock.sleep(0.2)
    times = [at_us for _task, at_us in world.provider.gets]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 5_000_000
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    await world.stop()


@virtually
async def test_a_foreign_name_in_a_known_jobs_callback_changes_nothing(world: World) -> None:
    """F-65: a running job is judged by its own task, whatever the body says."""
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    await world.call_back(job, body={"id": "task-99", "status": "failed"})
    done = await world.delivered(job)
    assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-1")
    assert unseen(world, job) == 0
    await world.stop()


@virtually
async def test_evidence_waits_while_the_provider_cannot_be_read(world: World) -> None:
    """F-39: 500 on our read is no verdict on the callback; it is read again."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.clock.sleep(30)
    world.provider.get_errors = [ProviderInternalError(provider="aivideo", status=500)] * 4
    await world.call_back(job)
    done = await world.delivered(job, within_s=200)
    assert done.outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_task_that_is_not_found_at_first_is_read_again(world: World) -> None:
    """F-35, section 5, point 4: what was made just now may be missing in the copy that answers."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.clock.sleep(30)
    world.provider.get_errors = [TaskNotFound(provider="aivideo", status=404)] * 3
    await world.call_back(job)
    done = await world.delivered(job, within_s=120)
    assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-1")
    await world.stop()
    world.check_over()


@virtually
async def test_a_name_without_a_task_is_let_go(world: World) -> None:
    """F-65: read a few times, until the patience of F-35 is over, and never again."""
    world.provider.plans = [nothing]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    began_s = world.clock.monotonic_s()
    await world.call_back(job, body={"id": "task-invented"})
    await world.until(lambda: unseen(world, job) == 0)
    assert 80 <= world.clock.monotonic_s() - began_s < 180
    await world.delivered(job)
    assert len(world.provider.gets) == 6
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_result_is_kept_for_the_member_at_no_charge(world: World) -> None:
    """F-63, S-6: after the refund: attached once, booked as the operator's loss, not told again."""
    await world.boot()
    job = await an_unknown_job(world)
    done = await world.delivered(job, within_s=660)
    assert done.failure == "OutcomeUnknown"
    await world.call_back(job)
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=5)
    late = world.fresh(job)
    assert (late.status, late.outcome, late.charged_ucr) == (
        JobStatus.DELIVERED,
        Outcome.FAILED,
        0,
    )
    assert len(world.inner.view(jobs.artifacts_of, job_id=job.id)) == 1
    for number in range(5):
        await world.call_back(job, body={"id": "task-1", "n": number})
        await world.clock.sleep(60)
    assert world.delivery.deliveries[job.id] == 1
    assert len(world.files.fetched) == 1
    assert (await world.balance()).held_ucr == 0
    await world.stop()
    world.check_over()


@virtually
async def test_a_result_after_the_deadline_is_late(world: World) -> None:
    """F-52, F-63: the task is known, and ends after we gave up."""
    world.provider.task_takes_s = 2_400.0
    await world.boot()
    job = await world.request()
    done = await world.delivered(job)
    assert done.failure == "DeadlinePassed"
    await world.clock.sleep(900)
    await world.call_back(job)
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=5)
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_result_whose_file_is_gone_is_let_go_in_the_end(world: World) -> None:
    """S-6 is an offer: its tries are bounded, and nothing else depends on them."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.delivered(job)
    world.files.error = unavailable()
    await world.call_back(job)
    await world.until(lambda: unseen(world, job) == 0)
    assert world.fresh(job).late_us is None
    assert losses(world) == [job.cost_ucr]
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_result_that_is_unusable_is_booked(world: World) -> None:
    """I-10: the provider is paid for what is no picture, too; once, however often it is told."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.delivered(job)
    world.files.error = ResultUnusable("wrong_type")
    for number in range(3):
        await world.call_back(job, body={"id": "task-1", "n": number})
        await world.until(lambda: unseen(world, job) == 0)
    assert world.fresh(job).late_us is None
    assert losses(world) == [job.cost_ucr]
    assert (await world.balance()).held_ucr == 0
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_result_is_booked_once_though_its_file_comes_later(world: World) -> None:
    """I-10: the loss is booked at the first read; the file at the second adds nothing."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.delivered(job)
    world.files.errors["https://files.example/1.png"] = [unavailable()]
    await world.call_back(job)
    await world.until(lambda: world.fresh(job).late_us is not None)
    assert losses(world) == [job.cost_ucr]
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_failure_is_no_result(world: World) -> None:
    """The task ended as failed: there is nothing to attach, and nothing was lost."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.delivered(job)
    world.task_of(job).failure = "TaskFailed"
    await world.call_back(job)
    await world.until(lambda: unseen(world, job) == 0)
    assert world.fresh(job).late_us is None
    await world.stop()
    world.check_over()


@virtually
async def test_giving_the_credits_back_at_once_keeps_the_door_open(world: World) -> None:
    """Section 5, point 3: the member need not wait; what comes later is attached, free."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.service.cancel(job.short_id, user_id=job.user_id, staff=False, guild_id=None)
    done = await world.delivered(job, within_s=5)
    assert done.outcome is Outcome.CANCELLED
    assert (await world.balance()).held_ucr == 0
    await world.clock.sleep(30)
    await world.call_back(job)
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=5)
    await world.stop()
    world.check_over()


@virtually
async def test_credits_given_back_during_our_read_do_not_swallow_the_callback(
    world: World,
) -> None:
    """S-6, I-10, I-35: what the read proves comes too late to be bound, and is attached, free."""
    world.provider.read_takes_s = 0.4
    await world.boot()
    job = await an_unknown_job(world)
    await world.clock.sleep(30)
    await world.call_back(job)
    await world.until(lambda: world.provider.gets != [])
    await world.service.cancel(job.short_id, user_id=job.user_id, staff=False, guild_id=None)
    done = await world.delivered(job)
    assert done.outcome is Outcome.CANCELLED
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=30)
    assert losses(world) == [job.cost_ucr]
    assert unseen(world, job) == 0
    await world.stop()
    world.check_over()


@virtually
async def test_credits_given_back_during_a_look_come_back_at_once(world: World) -> None:
    """S-1, section 5, point 3: who decided for the doubt puts off nothing that followed it."""
    await world.boot()
    job = await an_unknown_job(world)
    world.database.takes_s = 0.5
    await world.call_back(job, body="no json")
    await world.until(lambda: unseen(world, job) == 0)
    await world.service.cancel(job.short_id, user_id=job.user_id, staff=False, guild_id=None)
    done = await world.delivered(job, within_s=5)
    assert done.outcome is Outcome.CANCELLED
    await world.stop()
    world.check_over()


@virtually
async def test_an_invented_name_does_not_delay_the_true_one(world: World) -> None:
    """F-65: whatever reading it brings, and however often it was tried."""
    await world.boot()
    job = await an_unknown_job(world)
    world.provider.get_errors = [ProviderInternalError(provider="aivideo", status=500)] * 5
    await world.call_back(job, body={"id": "task-invented"})
    await world.until(lambda: world.provider.get_errors == [])
    await world.call_back(job)
    done = await world.delivered(job, within_s=15)
    assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-1")
    await world.stop()
    world.check_over()


@virtually
async def test_an_older_name_is_read_in_its_turn(world: World) -> None:
    """F-65: a name that came after the true one, and cannot be read, has one read before it."""
    await world.boot()
    job = await an_unknown_job(world)
    await world.clock.sleep(30)
    world.provider.get_errors = [ProviderInternalError(provider="aivideo", status=500)]
    await world.call_back(job)
    await world.call_back(job, body={"id": "task-invented"})
    assert (await world.delivered(job, within_s=20)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()
