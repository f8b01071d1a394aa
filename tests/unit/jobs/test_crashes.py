"""The process ends at every point of a job's life; the next one goes on from the books alone.

A point is after each transaction and each effect outside, which is before the next one. For each of
them a world runs until its fuse burns; then a new engine takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from bot.errors import RateLimited
from bot.jobs.books import accept_job
from bot.providers.base import CreateVerdict, NotCreated
from storage.database import Connection
from storage.types import Job, JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import FakeProvider, Fuse, Task, lost, made, nothing
from tests.unit.jobs.virtual import Crash, virtually
from tests.unit.jobs.world import PICTURE_UCR, World

POINTS_MAX = 300
"""More than any life below has."""
POINTS_MIN = 12
"""Fewer would mean that the fuse is not where the effects are."""
Plan = Callable[[FakeProvider, Task], CreateVerdict]


def accept(connection: Connection, *, world: World) -> Job:
    """Accept a job beside the service, whose own points are not the engine's."""
    job = accept_job(
        connection,
        job=world.planned(),
        open_max=10,
        allowance=world.allowance,
        now_us=world.clock.now_us(),
    )
    assert job is not None
    return job


async def live_through(world: World, *, at: int, down_s: float) -> bool:
    """Run one job through a crash at this point; False when it was never reached."""
    fuse = Fuse(at=at)
    creates = len(world.provider.creates)
    job = await world.inner.transact(accept, world=world)
    with suppress(Crash):  # the first points lie in the start itself
        await world.boot(fuse)
    await world.until(lambda: fuse.burnt or world.status_of(job) == JobStatus.DELIVERED)
    reached = fuse.burnt
    await world.crash()
    world.check()
    if reached:
        await world.clock.sleep(down_s)
        await world.boot()
        await world.delivered(job)
        await check_outcome(world, job, down_s=down_s)
        await world.stop()
    world.check_over()
    assert len(world.provider.creates) - creates <= 1
    return reached


async def check_outcome(world: World, job: Job, *, down_s: float) -> None:
    """Whoever has a picture pays for it; who has none pays nothing."""
    done = world.fresh(job)
    if done.outcome is Outcome.SUCCEEDED:
        assert done.charged_ucr == PICTURE_UCR
        assert world.task_of(job).id == done.task_id
        return
    # Only a create whose answer nobody has may end so, and only without evidence in time.
    assert done.failure == "OutcomeUnknown"
    if world.calls_back and world.tasks_of(job):
        assert down_s > 0
        await world.until(lambda: world.fresh(job).late_us is not None, within_s=800)


@pytest.mark.parametrize(
    ("plan_of_create", "calls_back", "down_s", "every"),
    [
        pytest.param(made, True, 0.0, 1, id="answered, callback"),
        pytest.param(made, False, 1_000.0, 1, id="answered, no callback, down for long"),
        pytest.param(lost, True, 0.0, 1, id="answer lost, callback"),
        pytest.param(lost, True, 600.0, 1, id="answer lost, callback, down for long"),
        pytest.param(lost, False, 0.0, 4, id="answer lost, no callback"),
        pytest.param(nothing, False, 0.0, 4, id="nothing made"),
    ],
)
def test_a_crash_at_any_point_costs_nobody_anything(
    new_world: NewWorld, *, plan_of_create: Plan, calls_back: bool, down_s: float, every: int
) -> None:
    """F-5 … F-15: one create at most, one settle or void, one outcome shown, for every point.

    S-6: what comes after the credits went back is attached. Where a world must wait for the grace
    to end, only some points are tried.
    """

    @virtually
    async def every_point() -> None:
        world = new_world()
        world.calls_back = calls_back
        for at in range(0, POINTS_MAX, every):
            world.provider.plans = [plan_of_create]
            if not await live_through(world, at=at, down_s=down_s):
                world.end_of_the_world()
                assert at >= POINTS_MIN
                return
        pytest.fail("the life has no end")

    every_point()


@virtually
async def test_an_intent_found_at_boot_is_never_sent_again(world: World) -> None:
    """F-6, I-24: the row alone cannot say whether the bytes left; without a task it is refunded."""
    world.provider.hold = asyncio.Event()
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.clock.sleep(2)
    world.provider.tasks.clear()  # the request never arrived
    await world.crash()
    await world.boot()
    unknown = await world.until_status(job, JobStatus.UNKNOWN, within_s=2)
    assert (await world.balance()).held_ucr == PICTURE_UCR
    assert unknown.grace_until_us is not None
    done = await world.delivered(job)
    assert done.failure == "OutcomeUnknown"
    assert done.charged_ucr == 0
    assert len(world.provider.creates) == 1
    await world.stop()
    world.check_over()


