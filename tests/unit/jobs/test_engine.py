"""The mover itself: leases, its own mistakes, a database that goes away, and worlds at random."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from bot.errors import ProviderInternalError, RateLimited
from bot.jobs.ports import DeliveryPostponed
from bot.limits import JOB_LEASE_S, STEP_ERRORS_MAX
from bot.providers.base import CreateVerdict, NotCreated
from storage import jobs
from storage.errors import StoreInUse, StoreUnavailable
from storage.types import JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import FakeProvider, Task, lost, made, nothing, unavailable
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import World

Plan = Callable[[FakeProvider, Task], CreateVerdict]


# --- Leases ---------------------------------------------------------------------------------------


@virtually
async def test_work_that_outlasts_its_lease_is_not_done_twice(world: World) -> None:
    """A download of minutes: its job is claimed again and again, and left alone."""
    world.files.slow_s = 5 * JOB_LEASE_S
    await world.boot()
    job = await world.request()
    done = await world.delivered(job, within_s=400)
    assert done.outcome is Outcome.SUCCEEDED
    assert len(world.files.fetched) == 1
    assert world.delivery.deliveries[job.id] == 1
    await world.stop()
    world.check_over()


@virtually
async def test_a_lease_taken_meanwhile_does_not_delay_the_next_move(world: World) -> None:
    """After long work the outcome is delivered at once, not when the second lease ends."""
    world.files.slow_s = 1.2 * JOB_LEASE_S
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.files.fetched != [])
    await world.delivered(job, within_s=1.2 * JOB_LEASE_S + 3)
    await world.stop()


@virtually
async def test_a_callback_during_long_work_is_not_lost(world: World) -> None:
    """I-35: it came while the job was leased, twice over; it is acted on afterwards."""
    world.provider.plans = [lost]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.call_back(job, body={"id": "task-invented"})
    world.provider.read_takes_s = 2.5 * JOB_LEASE_S
    await world.until(lambda: world.provider.gets != [])
    await world.clock.sleep(1.5 * JOB_LEASE_S)
    await world.call_back(job)
    world.provider.read_takes_s = 0.05
    done = await world.delivered(job, within_s=180)
    assert done.outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_restart_does_not_wait_for_the_former_leases(world: World) -> None:
    """S-10: who held them is gone; the provider's five seconds alone are waited for (F-65)."""
    world.files.slow_s = 20.0
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.files.fetched != [])
    await world.crash()
    world.files.slow_s = 0.1
    await world.boot()
    await world.delivered(job, within_s=8)
    times = [at_us for _task, at_us in world.provider.gets]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 5_000_000
    await world.stop()
    world.check_over()


# --- Mistakes -------------------------------------------------------------------------------------


@virtually
async def test_a_job_that_trips_us_ends_and_the_others_go_on(world: World) -> None:
    """A mistake of ours: tried five times, then the credits go back; told with a reference."""
    world.files.error = ZeroDivisionError()
    await world.boot()
    job = await world.request()
    done = await world.delivered(job)
    assert (done.failure, done.charged_ucr) == ("Unexpected", 0)
    assert len(world.files.fetched) == STEP_ERRORS_MAX
    world.files.error = None
    assert (await world.delivered(await world.request())).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_mistake_that_passes_is_forgotten(world: World) -> None:
    """Only mistakes in a row count."""
    url = "https://files.example/1.png"
    world.files.errors[url] = [ZeroDivisionError(), ZeroDivisionError()]
    await world.boot()
    assert (await world.delivered(await world.request())).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


# --- The database ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_a_database_that_goes_away_delays_and_loses_nothing(
    new_world: NewWorld, count: int
) -> None:
    """F-110: whatever was being written is written later, or done again."""

    @virtually
    async def play() -> None:
        world = new_world()
        await world.boot()
        job = await world.request()
        for _ in range(6):
            world.database.failures = [StoreUnavailable(cause="disk") for _ in range(count)]
            await world.clock.sleep(3)
        world.database.failures = []
        done = await world.delivered(job)
        assert done.outcome is Outcome.SUCCEEDED
        assert len(world.provider.creates) == 1
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_a_fenced_engine_stops_moving(world: World) -> None:
    """F-119: another process has the books; this one touches nothing more."""
    await world.boot()
    world.database.failures = [StoreInUse(path="x", pid=1, host="h") for _ in range(100)]
    job = await world.inner.transact(
        jobs.enqueue,
        job=world.planned(),
        allowance=world.allowance,
        now_us=world.clock.now_us(),
    )
    world.engine.wake()
    await world.clock.sleep(120)
    assert world.fresh(job).status is JobStatus.QUEUED
    assert world.provider.creates == []
    await world.stop()


# --- Worlds at random -----------------------------------------------------------------------------


def limited(provider: FakeProvider, task: Task) -> CreateVerdict:
    del provider, task
    error = RateLimited(provider="aivideo")
    return NotCreated(error=error, retryable=True, retry_after_s=3.0)


def slow(provider: FakeProvider, task: Task) -> CreateVerdict:
    task.ends_us = task.created_us + 900_000_000
    return made(provider, task)


def endless(provider: FakeProvider, task: Task) -> CreateVerdict:
    task.ends_us = None
    return made(provider, task)


def failing(provider: FakeProvider, task: Task) -> CreateVerdict:
    task.failure = "UpstreamError"
    return made(provider, task)


PLANS: list[Plan] = [made, made, made, lost, nothing, limited, slow, endless, failing]


@pytest.mark.parametrize("seed", range(12))
def test_a_random_world_ends_well(new_world: NewWorld, seed: int) -> None:
    """I-22 … I-25: faults, callbacks and crashes as they fall; each job ends, and ends once."""

    @virtually
    async def play() -> None:
        rng = random.Random(seed)
        world = new_world(seed=seed)
        world.calls_back = rng.random() < 0.7
        await world.boot()
        for _ in range(8):
            world.provider.plans = [rng.choice(PLANS) for _ in range(3)]
            if rng.random() < 0.4:
                world.provider.get_errors = [ProviderInternalError(provider="aivideo")] * 2
            if rng.random() < 0.3:
                world.delivery.troubles = [DeliveryPostponed(retry_after_s=rng.random() * 20)]
            if rng.random() < 0.3:
                world.files.errors["https://files.example/1.png"] = [unavailable()]
            if rng.random() < 0.3:
                world.database.failures = [StoreUnavailable(cause="disk")]
            with suppress(StoreUnavailable):
                await world.request(user_id=rng.randrange(1, 4))
            await world.clock.sleep(rng.choice([0.1, 0.5, 2.0, 30.0]))
            if rng.random() < 0.4:
                await world.crash()
                world.check()
                await world.clock.sleep(rng.choice([0.1, 20.0, 700.0]))
                await world.boot()
        world.provider.plans, world.provider.get_errors = [], []
        await world.until(
            lambda: all(job.status is JobStatus.DELIVERED for job in world.all_jobs())
        )
        world.end_of_the_world()
        await world.stop()
        world.check_over()
        await asyncio.sleep(0)

    play()
