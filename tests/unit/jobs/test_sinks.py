"""Which sink gets a card: the chain of S-1 on a Discord that holds the truth, in virtual time."""

from __future__ import annotations

import pytest

from bot.jobs.ports import DeliveryPostponed, Trouble
from storage.types import JobStatus, Sink
from tests.unit.jobs.fake_messages import CARD_BASE, DM_BASE, lost, passing, refusal
from tests.unit.jobs.scene import MEBIBYTE, Scene
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import MIRA, STUDIO


@virtually
async def test_the_card_becomes_the_outcome_long_after_the_token_has_ended() -> None:
    """F-92: the bot edits by its own right."""
    scene = Scene()
    job = scene.succeed(await scene.carded(token=False))
    delivered = await scene.deliver(job)
    (shown,) = scene.discord.of(job)
    assert (delivered.sink, delivered.message_id) == (Sink.CARD, shown.id)
    assert delivered.is_uploaded
    assert shown.has_outcome
    assert scene.discord.pings(job) == 0


@virtually
async def test_where_the_bot_may_not_edit_the_token_does_while_it_lives() -> None:
    """F-89: the token needs no right in the channel."""
    scene = Scene()
    job = scene.succeed(await scene.carded())
    scene.discord.channels[STUDIO].is_open = False
    delivered = await scene.deliver(job)
    assert (delivered.sink, delivered.message_id) == (Sink.TOKEN, CARD_BASE + job.id)
    assert len(scene.discord.with_outcome(job)) == 1


@virtually
async def test_with_the_channel_closed_and_the_token_dead_it_comes_by_dm() -> None:
    """F-89, F-92: and it says where it should have stood; the channel is left alone for a while."""
    scene = Scene()
    jobs = [scene.succeed(await scene.carded(token=False)) for _ in range(3)]
    scene.discord.channels[STUDIO].is_open = False
    before = len(scene.discord.requests)
    for job in jobs:
        assert (await scene.deliver(job)).sink is Sink.DM
        (shown,) = scene.discord.with_outcome(job)
        assert shown.channel_id == DM_BASE + MIRA
        assert shown.showing.moved_from == STUDIO
    assert sum(channel == STUDIO for _, channel in scene.discord.requests[before:]) == 1


@virtually
async def test_a_closed_dm_leaves_the_list() -> None:
    """F-99: which cannot fail."""
    scene = Scene()
    job = scene.succeed(await scene.carded(token=False))
    scene.discord.channels[STUDIO].is_open = False
    scene.discord.closed_dms.add(MIRA)
    delivered = await scene.deliver(job)
    assert (delivered.sink, delivered.message_id) == (Sink.LIST, None)


@virtually
async def test_a_deleted_card_comes_once_more_and_pings_its_owner() -> None:
    """F-90."""
    scene = Scene()
    job = await scene.carded()
    assert job.card_message_id is not None
    scene.discord.delete(job.card_message_id)
    delivered = await scene.deliver(scene.succeed(job))
    assert delivered.sink is Sink.MESSAGE
    assert scene.discord.pings(job) == 1


@virtually
async def test_a_filter_sends_it_by_dm_and_the_channel_is_not_tried_again() -> None:
    """F-97: the same words would be taken again; the token's edit, too."""
    scene = Scene()
    job = scene.succeed(await scene.carded())
    scene.discord.channels[STUDIO].has_filter = True
    assert (await scene.deliver(job)).sink is Sink.DM
    assert scene.discord.count("edit_by_token") == 1  # the card itself
    assert scene.discord.count("create") == 1


@virtually
async def test_a_file_that_is_too_large_becomes_a_link_in_the_same_sink() -> None:
    """F-96."""
    scene = Scene()
    job = await scene.carded()
    job = scene.succeed(job, size_bytes=99 * MEBIBYTE, source_url="https://files.example/a.png")
    delivered = await scene.deliver(job)
    assert (delivered.sink, delivered.is_uploaded) == (Sink.CARD, False)
    (shown,) = scene.discord.with_outcome(job)
    assert not shown.showing.takes_files


@virtually
async def test_a_large_file_without_a_link_waits_in_the_list() -> None:
    """F-96: the words arrive, the file is fetched with `/jobs show`."""
    scene = Scene()
    job = scene.succeed(await scene.carded(), size_bytes=99 * MEBIBYTE)
    delivered = await scene.deliver(job)
    assert (delivered.sink, delivered.message_id) == (Sink.LIST, job.card_message_id)


@virtually
async def test_a_rate_limit_is_waited_out_by_whoever_asks_again() -> None:
    """F-84: an hour is no reason for another sink."""
    scene = Scene()
    job = scene.succeed(await scene.carded())
    scene.discord.faults["edit"] = [passing(retry_after_s=3_600.0)]
    with pytest.raises(DeliveryPostponed) as postponed:
        await scene.deliver(job)
    assert postponed.value.retry_after_s == 3_600.0
    assert (await scene.deliver(job)).sink is Sink.CARD


@virtually
async def test_an_edit_whose_answer_got_lost_is_repeated_in_place() -> None:
    """Edits may be repeated at will (S-7)."""
    scene = Scene()
    job = scene.succeed(await scene.carded())
    scene.discord.faults["edit"] = [lost()]
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert (await scene.deliver(job)).sink is Sink.CARD
    assert len(scene.discord.of(job)) == 1


@virtually
async def test_posted_and_deleted_within_the_window_counts_as_delivered() -> None:
    """F-91."""
    scene = Scene()
    job = await scene.carded()
    scene.discord.delete(job.card_message_id or 0)
    job = scene.succeed(job)
    scene.discord.faults["create"] = [refusal(Trouble.GONE)]
    delivered = await scene.deliver(job)
    assert (delivered.sink, delivered.message_id) == (Sink.MESSAGE, None)


