"""What former attempts made after all: a create judged to have made nothing had (5.8, I-10)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.errors import ProviderRejected, RateLimited
from bot.providers.base import CreateVerdict, NotCreated
from storage import jobs
from storage.types import Job, JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import FakeProvider, Task, lost, nothing
from tests.unit.jobs.test_evidence import losses, unseen, wrong
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import PICTURE_UCR, World


def refused(provider: FakeProvider, task: Task) -> NotCreated:
    """It made nothing, and says so."""
    del provider, task
    error = RateLimited(provider="aivideo")
    return NotCreated(error=error, retryable=True, retry_after_s=60.0, digest="e" * 64)


async def in_doubt(world: World) -> Job:
    """Two tasks that ended: the first of a refusal that was none, the second of a lost answer."""
    world.provider.plans = [wrong, lost]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 2)
    job = await world.until_status(job, JobStatus.UNKNOWN)
    await world.clock.sleep(30)
    return job


@virtually
async def test_a_refusal_that_was_none_is_found_out_before_the_second_try(
    world: World, logged: list[dict[str, object]]
) -> None:
    """Section 5, point 8: a callback of the attempt that "made nothing"; it is not sent again."""

    def slow(provider: FakeProvider, task: Task) -> CreateVerdict:
        return replace(wrong(provider, task), retry_after_s=100.0)

    world.provider.plans = [slow]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.provider.tasks != {})
    await world.until_status(job, JobStatus.QUEUED)
    await world.clock.sleep(30)
    await world.call_back(job)
    done = await world.delivered(job, within_s=5)
    assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-1")
    assert len(world.provider.creates) == 1
    reads = len(world.provider.gets)
    await world.call_back(job, body={"id": "task-1", "again": 1}, attempt=1)
    await world.until(lambda: unseen(world, job) == 0)
    assert len(world.provider.gets) == reads
    events = [entry["event"] for entry in logged]
    assert "callback_rejected" not in events
    assert events.count("misclassified") == 1
    assert losses(world) == []
    await world.stop()
    world.check()


@pytest.mark.parametrize("task_takes_s", [8.0, 300.0])
def test_a_refusal_that_was_none_is_booked_beside_the_result(
    new_world: NewWorld, logged: list[dict[str, object]], task_takes_s: float
) -> None:
    """Section 5, point 8, I-10: its callback comes while the next attempt runs, or after its end.

    Told once, with the digest of the answer that was misjudged; its price is booked once, and the
    member has one result.
    """

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [wrong]
        world.provider.task_takes_s = task_takes_s
        await world.boot()
        job = await world.request()
        await world.until(lambda: world.fresh(job).attempt == 2)
        await world.until_status(job, JobStatus.RUNNING)
        world.provider.tasks["task-1"].ends_us = world.clock.now_us()
        await world.call_back(job, body={"id": "task-1"}, attempt=1)
        done = await world.delivered(job)
        assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-2")
        await world.until(lambda: unseen(world, job) == 0)
        await world.call_back(job, body={"id": "task-1", "again": 1}, attempt=1)
        await world.until(lambda: unseen(world, job) == 0)
        assert losses(world) == [job.cost_ucr]
        alarms = [entry for entry in logged if entry["event"] == "misclassified"]
        assert alarms
        assert {entry["digest"] for entry in alarms} == {"d" * 64}
        assert world.delivery.deliveries[job.id] == 1
        assert world.fresh(job).charged_ucr == PICTURE_UCR
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_strays_that_wait_when_a_late_result_comes_are_booked(world: World) -> None:
    """I-10: two tasks were made, none in time: one is the member's, both are the operator's."""
    world.provider.plans = [wrong, lost]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 2)
    await world.delivered(job)
    await world.call_back(job, body={"id": "task-1"}, attempt=1)
    await world.call_back(job, body={"id": "task-2"}, attempt=2)
    await world.until(lambda: unseen(world, job) == 0)
    assert world.fresh(job).late_us is not None
    assert losses(world) == [job.cost_ucr, job.cost_ucr]
    assert len(world.inner.view(jobs.artifacts_of, job_id=job.id)) == 1
    await world.stop()
    world.check_over()


@virtually
async def test_a_former_attempts_task_that_ends_late_is_the_members(world: World) -> None:
    """S-6, section 5, point 8: who has nothing has this one, free."""
    refused = ProviderRejected(provider="aivideo")

    def final(provider: FakeProvider, task: Task) -> CreateVerdict:
        provider.tasks[task.id] = task
        return NotCreated(error=refused, digest="d" * 64)

    world.provider.plans = [final]
    await world.boot()
    job = await world.delivered(await world.request())
    await world.clock.sleep(30)
    await world.call_back(job)
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=10)
    assert losses(world) == [job.cost_ucr]
    await world.stop()
    world.check_over()


@virtually
async def test_a_callback_of_an_attempt_that_made_nothing_is_no_alarm(
    world: World, logged: list[dict[str, object]]
) -> None:
    """I-26: whatever a body says, an alarm follows our own read alone."""
    world.provider.plans = [nothing]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.call_back(job, body={"id": "task-1"}, attempt=2)
    await world.clock.sleep(200)
    assert world.fresh(job).status is JobStatus.UNKNOWN
    assert not any(entry["event"] == "misclassified" for entry in logged)
    await world.stop()


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
@pytest.mark.parametrize("apart_s", [0.0, 600.0])
def test_of_two_tasks_that_were_made_one_is_adopted_and_the_other_booked(
    new_world: NewWorld,
    logged: list[dict[str, object]],
    first: int,
    second: int,
    apart_s: float,
) -> None:
    """S-6, I-10, section 5, points 4 and 8: two tasks are paid, one is the member's.

    A former attempt's task that our own read confirms ends the doubt about the last one, too.
    """

    @virtually
    async def play() -> None:
        world = new_world()
        job = await in_doubt(world)
        await world.call_back(job, body={"id": f"task-{first}"}, attempt=first)
        await world.clock.sleep(apart_s)
        await world.call_back(job, body={"id": f"task-{second}"}, attempt=second)
        done = await world.delivered(job)
        assert (done.outcome, done.charged_ucr) == (Outcome.SUCCEEDED, PICTURE_UCR)
        assert apart_s == 0.0 or done.task_id == f"task-{first}"
        for number in range(3):
            await world.until(lambda: unseen(world, job) == 0)
            assert losses(world) == [job.cost_ucr]
            for attempt in (1, 2):
                body = {"id": f"task-{attempt}", "n": number}
                await world.call_back(job, body=body, attempt=attempt)
        assert any(entry["event"] == "misclassified" for entry in logged)
        assert len(world.provider.creates) == 2
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_a_former_attempts_failure_does_not_end_the_doubt_about_the_last(
    world: World,
) -> None:
    """Section 5, point 4: what it made came to nothing; what the last one made may still come."""
    job = await in_doubt(world)
    world.provider.tasks["task-1"].failure = "TaskFailed"
    await world.call_back(job, body={"id": "task-1"}, attempt=1)
    await world.until(lambda: unseen(world, job) == 0)
    assert world.fresh(job).status is JobStatus.UNKNOWN
    await world.call_back(job, body={"id": "task-2"})
    done = await world.delivered(job)
    assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-2")
    assert losses(world) == []
    await world.stop()
    world.check_over()


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_second_refusal_does_not_hide_what_the_first_create_made(
    new_world: NewWorld, *, meanwhile: bool
) -> None:
    """I-24, I-10: found out while the job waits for its third try, or during its second.

    It is not sent again.
    """

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [wrong, refused]
        await world.boot()
        job = await world.request()
        await world.until(lambda: world.provider.tasks != {})
        await world.until_status(job, JobStatus.QUEUED)
        if meanwhile:
            world.provider.hold = asyncio.Event()
        await world.until(lambda: len(world.provider.creates) == 2)
        if meanwhile:
            await world.clock.sleep(30)
        else:
            await world.until_status(job, JobStatus.QUEUED)
        await world.call_back(job, body={"id": "task-1"}, attempt=1)
        if world.provider.hold is not None:
            await world.clock.sleep(30)
            assert world.fresh(job).status is JobStatus.SUBMITTING
            world.provider.hold.set()
        done = await world.delivered(job)
        assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-1")
        assert len(world.provider.creates) == 2
        assert losses(world) == []
        await world.stop()
        world.check()

    play()


@virtually
async def test_after_a_former_attempts_failure_it_is_sent_again(world: World) -> None:
    """F-36: a task that failed is refunded, and no reason to give up."""
    world.provider.plans = [wrong, refused]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 2)
    await world.until_status(job, JobStatus.QUEUED)
    world.provider.tasks["task-1"].failure = "TaskFailed"
    await world.clock.sleep(20)
    await world.call_back(job, body={"id": "task-1"}, attempt=1)
    done = await world.delivered(job)
    assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-3")
    assert losses(world) == []
    await world.stop()
    world.check()


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_both_tasks_of_a_refunded_job_are_booked(
    new_world: NewWorld, first: int, second: int
) -> None:
    """I-10, S-6: one is attached, both are paid by the operator, whichever is told of first."""

    @virtually
    async def play() -> None:
        world = new_world()
        job = await in_doubt(world)
        await world.delivered(job)
        await world.call_back(job, body={"id": f"task-{first}"}, attempt=first)
        await world.until(lambda: world.fresh(job).late_us is not None)
        for number in range(3):
            body = {"id": f"task-{second}", "n": number}
            await world.call_back(job, body=body, attempt=second)
            await world.until(lambda: unseen(world, job) == 0)
            assert losses(world) == [job.cost_ucr, job.cost_ucr]
        assert world.fresh(job).task_id == f"task-{first}"
        assert len(world.inner.view(jobs.artifacts_of, job_id=job.id)) == 1
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_what_was_adopted_stays_the_jobs_own_though_it_is_older_than_the_last_intent(
    world: World,
) -> None:
    """F-52, F-63: its deadline passes, and then its callback comes."""
    world.provider.task_takes_s = 2_400.0

    def slow(provider: FakeProvider, task: Task) -> CreateVerdict:
        return replace(wrong(provider, task), retry_after_s=250.0)

    world.provider.plans = [slow]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.provider.tasks != {})
    await world.until_status(job, JobStatus.QUEUED)
    await world.clock.sleep(200)
    await world.call_back(job, body={"id": "task-1", "status": "running"}, attempt=1)
    await world.until_status(job, JobStatus.RUNNING)
    assert (await world.delivered(job)).failure == "DeadlinePassed"
    looks = world.fresh(job).looks
    await world.until(lambda: world.fresh(job).looks < looks)
    world.provider.tasks["task-1"].ends_us = world.clock.now_us()
    await world.call_back(job, body={"id": "task-1"}, attempt=1)
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=10)
    await world.stop()
    world.check()
