"""`/chat` and `/forget` in a simulated Discord."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from bot.chat.service import ChatService
from bot.errors import PromptEmpty, UpstreamError
from bot.limits import ACKNOWLEDGE_DELAY_S
from sandbox.discord.seed import BOT_ID, GENERAL_ID, MIRA_ID
from storage.errors import UnknownReference
from tests.cogs.mishaps import CREATE, SEND_MESSAGES
from tests.cogs.town import Inhabited, Town, has_button, words


async def test_the_command_is_answered_like_a_mention(town: Town) -> None:
    """Streamed, with the price under it, for everybody to see."""
    town.model.says("Hello ", "Mira.")
    await town.use("mira", "chat", prompt="hello")

    (answer,) = await town.finished(user="tom")
    assert answer["content"] == "Hello Mira.\n-# GPT-5.4 · charged 0.08 credits · 19.92 left"
    assert answer["flags"] & 4


async def test_a_silent_model_is_acknowledged_within_the_three_seconds(town: Town) -> None:
    """The placeholder is the first answer; the words take its place."""
    more = asyncio.Event()
    town.model.says("Late words.")
    town.model.scripts[0] = [more, *town.model.scripts[0]]
    told = await town.settled(await town.use("mira", "chat", prompt="hello"))
    assert told["state"] == "answered"

    (shown,) = await town.from_bot()
    assert shown["content"] == "*Thinking…*"
    assert has_button(shown)
    more.set()
    (answer,) = await town.finished()
    assert answer["id"] == shown["id"]
    assert answer["content"].startswith("Late words.")


async def test_a_private_answer_is_seen_by_its_asker_alone(town: Town) -> None:
    """All pages of it, and it does not enter the channel's history."""
    town.model.says("Secret words. " * 200)
    await town.use("mira", "chat", prompt="hello", private=True)

    found = await town.until(lambda all_: bool(all_) and "left" in words(all_[-1]))
    assert len(found) == 2
    assert all(message["ephemeral_for"] == str(MIRA_ID) for message in found)
    assert await town.from_bot(user="tom") == []

    town.model.says("Public.")
    await town.say("tom", "{bot} what was said?")
    await town.finished(3)
    assert "Secret" not in str(town.model.requests[1].items)


async def test_the_chosen_model_answers(town: Town) -> None:
    """`model` takes one of the completions."""
    choices = await town.call(
        "POST",
        "autocomplete",
        {
            "user_id": str(MIRA_ID),
            "channel_id": str(GENERAL_ID),
            "name": "chat",
            "options": {"prompt": "x", "model": "2.5"},
            "focused": "model",
        },
    )
    assert choices["choices"] == [{"name": "Gemini 2.5 Pro", "value": "gemini-2.5-pro"}]

    town.model.says("Hi.")
    await town.use("mira", "chat", prompt="hello", model="gemini-2.5-pro")
    (answer,) = await town.finished()
    assert "Gemini 2.5 Pro" in answer["content"]
    assert town.model.requests[0].model.id == "gemini-2.5-pro"


async def test_a_refusal_before_the_answer_is_private(town: Town) -> None:
    """An unknown model: one card for the asker, with the models there are."""
    notice = await town.card("mira", "chat", prompt="hello", model="gpt-9")

    assert notice["ephemeral_for"] == str(MIRA_ID)
    assert "No such model" in words(notice)
    assert "gemini-2.5-pro" in words(notice)
    assert "not charged" in words(notice)


async def test_a_failure_takes_the_place_of_the_answer(town: Town) -> None:
    """It ends in exactly one message."""
    town.model.scripts.append([UpstreamError(provider="aivideo", status=503)])
    await town.use("mira", "chat", prompt="hello")

    (answer,) = await town.finished()
    assert "The model gave no answer" in answer["content"]
    assert "not charged" in answer["content"]


async def test_an_expired_token_sends_the_answer_to_the_asker(town: Town) -> None:
    """F-92: the interaction is over, the answer was paid, so it goes to the DM."""
    more = asyncio.Event()
    town.model.says("First", then=more)
    await town.use("mira", "chat", prompt="hello")
    await town.until(bool)
    await town.fault(
        method="PATCH",
        path_regex="/webhooks/",
        status=401,
        body={"message": "Invalid Webhook Token", "code": 50027},
        times=3,
    )
    more.set()

    _, answer = await town.finished(2, channel=await town.dm("mira"))
    assert answer["content"].startswith("First\n-# GPT-5.4")


