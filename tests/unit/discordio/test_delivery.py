"""Outcomes reach the first sink that takes them, once, whatever Discord does (S-1, S-7)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, update

from bot.jobs.ports import DeliveryPostponed
from sandbox.discord.seed import BOT_ID, GENERAL_ID, GUILD_ID, MIRA_ID
from storage.schema import outbox
from storage.types import Job, Sink
from tests.cogs.mishaps import (
    CHANNEL,
    CREATE,
    EDIT,
    READ_MESSAGE_HISTORY,
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
    assert f"charged 2.4 credits · job {job.short_id}" in words(shown)
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
    assert f"not charged · job {job.short_id}" in words(shown)
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
    fresh = studio.inhabited.sinks(studio.town.bot.messages)
    facts = await studio.foreman.card(job)

    delivered = await fresh.deliver(replace(facts, job=replace(job, card_message_id=None)))

    (shown,) = await studio.town.from_bot()
    assert delivered.sink is Sink.TOKEN
    assert delivered.message_id == int(shown["id"])


async def succeeded_without_a_card(studio: Studio) -> Job:
    """Its result needs a message of its own."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    return studio.foreman.succeed(job)


async def posted_without_an_answer(studio: Studio) -> Job:
    """A finished job whose card is gone, and whose new message was made unheard."""
    job = await succeeded_without_a_card(studio)
    await studio.town.fault(method="POST", path_regex=CREATE, drop=True, after_effect=True)
    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)
    return job


def age(studio: Studio, job: Job) -> None:
    """Let the nonce of the job's message be as old as after a long restart."""

    def body(connection: Connection) -> None:
        earlier = {"first_sent_us": outbox.c.first_sent_us - 130_000_000}
        connection.execute(update(outbox).where(outbox.c.job_id == job.id).values(earlier))

    studio.inhabited.database.run(body)


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
    job = await succeeded_without_a_card(studio)
    await studio.town.fault(method="POST", path_regex=CREATE, drop=True, after_effect=True)

    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)
    delivered = await studio.foreman.deliver(studio.delivery, job)

    assert delivered.sink is Sink.MESSAGE
    assert len(await studio.town.from_bot()) == 1


async def test_outside_the_nonce_window_the_history_says_what_was_posted(studio: Studio) -> None:
    """F-87: Discord remembers a nonce for minutes only."""
    job = await posted_without_an_answer(studio)
    studio.town.sandbox.core.nonces._made.clear()
    age(studio, job)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert (delivered.sink, delivered.message_id) == (Sink.MESSAGE, int(shown["id"]))
    assert shown["notified"] == [str(MIRA_ID)]
    assert len(await paths(studio, "POST", CHANNEL)) == 1


async def test_a_limit_after_an_unheard_success_makes_no_second_message(studio: Studio) -> None:
    """F-84 with F-86; I-27, I-28: discord.py tries a 502 once more, and that meets a long limit."""
    job = await succeeded_without_a_card(studio)
    limit = {"message": "x", "retry_after": 900.0, "global": False}
    await studio.town.fault(method="POST", path_regex=CREATE, status=502, after_effect=True)
    await studio.town.fault(method="POST", path_regex=CREATE, status=429, body=limit)
    with pytest.raises(DeliveryPostponed) as postponed:
        await studio.foreman.deliver(studio.delivery, job)
    assert postponed.value.retry_after_s == 900.0
    studio.town.sandbox.core.nonces._made.clear()
    age(studio, job)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert (delivered.sink, delivered.message_id) == (Sink.MESSAGE, int(shown["id"]))
    assert shown["notified"] == [str(MIRA_ID)]
    assert len(await paths(studio, "POST", CHANNEL)) == 2


async def test_a_refusal_after_an_unheard_success_is_looked_behind(studio: Studio) -> None:
    """F-89 with F-86; I-23: discord.py tries a 502 once more, and that one is refused."""
    job = await succeeded_without_a_card(studio)
    await studio.town.fault(method="POST", path_regex=CREATE, status=502, after_effect=True)
    await refused(studio, "POST", CREATE, 403, 50013)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert (delivered.sink, delivered.message_id) == (Sink.MESSAGE, int(shown["id"]))
    assert await paths(studio, "POST", "/users/@me/channels") == []
    assert len(await paths(studio, "POST", CHANNEL)) == 2


