"""The card of an order whose interaction is over: posted or found once (S-7, F-4)."""

from __future__ import annotations

import pytest

from bot.jobs.ports import DeliveryPostponed
from storage.outbox import PostState, Purpose
from storage.types import JobStatus, Sink
from tests.unit.jobs.fake_messages import lost
from tests.unit.jobs.scene import Scene
from tests.unit.jobs.test_posting import row, unrecorded_card
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import STUDIO


@virtually
async def test_a_card_that_nobody_can_look_for_is_not_posted_twice() -> None:
    """Progress is not worth a double; the outcome comes by itself."""
    scene = Scene()
    job = scene.accepted(token=False)
    scene.discord.channels[STUDIO].has_history = False
    scene.discord.faults["create"] = [lost()]
    assert await scene.sinks.show(scene.card(job)) is None
    await scene.clock.sleep(600)
    assert await scene.sinks.show(scene.card(job)) is None
    assert len(scene.discord.of(job)) == 1
    assert row(scene, job, Purpose.STATUS).state is PostState.DEAD


@virtually
async def test_a_card_that_was_posted_and_deleted_stays_away() -> None:
    """F-90, F-91."""
    scene = Scene()
    job = scene.accepted(token=False)
    scene.discord.faults["create"] = [lost()]
    assert await scene.sinks.show(scene.card(job)) is None
    scene.discord.delete(scene.discord.of(job)[0].id)
    assert await scene.sinks.show(scene.card(job)) is None
    scene.start(job)
    assert await scene.sinks.show(scene.card(job)) is None
    assert scene.discord.count("create") == 2


@virtually
async def test_a_posted_card_that_was_not_written_down_is_known_to_the_outbox() -> None:
    """F-4: the process ended between the two."""
    scene = Scene()
    job = scene.accepted(token=False)
    message_id = await scene.sinks.show(scene.card(job))
    scene.restart()
    scene.discord.channels[STUDIO].has_history = False
    scene.succeed(job)
    done = await scene.bring(job)
    assert (done.sink, done.card_message_id) == (Sink.CARD, message_id)


@virtually
async def test_a_card_is_looked_for_before_it_is_posted() -> None:
    """F-4: shown by the token, never written down, and the token has ended."""
    scene = Scene()
    job = scene.accepted()
    await scene.sinks.show(scene.card(job))
    await scene.clock.sleep(16 * 60)
    scene.restart()
    scene.start(job)
    assert await scene.sinks.show(scene.card(job)) is not None
    (shown,) = scene.discord.of(job)
    assert shown.job.status is JobStatus.RUNNING


@virtually
async def test_a_card_that_cannot_be_looked_for_now_is_looked_for_later() -> None:
    """A second message beside it would be worse than a little patience."""
    scene = Scene()
    job = await unrecorded_card(scene)
    scene.restart()
    scene.discord.faults["find"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert (await scene.bring(job)).sink is Sink.CARD
    scene.check_shown(job)