async def test_a_repeated_first_answer_is_recognised(town: Town) -> None:
    """Discord took the first answer but its reply was lost: the second try meets 40060."""
    await town.fault(method="POST", path_regex="/callback", status=500, times=1, after_effect=True)
    town.model.says("Once.")
    await town.use("mira", "chat", prompt="hello")

    (answer,) = await town.finished()
    assert answer["content"].startswith("Once.")


async def test_a_later_page_appears_once_whatever_discord_answers() -> None:
    """F-86, S-12: made, and answered with 502; its nonce keeps the repetition away."""
    lost = {"method": "POST", "path_regex": CREATE, "status": 502, "after_effect": True}
    async with Inhabited(faults=[lost | {"times": 1}]).open() as town:
        more = asyncio.Event()
        town.model.says("Many words. " * 200, then=more)
        await town.use("mira", "chat", prompt="hello")
        await town.until(lambda found: len(found) == 2)
        more.set()
        first, second = await town.finished(2)
        assert second["message_reference"]["message_id"] == first["id"]
        assert not second.get("notified")
        made = [one for one in await town.requests() if one["method"] == "POST"]
        assert sum(one["path"].endswith(f"/{GENERAL_ID}/messages") for one in made) == 2
        assert words(second).endswith("19.92 left")


async def test_where_the_bot_may_not_write_later_pages_are_follow_ups(town: Town) -> None:
    """The command's token is still good there."""
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(SEND_MESSAGES)}
    await town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)
    town.model.says("Many words. " * 200)
    await town.use("mira", "chat", prompt="hello")
    _, answer = await town.finished(2)
    assert words(answer).endswith("19.92 left")
    made = [one["path"] for one in await town.requests() if one["method"] == "POST"]
    assert not any(path.endswith(f"/channels/{GENERAL_ID}/messages") for path in made)


async def test_later_pages_are_edited_to_their_end(town: Town) -> None:
    """The second message of a command's answer has Stop until the end, and then the price."""
    more = asyncio.Event()
    town.model.says("Many words. " * 200, then=more)
    await town.use("mira", "chat", prompt="hello")
    first, second = await town.until(lambda all_: len(all_) == 2)
    assert not has_button(first)
    assert has_button(second)

    more.set()
    _, answer = await town.finished(2)
    assert answer["id"] == second["id"]
    assert answer["content"].endswith("19.92 left")


async def test_a_refusal_after_the_acknowledgement_takes_its_place(town: Town) -> None:
    """The database was slow: the placeholder goes, the refusal is still private."""

    class Slow:
        async def reply(self, *_: object) -> None:
            await asyncio.sleep(ACKNOWLEDGE_DELAY_S * 2)
            raise PromptEmpty

        async def show_at(self, reference: str, _message_id: int) -> None:
            raise UnknownReference(reference=reference)

    desk: Any = town.bot.get_cog("Chat")
    desk._desk._services = replace(town.bot.services, chat=cast("ChatService", Slow()))
    await town.use("mira", "chat", prompt="hello")
    await town.until(lambda all_: any("Thinking" in words(one) for one in all_))

    (notice,) = await town.finished()
    assert "Nothing to answer" in words(notice)
    assert notice["ephemeral_for"] == str(MIRA_ID)


async def test_forget_drops_the_history_for_whoever_may_delete_messages(town: Town) -> None:
    """In a server a member may not; staff may, and everybody sees it."""
    town.model.says("A cat.")
    await town.say("mira", "{bot} name an animal")
    await town.finished()

    refused = await town.card("mira", "forget")
    assert "*Manage Messages*" in words(refused)
    assert refused["ephemeral_for"] == str(MIRA_ID)

    told = await town.card("sam", "forget")
    assert "1 question and its answer" in words(told)
    assert told["ephemeral_for"] is None

    town.model.says("Which?")
    await town.say("mira", "{bot} why that one?")
    await town.until(lambda all_: "Which?" in words(all_[-1]))
    assert "cat" not in str(town.model.requests[1].items)


async def test_in_a_dm_anybody_may_forget(town: Town) -> None:
    """It is their own conversation."""
    channel = await town.dm("mira")
    told = await town.card("mira", "forget", channel=channel)

    assert "There was nothing." in words(told)


async def test_a_member_without_credits_is_refused_in_private() -> None:
    """Nobody else has to know."""
    async with Inhabited(allowance_credits=0).open() as town:
        notice = await town.card("mira", "chat", prompt="hello")
        assert "Not enough credits" in words(notice)
        assert notice["ephemeral_for"] == str(MIRA_ID)
