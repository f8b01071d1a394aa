"""Answers of several messages: what holds them together, and what a reader sees of it."""

from __future__ import annotations

import asyncio

from bot.providers.base import TextDelta
from tests.cogs.town import Town, words


async def test_the_pages_of_answers_that_interleave_say_whose_they_are(town: Town) -> None:
    """Each continuation replies to its own first page, and pings nobody."""
    more = asyncio.Event()
    asked = {}
    for user in ("mira", "tom"):
        town.model.says(f"{user} writes a line. " * 50, then=more)
        *begun, end = town.model.scripts[-1]
        rest = TextDelta(text=f"{user} writes a line. " * 200)
        town.model.scripts[-1] = [*begun, rest, end]
        asked[await town.say(user, "{bot} hello")] = user
        await town.until(lambda found: len(found) == len(asked))
    more.set()
    found = await town.until(lambda all_: sum("left" in words(one) for one in all_) == 2)

    whose: dict[str, str] = {}
    for message in found:
        target = message["message_reference"]["message_id"]
        whose[message["id"]] = asked.get(target) or whose[target]
        assert f"{whose[message['id']]} writes" in words(message)
    assert len(found) >= 6
    targets = [message["message_reference"]["message_id"] for message in found]
    assert len(set(targets)) == 4, "the two questions, and the two first pages"
    assert not any(message.get("notified") for message in found)


async def test_a_long_answer_in_a_direct_message_hangs_together_too(town: Town) -> None:
    """There, as in a channel, each page leads back to the first."""
    channel = await town.dm("mira")
    town.model.says("Many words. " * 200)
    await town.say("mira", "hello", channel=channel)

    first, second = await town.finished(2, channel=channel)
    assert second["message_reference"]["message_id"] == first["id"]
