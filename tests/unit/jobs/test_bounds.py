"""Bounds that no restart extends, and what the worst moment can cost (I-31, section 5 point 7)."""

from __future__ import annotations

import itertools

import pytest

from bot.errors import (
    PauseCause,
    ProviderCreditsExhausted,
    ProviderInternalError,
    RateLimited,
)
from bot.limits import (
    CREATES_PER_PROVIDER_MAX,
    FETCH_TRIES,
    LATE_LOOKS,
    REFUSED_S_MAX,
    STEP_ERRORS_MAX,
    TASK_MISSING_TRIES,
    UNCLEAR_MAX,
)
from bot.providers.base import CreateVerdict, NotCreated
from storage import jobs
from storage.types import JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import FakeProvider, Task, lost, made, unavailable
from tests.unit.jobs.test_evidence import losses, wrong
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import PICTURE_UCR, World


def full(provider: FakeProvider, task: Task) -> CreateVerdict:
    del provider, task
    return NotCreated(error=RateLimited(provider="aivideo"), retryable=True)


async def restarts(world: World, *, every_s: float, times: int) -> None:
    """End the process again and again, as a crash loop does."""
    for _ in range(times):
        await world.clock.sleep(every_s)
        # Otherwise it would be a doubt, which is another story.
        await world.until(lambda: world.provider.in_flight == 0)
        await world.crash()
        world.check()
        await world.boot()


# --- No restart begins anew -----------------------------------------------------------------------


@virtually
async def test_a_crash_loop_does_not_ask_a_full_provider_for_ever(world: World) -> None:
    """F-36, F-45: five minutes are five minutes, and the waits between the tries grow."""
    world.provider.plans = [full] * 200
    await world.boot()
    job = await world.request()
    await restarts(world, every_s=20, times=int(REFUSED_S_MAX / 20) + 2)
    done = await world.delivered(job, within_s=60)
    assert done.failure == "RateLimited"
    assert len(world.provider.creates) <= 12
    await world.stop()
    world.check_over()


@virtually
async def test_a_crash_loop_does_not_look_for_a_missing_task_for_ever(world: World) -> None:
    """F-35: three tries in all, whoever counts them."""
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    world.provider.tasks.clear()
    await restarts(world, every_s=25, times=6)
    done = await world.delivered(job, within_s=60)
    assert done.failure == "TaskNotFound"
    assert len(world.provider.gets) == TASK_MISSING_TRIES
    assert losses(world) == [job.cost_ucr]
    await world.stop()
    world.check_over()


@virtually
async def test_a_crash_loop_does_not_fetch_for_ever(world: World) -> None:
    """F-53: the same for a result that cannot be had."""
    world.files.error = unavailable()
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).tries.fetches == 1)
    await restarts(world, every_s=8, times=4)
    done = await world.delivered(job, within_s=60)
    assert done.failure == "ResultUnavailable"
    assert len(world.files.fetched) == FETCH_TRIES
    await world.stop()
    world.check_over()


@virtually
async def test_a_crash_loop_does_not_stumble_for_ever(world: World) -> None:
    """A mistake of ours counts, whether the process lives on or not."""
    world.files.error = ZeroDivisionError()
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).tries.stumbles == 1)
    await restarts(world, every_s=8, times=8)
    done = await world.delivered(job, within_s=120)
    assert done.failure == "Unexpected"
    assert len(world.files.fetched) == STEP_ERRORS_MAX
    await world.stop()
    world.check_over()


