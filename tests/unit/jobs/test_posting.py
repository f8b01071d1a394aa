"""The process ends around a create; whatever the delay, one message stands there (S-7).

Each life begins with an outcome that is settled and nowhere shown. It runs until its fuse burns, at
every point in turn, and a new process goes on after the delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update

from bot.jobs.delivering import Deliverer
from bot.jobs.ports import DeliveryPostponed, MessageTrouble, Showing, Shown, Trouble
from bot.jobs.posting import Poster
from bot.limits import NONCE_WINDOW_S
from storage import outbox, schema
from storage.errors import StoreUnavailable
from storage.outbox import Posting, PostState, Purpose
from storage.types import Job, JobStatus, Sink
from tests.unit.jobs.fake_messages import Channel, lost, passing, refusal
from tests.unit.jobs.fakes import Fuse
from tests.unit.jobs.scene import MEBIBYTE, Scene
from tests.unit.jobs.virtual import Crash, LoopClock, virtually
from tests.unit.jobs.world import STUDIO

RESTARTS_S = (1, 60, 110, 130, 400, 2_000)
"""F-16."""
POINTS_MAX = 40
HOUR_US = 3_600_000_000
Situation = Callable[[Scene], Awaitable[Job]]


class SetBack(LoopClock):
    """Ours, an hour behind Discord's."""

    def now_us(self) -> int:
        return super().now_us() - HOUR_US


async def deleted_card(scene: Scene) -> Job:
    return scene.succeed(await scene.without_card())


async def never_shown(scene: Scene) -> Job:
    """The process ended between the acceptance and the card, and stayed away."""
    return scene.succeed(scene.accepted(token=False))


async def unrecorded_card(scene: Scene) -> Job:
    """The same, but the card had been shown by the token, which is dead now."""
    job = scene.accepted()
    await scene.sinks.show(scene.card(job))
    await scene.clock.sleep(16 * 60)
    return scene.succeed(job)


async def closed_channel(scene: Scene) -> Job:
    job = await scene.carded(token=False)
    scene.discord.channels[STUDIO].is_open = False
    return scene.fail(job)


OTHERS: tuple[Situation, ...] = (never_shown, unrecorded_card, closed_channel)


async def deliver_through(situation: Situation, *, at: int, down_s: float) -> Scene | None:
    """One life with a crash at this point; None when it was never reached."""
    scene = Scene()
    job = await situation(scene)
    scene.restart(Fuse(at=at))
    try:
        await scene.bring(job)
    except Crash:
        await scene.clock.sleep(down_s)
        scene.restart()
        await scene.bring(job)
        scene.check_shown(job)
        assert scene.discord.doubles == 0
        return scene
    return None


@pytest.mark.parametrize(
    ("situation", "down_s"),
    [(deleted_card, down_s) for down_s in RESTARTS_S]
    + [(other, down_s) for other in OTHERS for down_s in (60, 400)],
)
@virtually
async def test_one_message_whatever_the_point_and_the_delay(
    situation: Situation, down_s: float
) -> None:
    """F-15, F-16, F-87; I-22, I-23, I-27, I-28."""
    sinks = set()
    for at in range(POINTS_MAX):
        scene = await deliver_through(situation, at=at, down_s=down_s)
        if scene is None:
            break
        job = scene.all_jobs()[0]
        assert len(scene.discord.with_outcome(job)) == 1
        sinks.add(job.sink)
    assert at >= 5, "the fuse is not where the effects are"
    expected: dict[Situation, set[Sink]] = {
        deleted_card: {Sink.MESSAGE},
        never_shown: {Sink.MESSAGE, Sink.CARD},
        unrecorded_card: {Sink.CARD},
        closed_channel: {Sink.DM},
    }
    assert sinks <= expected[situation]


# --- Answers that get lost -----------------------------------------------------------------------


@virtually
async def test_a_lost_answer_makes_no_second_message() -> None:
    """F-86: the same nonce within the window, by the production engine."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost(), lost()]
    await scene.boot()
    await scene.delivered(job)
    await scene.stop()
    scene.check_over()
    assert scene.discord.pings(job) == 1
    assert scene.discord.count("create") == 3
    assert scene.discord.count("find") == 0


@virtually
async def test_a_message_that_never_came_is_posted_without_its_ping() -> None:
    """F-87, I-28: somebody may have seen and deleted it; a lost ping is allowed."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost(made=False)]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    await scene.clock.sleep(600)
    await scene.bring(job)
    scene.check_shown(job)
    assert scene.discord.pings(job) == 0
    assert not scene.discord.with_outcome(job)[0].showing.is_marked


