"""A picture and a film from the order to the card, by each road."""

from __future__ import annotations

from storage.types import JobStatus, Outcome, Sink
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import PICTURE_UCR, World


@virtually
async def test_a_picture_is_made_paid_and_delivered(world: World) -> None:
    """Queued, submitted, polled, secured, settled, shown: once each."""
    await world.boot()
    job = await world.request()
    done = await world.delivered(job)
    assert done.outcome is Outcome.SUCCEEDED
    assert done.charged_ucr == PICTURE_UCR
    assert done.sink is Sink.CARD
    assert len(world.provider.creates) == 1
    assert world.delivery.deliveries[job.id] == 1
    await world.stop()
    world.check_over()


@virtually
async def test_a_callback_brings_the_result_at_once(world: World) -> None:
    """I-30: a stored callback is acted on within two seconds."""
    await world.boot()
    world.provider.task_takes_s = 7.0
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    await world.until(lambda: world.provider.gets != [])
    await world.clock.sleep(6)
    await world.call_back(job)
    await world.delivered(job, within_s=2)
    await world.stop()
    world.check_over()


@virtually
async def test_polling_alone_does_all_the_work(new_world: NewWorld) -> None:
    """F-64: without PUBLIC_URL no callback address is given, and none is needed."""
    world = new_world(public=False)
    await world.boot()
    job = await world.request()
    done = await world.delivered(job, within_s=120)
    assert done.outcome is Outcome.SUCCEEDED
    assert world.provider.callback_urls == [None]
    await world.stop()
    world.check_over()