@pytest.mark.parametrize("is_known", [True, False])
def test_a_crash_loop_does_not_hammer_the_provider(new_world: NewWorld, *, is_known: bool) -> None:
    """F-65: five seconds between two reads for one job, also over restarts."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [made if is_known else lost]
        world.provider.task_takes_s = 40.0
        await world.boot()
        job = await world.request()
        await world.until_status(job, JobStatus.RUNNING, JobStatus.UNKNOWN)
        for number in range(30):
            await world.call_back(job, body={"id": "task-1", "n": number})
            await restarts(world, every_s=1, times=1)
        await world.delivered(job)
        times = [at_us for _task, at_us in world.provider.gets]
        assert len(times) > 1
        assert min(b - a for a, b in itertools.pairwise(times)) >= 5_000_000
        await world.stop()
        world.check_over()

    play()


# --- Late results ---------------------------------------------------------------------------------


@virtually
async def test_a_task_that_ends_after_the_deadline_is_found_without_a_callback(
    world: World,
) -> None:
    """S-5, S-6, F-52: the loss account watches for it, also after a restart; one message."""
    world.provider.task_takes_s = 7_000.0
    await world.boot()
    job = await world.delivered(await world.request())
    assert job.failure == "DeadlinePassed"
    assert losses(world) == []
    await world.crash()
    await world.clock.sleep(60)
    await world.boot()
    await world.until(lambda: world.fresh(job).late_us is not None)
    assert losses(world) == [job.cost_ucr]
    assert len(world.inner.view(jobs.artifacts_of, job_id=job.id)) == 1
    assert (world.fresh(job).charged_ucr, world.delivery.deliveries[job.id]) == (0, 1)
    assert len(world.provider.gets) < 60
    await world.stop()
    world.check_over()


@virtually
async def test_a_task_that_never_ends_is_let_go(world: World) -> None:
    """F-52, I-31: so many looks and no more; nothing was lost as far as anybody knows."""
    world.provider.task_takes_s = None
    await world.boot()
    job = await world.delivered(await world.request())
    before = len(world.provider.gets)
    await world.clock.sleep(24 * 3_600)
    assert len(world.provider.gets) - before == LATE_LOOKS
    assert (losses(world), world.fresh(job).looks) == ([], 0)
    await world.stop()
    world.check_over()


@pytest.mark.parametrize("how", ["failed", "gone"])
def test_a_task_that_comes_to_nothing_after_the_deadline_is_let_go(
    new_world: NewWorld, how: str
) -> None:
    """S-6: failed tasks are refunded upstream, and one that is gone brings nothing."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.task_takes_s = None
        await world.boot()
        job = await world.delivered(await world.request())
        if how == "failed":
            world.task_of(job).failure = "UpstreamError"
            world.task_of(job).ends_us = 0
        else:
            world.provider.tasks.clear()
        await world.until(lambda: world.fresh(job).looks == 0, within_s=120)
        assert (losses(world), world.fresh(job).late_us) == ([], None)
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_a_callback_goes_before_the_next_look(world: World) -> None:
    """F-63: whoever calls back need not wait an hour."""
    world.provider.task_takes_s = 12_000.0
    await world.boot()
    job = await world.delivered(await world.request())
    await world.clock.sleep(12_000 - 1_700)
    await world.call_back(job)
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=10)
    assert losses(world) == [job.cost_ucr]
    await world.stop()
    world.check_over()


# --- What the worst moment costs ------------------------------------------------------------------


@virtually
async def test_a_crash_costs_at_most_the_creates_in_flight(world: World) -> None:
    """Section 5, point 7: four prices, however many wait; members pay nothing for them."""
    world.provider.answers_after_s = 60.0
    world.provider.task_takes_s = 10.0
    await world.boot()
    orders = [await world.request(user_id=user) for user in range(1, 13)]
    await world.clock.sleep(2)
    await world.crash()
    world.provider.answers_after_s = 1.0
    await world.boot()
    for job in orders:
        await world.delivered(job)
    given_back = [job for job in orders if world.fresh(job).outcome is Outcome.FAILED]
    assert len(given_back) == CREATES_PER_PROVIDER_MAX
    paid_ucr = sum(PICTURE_UCR for job in given_back for _task in world.tasks_of(job))
    assert paid_ucr == CREATES_PER_PROVIDER_MAX * PICTURE_UCR
    assert len(world.provider.creates) == len(orders)
    await world.stop()
    world.check_over()