@virtually
async def test_where_nobody_can_look_it_comes_again_and_says_so() -> None:
    """S-7: twice and marked is better than never; the ping is not repeated."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.channels[STUDIO].has_history = False
    scene.discord.faults["create"] = [lost(), lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    await scene.clock.sleep(600)
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    await scene.bring(job)
    first, second = scene.discord.with_outcome(job)
    assert (first.showing.is_marked, second.showing.is_marked) == (False, True)
    assert scene.discord.pings(job) == 1
    assert row(scene, job, Purpose.RESULT).windows == 2


@virtually
async def test_a_create_is_cut_off_where_its_nonce_ends() -> None:
    """S-7: what leaves later would be protected by nothing."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    await scene.clock.sleep(100)
    scene.discord.slow_s = 60.0
    began_s = scene.clock.monotonic_s()
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert scene.clock.monotonic_s() - began_s < 25
    scene.discord.slow_s = 0.05
    await scene.bring(job)
    scene.check_shown(job)


@virtually
async def test_a_message_found_by_its_nonce_is_brought_up_to_date() -> None:
    """The first try made it with what was true then."""
    scene = Scene()
    job = scene.accepted(token=False)
    scene.discord.faults["create"] = [lost()]
    assert await scene.sinks.show(scene.card(job)) is None
    scene.discord.channels[STUDIO].has_history = False
    scene.start(job)
    message_id = await scene.sinks.show(scene.card(job))
    (shown,) = scene.discord.of(job)
    assert message_id == shown.id
    assert shown.job.status is JobStatus.RUNNING


@virtually
async def test_two_that_want_the_same_message_send_it_once() -> None:
    """Compare-and-set: who comes second looks again later."""
    scene = Scene()
    job = await deleted_card(scene)
    poster = Poster(messages=scene.discord, database=scene.database, clock=scene.clock)
    showing = Showing(card=scene.card(job), ping=True)
    first, second = await asyncio.gather(
        *(poster.post(showing, purpose=Purpose.RESULT, channel_id=STUDIO) for _ in range(2)),
        return_exceptions=True,
    )
    assert isinstance(first, Shown)
    assert isinstance(second, MessageTrouble)
    assert second.trouble is Trouble.PASSES
    assert scene.discord.count("create") == 1


# --- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("retry_after_s", [30.0, 900.0])
@virtually
async def test_a_limit_proves_nothing(*, made: bool, retry_after_s: float) -> None:
    """F-84 with F-86; I-27, I-28: it answers the last of discord.py's own tries of one send.

    One before it may have made the message, unheard behind a 502.
    """
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [passing(retry_after_s, made=made)]
    with pytest.raises(DeliveryPostponed) as postponed:
        await scene.deliver(job)
    assert postponed.value.retry_after_s == retry_after_s
    assert row(scene, job, Purpose.RESULT).state is PostState.SENDING
    await scene.clock.sleep(retry_after_s)
    assert (await scene.bring(job)).sink is Sink.MESSAGE
    scene.check_shown(job)
    is_in_window = retry_after_s < NONCE_WINDOW_S
    assert scene.discord.doubles == 0
    assert scene.discord.pings(job) == (made or is_in_window)
    assert scene.discord.count("find") == (not is_in_window)


