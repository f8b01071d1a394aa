"""No message of the bot, made or edited in any of Discord's ways, can ping anybody (F-144)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from sandbox.discord.seed import GENERAL_ID, MIRA_ID, TOM_ID
from storage.types import OwedTurn
from tests.cogs.town import Json, Town, has_button, words
from tests.mentions import unguarded, written

EVERYBODY = "@everyone <@&1> <@2>\n"


async def test_no_answer_can_ping_anybody(town: Town) -> None:
    """Whatever the model wrote: replies, pages, edits."""
    await two_pages(town, town.say("mira", "{bot} hello"))
    await no_ping(town, "POST messages", "PATCH messages")


async def test_no_answer_to_a_command_can_ping_anybody(town: Town) -> None:
    """The first answer, its later pages, and their edits."""
    await two_pages(town, town.use("tom", "chat", prompt="hello"))
    await no_ping(town, "4", "POST messages", "PATCH messages")


async def test_no_private_answer_can_ping_anybody(town: Town) -> None:
    """The first answer, its follow-ups, and the edits of both."""
    await two_pages(town, town.use("mira", "chat", prompt="hello", private=True))
    await no_ping(town, "4", "POST webhook", "PATCH webhook")


async def two_pages(town: Town, asking: Awaitable[str]) -> None:
    """An answer that is posted, continued and edited to its end."""
    more = asyncio.Event()
    town.model.says(EVERYBODY * 150, then=more)
    await asking
    await town.until(lambda all_: len(all_) == 2)
    more.set()
    await town.until(lambda all_: "left" in words(all_[-1]))


async def test_no_button_can_ping_anybody(town: Town) -> None:
    """Stop edits the message that it stands under; a stranger's press is refused."""
    more = asyncio.Event()
    town.model.says(EVERYBODY, then=more)
    await town.say("mira", "{bot} hello")
    (draft,) = await town.until(lambda all_: bool(all_) and has_button(all_[0]))
    await town.settled(await town.press("tom", draft))
    await town.settled(await town.press("mira", draft))
    more.set()
    await town.until(lambda all_: "left" in words(all_[0]))
    await no_ping(town, "4", "7")


async def test_no_card_and_no_notice_can_ping_anybody(town: Town) -> None:
    """Reasons that staff typed, refusals, and what is told after a restart."""
    reason = f"<@{TOM_ID}> @everyone"
    await town.card("sam", "quota grant", member=str(MIRA_ID), amount=5, reason=reason)
    await town.card("mira", "credits history")
    await town.card("mira", "forget")
    asked = await town.say("mira", "{bot}")
    await town.until(lambda all_: any("Nothing to answer" in words(one) for one in all_))
    town.bot_writes("Half an answer")
    shown = (await town.from_bot())[-1]
    for message_id in (None, int(shown["id"])):
        turn = OwedTurn(
            reference=f"m:{asked}", channel_id=GENERAL_ID, author_id=1, message_id=message_id
        )
        await town.bot.tell_interrupted([turn])
    await no_ping(town, "POST messages", "PATCH messages", "4")


async def test_suggestions_carry_no_text_to_ping_with(town: Town) -> None:
    """The one callback of ours without allowed mentions: its choices are no message."""
    body: Json = {
        "user_id": str(MIRA_ID),
        "channel_id": str(GENERAL_ID),
        "name": "chat",
        "options": {"prompt": "x", "model": "2.5"},
        "focused": "model",
    }
    await town.call("POST", "autocomplete", body)
    (callback,) = [one for one in await town.requests() if one["path"].endswith("/callback")]
    assert set(callback["body"]["data"]) == {"choices"}
    assert written(callback) is None


async def no_ping(town: Town, *ways: str) -> None:
    """Every one of `ways` was gone, and none of them could ping."""
    requests = await town.requests()
    assert unguarded(requests) == []
    assert set(ways) <= {way(one) for one in requests if written(one) is not None}


def way(request: Json) -> str:
    """A method and what it writes, or the type of an interaction's callback."""
    if request["path"].endswith("/callback"):
        return str(request["body"]["type"])
    kind = "webhook" if request["path"].startswith("/webhooks") else "messages"
    return f"{request['method']} {kind}"