@pytest.mark.parametrize("answers_after_s", [0.5, 3.0, 15.0])
def test_a_brown_out_costs_at_most_three_and_those_in_flight(
    new_world: NewWorld, answers_after_s: float
) -> None:
    """Section 5, point 7, S-13: then the provider is left alone, and who waits keeps the hold."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.answers_after_s = answers_after_s
        world.provider.plans = [lost] * 100
        orders = [await world.request(user_id=user) for user in range(1, 21)]
        await world.boot()
        await world.until(lambda: world.breakers.of("aivideo").snapshot().cause is not None)
        at_most = UNCLEAR_MAX + CREATES_PER_PROVIDER_MAX
        assert len(world.provider.creates) <= at_most
        await world.clock.sleep(answers_after_s + 1)
        assert world.breakers.of("aivideo").snapshot().cause is PauseCause.UNCLEAR
        assert len(world.provider.creates) <= at_most
        waiting = [job for job in orders if world.fresh(job).status is JobStatus.QUEUED]
        assert len(waiting) >= len(orders) - at_most
        world.provider.plans = []
        for job in orders:
            await world.delivered(job)
        assert all(world.fresh(job).outcome is Outcome.SUCCEEDED for job in waiting)
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_a_pause_keeps_the_queue_and_ends_with_one_trial(world: World) -> None:
    """S-13, F-32: who was accepted waits; half-open is one job at a time."""
    breaker = world.breakers.of("aivideo")
    orders = [await world.request(user_id=user) for user in range(1, 7)]
    breaker.note_error(ProviderCreditsExhausted(provider="aivideo", status=402))
    await world.boot()
    await world.clock.sleep(60)
    assert world.provider.creates == []
    assert all(world.fresh(job).status is JobStatus.QUEUED for job in orders)
    world.provider.answers_after_s = 20.0
    breaker.note_probe_good()
    await world.until(lambda: world.provider.in_flight == 1, within_s=15)
    await world.clock.sleep(15)
    assert world.provider.in_flight_max == 1
    for job in orders:
        assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert world.provider.in_flight_max == CREATES_PER_PROVIDER_MAX
    await world.stop()
    world.check_over()


# --- What is heard of a job that waits to be sent again -------------------------------------------


@virtually
async def test_a_task_that_cannot_be_read_does_not_outlast_the_deadline(world: World) -> None:
    """F-52, I-22, I-30, S-6: the hold goes back in time; what is read later is a late result."""
    world.provider.plans = [wrong]
    world.provider.get_errors = [ProviderInternalError(provider="aivideo", status=500)] * 1_000
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.provider.tasks != {})
    await world.until_status(job, JobStatus.QUEUED)
    await world.call_back(job)
    over = await world.delivered(job)
    assert (over.outcome, over.failure, over.charged_ucr) == (Outcome.FAILED, "DeadlinePassed", 0)
    assert over.finished_us is not None
    assert abs(over.finished_us - over.deadline_us) < 5_000_000
    assert len(world.provider.creates) == 1
    world.provider.get_errors = []
    await world.until(lambda: world.fresh(job).late_us is not None)
    assert losses(world) == [job.cost_ucr]
    await world.stop()
    world.check_over()


@virtually
async def test_a_former_task_without_an_end_does_not_outlast_the_deadline(world: World) -> None:
    """F-52, S-5: the second try waits for the first one's task, half an hour at most."""

    def endless(provider: FakeProvider, task: Task) -> CreateVerdict:
        task.ends_us = None
        return wrong(provider, task)

    world.provider.plans = [endless, full]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 2)
    await world.until_status(job, JobStatus.QUEUED)
    await world.call_back(job, body={"id": "task-1"}, attempt=1)
    over = await world.delivered(job)
    assert (over.outcome, over.failure) == (Outcome.FAILED, "DeadlinePassed")
    assert over.finished_us is not None
    assert abs(over.finished_us - over.deadline_us) < 5_000_000
    await world.stop()
    world.check_over()