@virtually
async def test_a_file_that_is_too_large_proves_nothing() -> None:
    """F-96 with F-86; I-27: the try before was made, and the process ends before the link goes."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [refusal(Trouble.TOO_LARGE, made=True), lost(made=False)]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert row(scene, job, Purpose.RESULT).state is PostState.SENDING
    scene.restart()
    await scene.clock.sleep(600)
    assert (await scene.bring(job)).sink is Sink.MESSAGE
    scene.check_shown(job)
    assert (scene.discord.doubles, scene.discord.pings(job)) == (0, 1)


@pytest.mark.parametrize("was_right", [True, False])
@virtually
async def test_a_clock_that_is_set_back_ends_the_window(*, was_right: bool) -> None:
    """F-118 with F-86; I-27, I-28: nobody knows how long ago it was sent, so the history is asked.

    Either the clock was right then and is wrong now, or it was ahead and was put right.
    """
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    await scene.clock.sleep(600)
    if was_right:
        scene.clock = clock = SetBack()
        scene.restart()
        assert clock.now_us() < (row(scene, job, Purpose.RESULT).first_sent_us or 0)
    else:
        begun = update(schema.outbox).values(first_sent_us=scene.clock.now_us() + HOUR_US)
        scene.inner.run(lambda connection: connection.execute(begun))
        scene.restart()
    assert (await scene.bring(job)).sink is Sink.MESSAGE
    scene.check_shown(job)
    assert scene.discord.count("create") == 1
    assert (scene.discord.doubles, scene.discord.pings(job)) == (0, 1)


@virtually
async def test_a_limit_after_a_lost_answer_proves_nothing() -> None:
    """F-84 with F-86: the first try may have made it."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost(), passing()]
    for _ in range(2):
        with pytest.raises(DeliveryPostponed):
            await scene.deliver(job)
    assert row(scene, job, Purpose.RESULT).state is PostState.SENDING
    await scene.bring(job)
    scene.check_shown(job)


@virtually
async def test_a_right_that_was_lost_after_a_lost_answer_is_looked_behind() -> None:
    """F-89 with F-86: the message is there, and no DM beside it."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    scene.discord.channels[STUDIO].is_writable = False
    assert (await scene.bring(job)).sink is Sink.MESSAGE
    scene.check_shown(job)


@pytest.mark.parametrize(("made", "sink"), [(True, Sink.MESSAGE), (False, Sink.DM)])
@virtually
async def test_a_refusal_of_a_repeated_try_is_looked_behind(*, made: bool, sink: Sink) -> None:
    """I-23, F-89 with F-86: discord.py itself had tried it before, and was answered 502."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [refusal(Trouble.CLOSED, made=made, repeated=True)]
    assert (await scene.bring(job)).sink is sink
    assert scene.discord.count("find") == 1
    scene.check_shown(job)