# --- Progress ------------------------------------------------------------------------------------


@virtually
async def test_progress_asks_a_closed_channel_once() -> None:
    """F-89, I-32: a hundred jobs and a hundred steps are no reason for ten thousand refusals."""
    scene = Scene()
    jobs = [await scene.carded(token=False) for _ in range(3)]
    scene.discord.channels[STUDIO].is_open = False
    before = len(scene.discord.requests)
    for job in jobs:
        scene.start(job)
        for _ in range(20):
            assert await scene.sinks.show(scene.card(job)) == job.card_message_id
            await scene.clock.sleep(5)
    assert len(scene.discord.requests) == before + 1
    await scene.clock.sleep(600)
    scene.discord.channels[STUDIO].is_open = True
    for job in jobs:
        await scene.sinks.show(scene.card(job))
        assert scene.discord.of(job)[0].job.status is JobStatus.RUNNING


@virtually
async def test_a_card_that_was_refused_is_not_looked_for_again() -> None:
    """F-89, I-32: also in another process, which does not remember who refused it."""
    scene = Scene()
    job = scene.accepted(token=False)
    scene.discord.channels[STUDIO].is_open = False
    await scene.sinks.show(scene.card(job))
    scene.build()
    before = len(scene.discord.requests)
    for _ in range(20):
        await scene.sinks.show(scene.card(job))
        await scene.clock.sleep(5)
    assert len(scene.discord.requests) == before


@virtually
async def test_progress_goes_by_the_token_where_the_bot_may_not_edit() -> None:
    """F-89: while it lives; the refusal is remembered all the same."""
    scene = Scene()
    job = await scene.carded()
    scene.discord.channels[STUDIO].is_open = False
    scene.start(job)
    assert await scene.sinks.show(scene.card(job)) == job.card_message_id
    scene.fail(job)
    assert (await scene.deliver(job)).sink is Sink.TOKEN
    assert scene.discord.count("edit") == 1


@virtually
async def test_what_changes_nothing_is_not_sent_and_a_late_first_card_neither() -> None:
    """Edits are limited; the command's own card may come after the engine's."""
    scene = Scene()
    job = await scene.carded()
    waiting = scene.card(job)
    requests = len(scene.discord.requests)
    await scene.sinks.show(waiting)
    assert len(scene.discord.requests) == requests
    scene.start(job)
    await scene.sinks.show(scene.card(job))
    await scene.sinks.show_first(waiting)
    assert scene.discord.of(job)[0].job.status is JobStatus.RUNNING


@virtually
async def test_before_the_login_nothing_is_sent() -> None:
    """S-10: the engine works before Discord does."""
    scene = Scene()
    job = await scene.carded()
    scene.restart()
    scene.discord.is_up = False
    requests = len(scene.discord.requests)
    assert await scene.sinks.show(scene.card(job)) is None  # to be tried again
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(scene.succeed(job))
    assert len(scene.discord.requests) == requests


@virtually
async def test_a_deleted_card_stays_away_until_there_is_an_outcome() -> None:
    """F-90: by token, too."""
    scene = Scene()
    job = await scene.carded()
    scene.discord.delete(job.card_message_id or 0)
    scene.start(job)
    for _ in range(3):
        assert await scene.sinks.show(scene.card(job)) is None
    assert scene.discord.count("edit") == 1
    assert scene.discord.of(job) == []


# --- Around --------------------------------------------------------------------------------------


@virtually
async def test_an_order_by_dm_has_no_second_dm() -> None:
    """F-99: then the list."""
    scene = Scene()
    job = scene.succeed(scene.accepted(token=False, channel_id=DM_BASE + MIRA))
    scene.discord.closed_dms.add(MIRA)
    assert (await scene.deliver(job)).sink is Sink.LIST


@virtually
async def test_a_member_who_takes_no_dms_is_asked_once_in_a_while() -> None:
    """F-99, I-32."""
    scene = Scene()
    scene.discord.closed_dms.add(MIRA)
    scene.discord.channels[STUDIO].is_open = False
    for _ in range(5):
        job = scene.fail(scene.accepted(token=False))
        assert (await scene.bring(job)).sink is Sink.LIST
    assert scene.discord.requests.count(("create", DM_BASE + MIRA)) == 1


@virtually
async def test_a_silent_discord_is_given_up_in_time() -> None:
    """The engine's lease ends; nothing may still be under way then."""
    scene = Scene()
    job = scene.succeed(await scene.carded())
    scene.discord.slow_s = 1_000.0
    with pytest.raises(DeliveryPostponed):
        await scene.deliver(job)
    assert scene.clock.monotonic_s() < 130


@virtually
async def test_a_mistake_of_ours_leaves_the_outcome_in_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine must not stop over a card."""
    scene = Scene()
    job = scene.succeed(await scene.carded())
    monkeypatch.setattr(type(scene.discord), "edit", None)
    scene.restart()
    assert (await scene.deliver(job)).sink is Sink.LIST


@virtually
async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs and closed channels come and go for months; forgetting costs a request at most."""
    monkeypatch.setattr("bot.jobs.sinks.SHOWN_CARDS_MAX", 1)
    monkeypatch.setattr("bot.jobs.sinks.CLOSED_CHANNELS_MAX", 1)
    scene = Scene()
    jobs = [scene.succeed(await scene.carded(token=False)) for _ in range(2)]
    scene.discord.channels[STUDIO].is_open = False
    scene.discord.closed_dms.add(MIRA)
    for job in jobs:
        assert (await scene.deliver(job)).sink is Sink.LIST
    assert scene.discord.requests.count(("edit", STUDIO)) == 2