@virtually
async def test_a_lost_answer_is_adopted_by_the_callback_after_the_crash(world: World) -> None:
    """F-8: the answer was read and not committed; the callback names the task, and it is paid."""
    world.provider.hold = asyncio.Event()
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.clock.sleep(2)
    await world.crash()
    await world.clock.sleep(60)
    await world.boot()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.call_back(job)
    done = await world.delivered(job, within_s=5)
    assert done.outcome is Outcome.SUCCEEDED
    assert done.task_id == world.task_of(job).id
    await world.stop()
    world.check_over()


@virtually
async def test_a_callback_stored_before_the_crash_is_acted_on_after_it(world: World) -> None:
    """F-11, I-35: 204 was sent, nothing was processed; the next process does it at once."""
    world.provider.plans = [lost]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.crash()
    await world.clock.sleep(30)
    await world.call_back(job)
    await world.boot()
    done = await world.delivered(job, within_s=3)
    assert done.outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_recovery_may_be_interrupted_again_and_again(world: World) -> None:
    """F-17: twenty starts that each end after a moment; then one that holds."""
    job = await world.inner.transact(accept, world=world)
    for at in range(20):
        with suppress(Crash):
            await world.boot(Fuse(at=at))
            await world.clock.sleep(3)
        await world.crash()
        world.check()
    await world.boot()
    await world.delivered(job)
    assert len(world.provider.creates) <= 1
    await world.stop()
    world.check_over()


@virtually
async def test_files_of_a_former_process_are_removed_at_boot(world: World) -> None:
    """F-12: what was fetched and never settled is nobody's; it is fetched again."""
    await world.boot()
    world.files.kept = {"left-over.png"}
    await world.crash()
    await world.boot()
    assert world.files.kept == set()
    await world.stop()


@virtually
async def test_a_secured_result_is_paid_once_after_the_crash(world: World) -> None:
    """F-13: the bytes were here, the settle was not; they are fetched again, and paid once."""
    world.files.slow_s = 10.0
    await world.boot()
    job = await world.request()
    await world.until(lambda: bool(world.files.fetched))
    world.fuse.at = world.fuse.passed
    await world.until(lambda: world.fuse.burnt)
    assert world.files.kept
    assert world.fresh(job).status is JobStatus.RUNNING
    await world.crash()
    await world.boot()
    over = await world.delivered(job)
    assert (over.outcome, over.charged_ucr) == (Outcome.SUCCEEDED, job.price_ucr)
    await world.stop()
    world.check_over()


@virtually
async def test_a_shutdown_waits_for_creates_in_flight(world: World) -> None:
    """F-20, S-11: an answer that comes within 25 s is written down; no doubt is made."""
    world.provider.answers_after_s = 20.0
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.stop()
    assert world.fresh(job).status is JobStatus.RUNNING
    await world.boot()
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_shutdown_does_not_wait_for_ever(world: World) -> None:
    """S-11: an answer that takes longer is a doubt of the next start."""
    world.provider.hold = asyncio.Event()
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    began_s = world.clock.monotonic_s()
    await world.stop()
    assert world.clock.monotonic_s() - began_s <= 35
    await world.boot()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.stop()


@virtually
async def test_a_shutdown_begins_no_create_that_it_would_cut(
    world: World, logged: list[dict[str, object]]
) -> None:
    """F-20, S-11, I-24: SIGTERM while a claim is in the database; nobody waits for that job."""
    world.provider.answers_after_s = 10.0
    await world.boot()
    first = await world.request()
    await world.until_status(first, JobStatus.SUBMITTING)
    await world.clock.sleep(9.0)
    world.database.takes_s = 0.2
    second = await world.inner.transact(accept, world=world)
    world.engine.wake()
    await world.clock.sleep(0.1)
    await world.stop()
    assert world.fresh(first).status is JobStatus.RUNNING
    assert world.fresh(second).status is JobStatus.QUEUED
    assert len(world.provider.creates) == 1
    await world.boot()
    for job in (first, second):
        assert (await world.delivered(job, within_s=120)).outcome is Outcome.SUCCEEDED
    assert not any(entry["event"] == "unknown" for entry in logged)
    await world.stop()
    world.check_over()


@virtually
async def test_a_shutdown_begins_no_create_after_a_look_at_callbacks(world: World) -> None:
    """F-20, S-11: the second try was about to leave; it is the next start's."""
    refused = RateLimited(provider="aivideo")
    world.provider.plans = [
        lambda _provider, _task: NotCreated(error=refused, retryable=True, retry_after_s=10.0)
    ]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 1)
    await world.until_status(job, JobStatus.QUEUED)
    not_before_us = world.fresh(job).tries.not_before_us
    assert not_before_us is not None
    await world.clock.sleep((not_before_us - world.clock.now_us()) / 1_000_000 - 0.3)
    world.database.takes_s = 0.2
    await world.call_back(job, body={})
    await world.clock.sleep(0.25)
    await world.stop()
    assert world.clock.now_us() > not_before_us
    assert world.fresh(job).status is JobStatus.QUEUED
    assert len(world.provider.creates) == 1
    await world.boot()
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()