@pytest.mark.parametrize(
    "channel", [Channel(is_writable=False, has_history=one) for one in (True, False)]
)
@virtually
async def test_what_is_not_to_be_found_there_goes_by_dm(channel: Channel) -> None:
    """F-89: the channel's row is dead, and nobody asks there again."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost(made=False)]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    scene.discord.channels[STUDIO] = channel
    scene.discord.faults["open_dm"] = [passing()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert row(scene, job, Purpose.RESULT).cause == "closed"
    creates = scene.discord.requests.count(("create", STUDIO))
    scene.restart()
    assert (await scene.bring(job)).sink is Sink.DM
    assert scene.discord.requests.count(("create", STUDIO)) == creates
    scene.check_shown(job)


@virtually
async def test_a_history_that_does_not_answer_is_waited_for() -> None:
    """Before that nobody knows where the message is."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    scene.discord.channels[STUDIO].is_writable = False
    scene.discord.faults["find"] = [lost(), lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    await scene.clock.sleep(600)
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert (await scene.bring(job)).sink is Sink.MESSAGE


@virtually
async def test_a_file_that_is_too_large_for_a_new_message_goes_as_a_link() -> None:
    """F-96: the same row, the same nonce, the ping as always."""
    scene = Scene()
    job = await scene.without_card()
    job = scene.succeed(job, size_bytes=99 * MEBIBYTE, source_url="https://files.example/a.png")
    scene.discord.faults["create"] = [lost(made=False)]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    done = await scene.bring(job)
    assert done.sink is Sink.MESSAGE
    assert scene.discord.pings(job) == 1
    scene.check_shown(job)


# --- Deletions -----------------------------------------------------------------------------------


@virtually
async def test_deleted_unheard_within_the_window_counts_as_delivered() -> None:
    """F-91: the nonce finds the message, and that it was deleted."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.discord.faults["create"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    scene.discord.delete(scene.discord.with_outcome(job)[0].id)
    first = await scene.deliver(job)
    again = await scene.deliver(job)
    assert (first.sink, first.message_id) == (again.sink, again.message_id) == (Sink.MESSAGE, None)
    assert scene.discord.with_outcome(job) == []
    assert scene.discord.pings(job) == 1


@virtually
async def test_deleted_again_it_waits_in_the_list() -> None:
    """F-90: and no DM is sent after somebody who does not want it."""
    scene = Scene()
    job = await deleted_card(scene)
    delivered = await scene.deliver(job)
    scene.discord.delete(delivered.message_id or 0)
    assert (await scene.bring(job)).sink is Sink.LIST
    assert scene.discord.with_outcome(job) == []


@virtually
async def test_a_message_that_stands_needs_no_second_one_when_the_channel_closes() -> None:
    """I-23, F-89: it was made with the outcome; only that it is there was not written down."""
    scene = Scene()
    job = await deleted_card(scene)
    await scene.deliver(job)
    scene.restart()
    scene.discord.channels[STUDIO].is_open = False
    assert (await scene.bring(job)).sink is Sink.MESSAGE
    scene.check_shown(job)


# --- What may be there comes first ---------------------------------------------------------------


@virtually
async def test_a_dm_that_may_be_there_is_finished_before_the_channel_is_tried() -> None:
    """I-23: staff opened the channel again between two tries."""
    scene = Scene()
    job = await closed_channel(scene)
    scene.discord.faults["create"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    scene.discord.channels[STUDIO].is_open = True
    scene.restart()
    assert (await scene.bring(job)).sink is Sink.DM
    scene.check_shown(job)


@virtually
async def test_a_message_that_may_be_there_is_looked_for_in_a_channel_known_as_closed() -> None:
    """I-23, F-89: another job learned it meanwhile."""
    scene = Scene()
    job, other = await deleted_card(scene), await deleted_card(scene)
    scene.discord.faults["create"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    scene.discord.channels[STUDIO].is_writable = False
    assert (await scene.bring(other)).sink is Sink.DM
    assert (await scene.bring(job)).sink is Sink.MESSAGE
    scene.check_shown(job)


@virtually
async def test_a_card_that_cannot_be_changed_is_not_taken_for_the_new_message() -> None:
    """Both name the job; only the card's id is known."""
    scene = Scene()
    job = scene.succeed(await scene.carded(token=False))
    scene.discord.faults["edit"] = [refusal(Trouble.REFUSED)]
    scene.discord.faults["create"] = [lost(made=False)]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    scene.discord.messages[job.card_message_id or 0].created_us = scene.clock.now_us()
    await scene.clock.sleep(600)
    done = await scene.bring(job)
    assert done.sink is Sink.MESSAGE
    assert done.card_message_id != job.card_message_id


@virtually
async def test_a_card_that_nobody_wrote_down_is_not_taken_for_the_new_message() -> None:
    """I-23: it says that the job waits; the way to it ended before it could say more."""
    scene = Scene()
    job = scene.accepted()
    await scene.sinks.show(scene.card(job))
    scene.restart()
    scene.fail(job)
    scene.discord.faults["edit_by_token"] = [refusal(Trouble.TOKEN_DEAD)]
    scene.discord.faults["create"] = [refusal(Trouble.BLOCKED, repeated=True)]
    assert (await scene.bring(job)).sink is Sink.DM
    assert len(scene.discord.with_outcome(job)) == 1


# --- Around --------------------------------------------------------------------------------------


@virtually
async def test_a_database_that_does_not_answer_postpones_the_delivery() -> None:
    """F-110: nothing is sent that was not written down before."""
    scene = Scene()
    job = await deleted_card(scene)
    scene.database.failures = [StoreUnavailable(cause="locked")]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert scene.discord.count("create") == 0
    await scene.bring(job)
    scene.check_shown(job)


@virtually
async def test_after_a_day_the_list_has_it_and_the_outbox_is_empty() -> None:
    """S-7: no limit in count, but one in age."""
    scene = Scene()
    job = await deleted_card(scene)
    await scene.clock.sleep(86_000)
    scene.discord.faults["create"] = [lost(made=False) for _ in range(100)]
    await scene.boot()
    done = await scene.delivered(job, within_s=1_000)
    await scene.stop()
    assert done.sink is Sink.LIST
    assert row(scene, job, Purpose.RESULT).state is PostState.DEAD
    scene.check_over()


@virtually
async def test_a_stale_timer_posts_nothing() -> None:
    """S-7: the row is looked at again before anything is sent."""
    scene = Scene()
    job = await deleted_card(scene)
    done = await scene.bring(job)
    requests = len(scene.discord.requests)
    await Deliverer(scene.bench).deliver(job, to_list=False)
    assert len(scene.discord.requests) == requests
    assert scene.fresh(job) == done


def row(scene: Scene, job: Job, purpose: Purpose) -> Posting:
    found = scene.inner.view(outbox.get, job_id=job.id, purpose=purpose)
    assert found is not None
    return found