async def test_a_refusal_at_the_first_try_is_believed(studio: Studio) -> None:
    """F-89, I-32: also after a limit, which is no effect; nobody asks the history for it."""
    job = await succeeded_without_a_card(studio)
    limit = {"message": "x", "retry_after": 0.01, "global": False}
    await studio.town.fault(method="POST", path_regex=CREATE, status=429, body=limit)
    await refused(studio, "POST", CREATE, 403, 50013)
    asked = len(await paths(studio, "GET", CHANNEL))

    delivered = await studio.foreman.deliver(studio.delivery, job)

    assert delivered.sink is Sink.DM
    assert len(await paths(studio, "GET", CHANNEL)) == asked


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
    job = await posted_without_an_answer(studio)
    await remove(studio, (await studio.town.from_bot())[0]["id"])

    delivered = await studio.foreman.deliver(studio.delivery, job)

    assert (delivered.sink, delivered.message_id) == (Sink.MESSAGE, None)
    assert await studio.town.from_bot() == []


async def test_deleted_again_it_waits_in_the_list(studio: Studio) -> None:
    """F-90: whoever deletes it twice does not want it there."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    facts = await studio.foreman.card(studio.foreman.succeed(job))
    first = await studio.delivery.deliver(facts)
    await remove(studio, first.message_id)

    second = await studio.delivery.deliver(facts)

    assert second.sink is Sink.LIST
    assert await studio.town.from_bot() == []


async def test_a_channel_that_takes_no_new_messages_is_left_for_the_dm(studio: Studio) -> None:
    """F-89: the card was deleted, and meanwhile the right to write was taken away."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    await refused(studio, "POST", CREATE, 404, 10003)

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    assert delivered.sink is Sink.DM


async def test_a_history_that_may_not_be_read_is_no_obstacle(studio: Studio) -> None:
    """S-7: posted again, saying so, and without a second ping (I-28)."""
    job = await posted_without_an_answer(studio)
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(READ_MESSAGE_HISTORY)}
    await studio.town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)
    studio.town.sandbox.core.nonces._made.clear()
    age(studio, job)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    first, second = await studio.town.from_bot()
    assert delivered.message_id == int(second["id"])
    assert "(sent again after a restart)" in words(second)
    assert (first["notified"], second["notified"]) == ([str(MIRA_ID)], [])


async def test_a_history_that_does_not_come_is_waited_for(studio: Studio) -> None:
    """Nobody knows then whether it was posted."""
    job = await posted_without_an_answer(studio)
    age(studio, job)
    await studio.town.fault(method="GET", path_regex=CREATE, status=503)

    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)

    assert len(await studio.town.from_bot()) == 1


async def test_an_empty_history_is_believed_where_it_may_be_read(studio: Studio) -> None:
    """F-87: the create never arrived, so there is a new one, without a mark."""
    job = await studio.order()
    await studio.town.say("mira", "where is it?")
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    job = studio.foreman.succeed(job)
    await studio.town.fault(method="POST", path_regex=CREATE, drop=True)
    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)
    age(studio, job)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert delivered.message_id == int(shown["id"])
    assert "sent again" not in words(shown)


async def test_who_has_left_the_server_is_not_pinged(studio: Studio) -> None:
    """F-94: the result stands in the channel as for anybody."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    del studio.town.sandbox.world.members[MIRA_ID]

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    (shown,) = await studio.town.from_bot(user="tom")
    assert delivered.sink is Sink.MESSAGE
    assert gallery(shown)
    assert shown["notified"] == []


async def test_a_server_with_an_outage_is_waited_for(studio: Studio) -> None:
    """F-95: GUILD_DELETE with `unavailable` is no removal."""
    job = studio.foreman.succeed(await studio.order())
    state = studio.town.bot._connection
    state.parse_guild_delete({"id": str(GUILD_ID), "unavailable": True})

    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)


async def test_a_server_that_removed_the_bot_gets_the_result_by_dm(studio: Studio) -> None:
    """F-95: the channel says no, the member has it all the same."""
    job = studio.foreman.succeed(await studio.order())
    await studio.town.bot.wait_until_ready()
    studio.town.bot._connection.parse_guild_delete({"id": str(GUILD_ID)})
    await close_channel(studio)

    facts = replace(await studio.foreman.card(job), job=without_token(job))

    assert (await studio.delivery.deliver(facts)).sink is Sink.DM


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
    assert "17.6 left" in words(shown)


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
