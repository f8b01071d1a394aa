"""Outcomes reach the first sink that takes them, once, whatever Discord does (S-1, S-7)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from bot.jobs.ports import DeliveryPostponed
from bot.jobs.sinks import Sinks
from sandbox.discord.seed import GENERAL_ID, MIRA_ID
from storage.types import Sink
from tests.cogs.mishaps import (
    CHANNEL,
    CREATE,
    EDIT,
    close_channel,
    paths,
    refused,
    remove,
    without_token,
)
from tests.cogs.studio import Studio, gallery, labels, opened
from tests.cogs.town import words


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened() as made:
        yield made


# --- The first sink: the card itself -------------------------------------------------------------


async def test_the_card_becomes_the_picture(studio: Studio) -> None:
    """Same message, by the bot's own right, so that fifteen minutes do not matter."""
    job = await studio.order()
    card = await studio.card(job)

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    shown = await studio.message(card["id"])
    assert delivered.sink is Sink.CARD
    assert delivered.message_id == int(card["id"])
    assert [item["media"]["content_type"] for item in gallery(shown)] == ["image/png"]
    assert labels(shown) == ["Again", "Edit prompt", "4K", "Animate", "Delete"]
    assert "charged 2.4 credits · 17.6 left" in words(shown)
    assert len(await studio.town.from_bot()) == 1


async def test_delivering_again_replaces_the_file(studio: Studio) -> None:
    """A crash before the record makes the engine repeat it: one message, one attachment."""
    job = studio.foreman.succeed(await studio.order())
    facts = await studio.foreman.card(job)

    for _ in range(3):
        await studio.delivery.deliver(facts)

    (shown,) = await studio.town.from_bot()
    assert len(shown["attachments"]) == 1


async def test_a_spoiler_stays_hidden(studio: Studio) -> None:
    job = studio.foreman.succeed(await studio.order(spoiler=True))

    await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert [item["spoiler"] for item in gallery(shown)] == [True]


async def test_a_failure_is_a_reason_and_what_it_cost(studio: Studio) -> None:
    """What happened, who can mend it, the phrase, the reference."""
    job = await studio.order()
    job = studio.foreman.fail(job, "TaskFailed")

    await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert "The provider could not finish it" in words(shown)
    assert f"not charged · 20 left · job {job.short_id}" in words(shown)
    assert labels(shown) == ["Try again", "Edit prompt", "Delete"]


# --- The second: the interaction's token ---------------------------------------------------------


async def test_where_the_bot_may_not_edit_the_token_does(studio: Studio) -> None:
    """A channel closed to the bot: the token needs no permission while it lives."""
    job = studio.foreman.succeed(await studio.order())
    await refused(studio, "PATCH", EDIT, 403, 50001)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert delivered.sink is Sink.TOKEN
    assert gallery(shown)


async def test_a_card_that_was_never_recorded_is_found_through_the_token(studio: Studio) -> None:
    """A crash between the acceptance and the card."""
    job = studio.foreman.succeed(await studio.order())
    fresh = Sinks(messages=studio.town.bot.messages, clock=studio.inhabited.clock)
    facts = await studio.foreman.card(job)

    delivered = await fresh.deliver(replace(facts, job=replace(job, card_message_id=None)))

    (shown,) = await studio.town.from_bot()
    assert delivered.sink is Sink.TOKEN
    assert delivered.message_id == int(shown["id"])


# --- The third: a new message --------------------------------------------------------------------


async def test_a_deleted_card_comes_once_more_and_mentions_its_owner(studio: Studio) -> None:
    """F-90: with a fixed nonce, and nobody else is pinged."""
    job = await studio.order(prompt="@everyone <@&1> look")
    await remove(studio, studio.foreman.fresh(job).card_message_id)

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    (shown,) = await studio.town.from_bot()
    (create,) = await paths(studio, "POST", CHANNEL)
    assert delivered.sink is Sink.MESSAGE
    assert gallery(shown)
    assert shown["notified"] == [str(MIRA_ID)]
    assert len(create["body"]["nonce"]) <= 25
    assert create["body"]["enforce_nonce"]


async def test_an_answer_that_got_lost_makes_no_second_message(studio: Studio) -> None:
    """F-86: the message was made, the answer was not heard; the next try finds it."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    job = studio.foreman.succeed(job)
    await studio.town.fault(method="POST", path_regex=CREATE, drop=True, after_effect=True)

    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)
    delivered = await studio.foreman.deliver(studio.delivery, job)

    assert delivered.sink is Sink.MESSAGE
    assert len(await studio.town.from_bot()) == 1


async def test_outside_the_nonce_window_the_history_says_what_was_posted(studio: Studio) -> None:
    """F-87: Discord remembers a nonce for minutes only."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    job = studio.foreman.succeed(job)
    facts = await studio.foreman.card(job)
    first = await studio.delivery.deliver(facts)
    studio.town.sandbox.core.nonces._made.clear()

    second = await studio.delivery.deliver(facts)

    assert second.message_id == first.message_id
    assert len(await studio.town.from_bot()) == 1


