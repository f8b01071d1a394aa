"""A member asks, the answer streams in, the credits fall by exactly its price."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from tests.e2e.world import World, buttons, visible_text, whole_text

MODELS = ("gpt-5-4", "gemini-2.5-pro", "gemini-3.1-pro")
SHOWN_CHARGE = re.compile(r"charged ([\d.,]+) credits")


def charged(text: str) -> Decimal:
    found = SHOWN_CHARGE.search(text)
    assert found, text
    return Decimal(found[1].replace(",", ""))


@pytest.mark.parametrize("model", MODELS)
async def test_each_model_streams_and_costs_what_the_provider_took(
    world: World, model: str
) -> None:
    """The answer grows by edits; receipt, balance and the provider's account agree."""
    before, consumed_before = await world.balance("mira"), await world.consumed()
    prompt = "Explain in three paragraphs how a lighthouse works."
    message = await world.chat("mira", "studio", prompt, model=model)
    price = await world.consumed() - consumed_before
    after = await world.balance("mira")

    versions = [version["content"] for version in message["history"]]
    assert len({text for text in versions if text}) >= 2, "the answer did not stream"
    assert "lighthouse" in visible_text(message).lower()
    assert price > 0
    assert charged(visible_text(message)) == price
    assert before - after == price


async def test_a_mention_is_answered_as_a_reply_that_pings_only_its_owner(world: World) -> None:
    """Nobody else is notified, and nothing in the answer can mention anybody."""
    message_id = await world.say("mira", "general", "{bot} say hello to @everyone")
    answers = await world.answered("mira", "general", message_id)
    assert answers[0]["message_reference"]["message_id"] == message_id
    for answer in answers:
        assert set(answer.get("notified", [])) <= {world.users["mira"]}


async def test_a_reply_to_the_bot_and_a_direct_message_are_answered_too(world: World) -> None:
    """Three ways to address the bot lead to the same answer."""
    first = await world.say("tom", "general", "{bot} name a river")
    answer = (await world.answered("tom", "general", first))[0]
    second = await world.say("tom", "general", "and another?", reply_to=answer["id"])
    assert whole_text(await world.answered("tom", "general", second))

    dm = await world.open_dm("tom")
    third = await world.say("tom", dm, "hello in private")
    assert whole_text(await world.answered("tom", dm, third))


async def test_the_bot_keeps_silent_when_it_is_not_addressed(world: World) -> None:
    """A message to nobody gets no answer; the next one to the bot does."""
    ignored = await world.say("mira", "general", "just talking among us")
    asked = await world.say("mira", "general", "{bot} and now to you")
    await world.answered("mira", "general", asked)
    messages = await world.messages("mira", "general")
    replied = {(m.get("message_reference") or {}).get("message_id") for m in messages}
    assert ignored not in replied


async def test_a_private_chat_is_seen_by_its_member_only(world: World) -> None:
    """`/chat private:true` is ephemeral."""
    message = await world.chat("mira", "general", "a secret question", private=True)
    assert message["ephemeral_for"] == world.users["mira"]
    seen_by_tom = {seen["id"] for seen in await world.messages("tom", "general")}
    assert message["id"] not in seen_by_tom


async def test_the_model_knows_what_was_said_in_this_channel_only(world: World) -> None:
    """History is per channel; `/forget` drops it."""
    channel = await world.new_channel("memory")
    await world.ask("sam", channel, "my name is Zebulon")
    assert "Zebulon" in await world.ask("sam", channel, "what is my name?")
    elsewhere = await world.new_channel("elsewhere")
    assert "Zebulon" not in await world.ask("sam", elsewhere, "what is my name?")

    interaction_id = await world.command("sam", channel, "forget")
    assert visible_text(await world.responded("sam", channel, interaction_id))
    assert "Zebulon" not in await world.ask("sam", channel, "what is my name?")


async def test_an_attached_picture_reaches_the_model(world: World, png: bytes) -> None:
    """The provider is given the address of the file and sees what it is."""
    message_id = await world.say(
        "mira", "studio", "{bot} what is in this picture?", files={"cat.png": ("image/png", png)}
    )
    text = whole_text(await world.answered("mira", "studio", message_id))
    assert "image" in text.lower() or "picture" in text.lower()
    asked = (await world.get("provider/requests", since="0"))["requests"][-1]["body"]
    assert "cat.png" in str(asked)


async def test_a_file_the_model_cannot_read_is_refused_free_of_charge(world: World) -> None:
    """gpt-5-4 reads pictures and documents, not audio; the member is told before it costs."""
    before = await world.balance("mira")
    message_id = await world.say(
        "mira", "studio", "{bot} listen", files={"song.mp3": ("audio/mpeg", b"ID3" + bytes(64))}
    )
    text = whole_text(await world.answered("mira", "studio", message_id))
    assert "song.mp3" in text
    assert "not charged" in text
    assert await world.balance("mira") == before


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("what time is it now?", r"\d\d:\d\d"),
        ("how many credits do I have left?", r"\d"),
        ("what is the latest news? please search the web", r"https?://"),
    ],
)
async def test_the_model_may_use_read_only_tools(
    world: World, question: str, expected: str
) -> None:
    """Time, own credits and web search reach the answer; all requests of the turn are paid."""
    before, consumed_before = await world.balance("sam"), await world.consumed()
    text = await world.ask("sam", "bot-lab", question)
    assert re.search(expected, text), text
    assert before - await world.balance("sam") == await world.consumed() - consumed_before


async def test_the_model_may_search_the_channel_it_was_asked_in(world: World) -> None:
    """The bot's own former answers are there to be found."""
    channel = await world.new_channel("archive")
    await world.say("tom", channel, "the treasure lies under the old oak")
    await world.ask("sam", channel, "my favourite colour is vermilion")
    text = await world.ask("sam", channel, "search this channel for vermilion")
    assert "vermilion" in text.lower()


async def test_stop_ends_what_is_shown_and_still_pays_what_was_made(world: World) -> None:
    """The text freezes at the press; the price is what the provider took (S-12)."""
    await world.pace(tokens_per_s=40)
    before, consumed_before = await world.balance("mira"), await world.consumed()
    message_id = await world.say("mira", "studio", "{bot} write a very long story")
    streaming = await world.streaming("mira", "studio", message_id)
    shown = visible_text(streaming)
    await world.press("mira", streaming, "Stop")

    async def told() -> bool:
        answers = await world.answers_to("mira", "studio", message_id)
        return "costs the same; the price comes then" in whole_text(answers)

    await world.until(told, "it is said that the price is still to come", user="mira")
    await world.pace(tokens_per_s=4000)
    text = whole_text(await world.answered("mira", "studio", message_id))
    assert "Stopped" in text
    assert text.startswith(shown[:20])
    price = await world.consumed() - consumed_before
    assert charged(text) == price
    assert before - await world.balance("mira") == price


async def test_only_the_owner_or_staff_may_stop(world: World) -> None:
    """Somebody else's press is refused in private and changes nothing."""
    await world.pace(tokens_per_s=40)
    message_id = await world.say("mira", "studio", "{bot} write a very long story")
    streaming = await world.streaming("mira", "studio", message_id)
    refused = await world.press("tom", streaming, "Stop")
    notice = await world.responded("tom", "studio", refused)
    assert notice["ephemeral_for"] == world.users["tom"]
    await world.press("sam", streaming, "Stop")
    await world.pace(tokens_per_s=4000)
    answers = await world.answered("mira", "studio", message_id)
    assert "Stopped" in whole_text(answers)
    assert not any(buttons(answer) for answer in answers)