async def test_a_prompt_that_names_another_job_is_not_mistaken_for_it(studio: Studio) -> None:
    """Or a member could have somebody else's result put into their own card."""
    victim = await studio.order()
    await remove(studio, studio.foreman.fresh(victim).card_message_id)
    other = await studio.order("tom", prompt=f"-# job {victim.short_id}")

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(victim))

    assert delivered.message_id != studio.foreman.fresh(other).card_message_id
    assert not gallery(await studio.card(other))


async def test_posted_and_deleted_counts_as_delivered(studio: Studio) -> None:
    """F-91: 10008 on a create says that its twin was there and is gone."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    facts = await studio.foreman.card(studio.foreman.succeed(job))
    first = await studio.delivery.deliver(facts)
    await remove(studio, first.message_id)

    second = await studio.delivery.deliver(facts)

    assert second.sink is Sink.MESSAGE
    assert second.message_id is None
    assert await studio.town.from_bot() == []


async def test_a_channel_that_takes_no_new_messages_is_left_for_the_dm(studio: Studio) -> None:
    """F-89: the card was deleted, and meanwhile the right to write was taken away."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    await refused(studio, "POST", CREATE, 404, 10003)

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    assert delivered.sink is Sink.DM


async def test_a_history_that_may_not_be_read_is_no_obstacle(studio: Studio) -> None:
    """S-7: created again, and the nonce still helps for minutes."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    await refused(studio, "GET", CREATE, 403, 50001)

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    assert delivered.sink is Sink.MESSAGE


async def test_a_history_that_does_not_come_is_waited_for(studio: Studio) -> None:
    """Nobody knows then whether it was posted."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    job = studio.foreman.succeed(job)
    await studio.town.fault(method="GET", path_regex=CREATE, status=503)

    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)


async def test_only_messages_since_the_order_are_looked_through(studio: Studio) -> None:
    """Older ones cannot show the job."""
    await studio.town.say("tom", "long ago")
    old = studio.town.sandbox.world.visible_messages(GENERAL_ID)[0]
    old.created_ms -= 3_600_000
    studio.town.sandbox.world.channels[GENERAL_ID].messages = {old.id - (3_600_000 << 22): old}
    old.id -= 3_600_000 << 22
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    assert delivered.sink is Sink.MESSAGE


# --- The fourth and the last: a DM, the list -----------------------------------------------------


async def test_a_closed_channel_sends_the_result_by_dm(studio: Studio) -> None:
    """F-89: and says where it should have been."""
    job = without_token(studio.foreman.succeed(await studio.order()))
    await close_channel(studio)

    delivered = await studio.delivery.deliver(
        replace(await studio.foreman.card(job), job=without_token(job))
    )

    (shown,) = await studio.town.from_bot(channel=await studio.town.dm("mira"))
    assert delivered.sink is Sink.DM
    assert gallery(shown)
    assert f"I could not post it in <#{GENERAL_ID}>." in words(shown)


async def test_a_channel_that_refused_is_left_alone_for_a_while(studio: Studio) -> None:
    """F-89: ten thousand refusals in ten minutes get the whole machine banned."""
    jobs = [studio.foreman.succeed(await studio.order(resolution="1k")) for _ in range(3)]
    await close_channel(studio)
    before = len(await paths(studio, "PATCH", CHANNEL))

    for job in jobs:
        facts = replace(await studio.foreman.card(job), job=without_token(job))
        assert (await studio.delivery.deliver(facts)).sink is Sink.DM

    assert len(await paths(studio, "PATCH", CHANNEL)) == before + 1
    assert await paths(studio, "POST", CHANNEL) == []


async def test_a_deleted_channel_is_no_different(studio: Studio) -> None:
    job = studio.foreman.succeed(await studio.order())
    await studio.town.call("DELETE", f"channels/{GENERAL_ID}")

    facts = replace(await studio.foreman.card(job), job=without_token(job))

    assert (await studio.delivery.deliver(facts)).sink is Sink.DM


async def test_a_closed_dm_leaves_the_list(studio: Studio) -> None:
    """F-99: `/jobs` cannot fail."""
    job = studio.foreman.succeed(await studio.order())
    await close_channel(studio)
    await studio.town.call("PATCH", f"users/{MIRA_ID}", {"dms_open": False})

    facts = replace(await studio.foreman.card(job), job=without_token(job))
    delivered = await studio.delivery.deliver(facts)

    assert delivered.sink is Sink.LIST
    assert delivered.message_id is None


async def test_a_filter_of_the_server_sends_it_by_dm(studio: Studio) -> None:
    """F-97: the same words would be taken in the channel again."""
    job = studio.foreman.succeed(await studio.order())
    await refused(studio, "PATCH", EDIT, 400, 200000)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    assert delivered.sink is Sink.DM
    assert await paths(studio, "POST", CHANNEL) == []


async def test_an_order_by_dm_that_cannot_be_answered_waits_in_the_list(studio: Studio) -> None:
    """There is no second DM beside the first."""
    channel = await studio.town.dm("mira")
    job = studio.foreman.succeed(await studio.order(channel=channel))
    await studio.town.call("PATCH", f"users/{MIRA_ID}", {"dms_open": False})

    facts = replace(await studio.foreman.card(job), job=without_token(job))

    assert (await studio.delivery.deliver(facts)).sink is Sink.LIST
