"""A message that was posted unheard is found in the history, whatever our clock says (F-118)."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

import pytest

from sandbox.discord.seed import GENERAL_ID
from storage.types import Job
from tests.cogs.mishaps import remove
from tests.cogs.studio import Studio, opened

HOUR_US = 3_600_000_000
FEW = 4


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened() as made:
        yield made


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read few messages at once, so that a handful is a busy channel."""
    monkeypatch.setattr("bot.discordio.posted.POSTED_SEARCH_MESSAGES_MAX", FEW)


async def posted(studio: Studio, *, before: int = 0, after: int = 0) -> tuple[Job, int]:
    """A job whose card is gone, and the message with its outcome; others talk around it."""
    job = await studio.recorded(await studio.order())
    await remove(studio, job.card_message_id)
    await talk(studio, before)
    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))
    await talk(studio, after)
    assert delivered.message_id is not None
    return job, delivered.message_id


async def talk(studio: Studio, count: int) -> None:
    for number in range(count):
        await studio.town.say("tom", f"word {number}")


async def found(
    studio: Studio, job: Job, *, after_us: int, with_answers: bool = False
) -> int | None:
    messages = studio.town.bot.messages
    return await messages.find(
        job, channel_id=GENERAL_ID, after_us=after_us, with_answers=with_answers
    )


@pytest.mark.parametrize("ahead_us", [-24 * HOUR_US, 0, HOUR_US, 24 * 365 * HOUR_US])
async def test_it_is_found_though_our_clock_was_wrong(studio: Studio, ahead_us: int) -> None:
    """F-87, F-118; I-27: set back since, it seems to have been posted in times to come."""
    now_us = time.time_ns() // 1_000
    job, message_id = await posted(studio, before=FEW + 1)
    assert await found(studio, job, after_us=now_us + ahead_us) == message_id


@pytest.mark.parametrize("after_us", [0, -HOUR_US])
async def test_it_is_found_though_our_clock_had_stopped(studio: Studio, after_us: int) -> None:
    """F-118: before there was a Discord, whose answer to that would be 400."""
    job, message_id = await posted(studio)
    assert await found(studio, job, after_us=after_us) == message_id


async def test_a_busy_channel_is_read_from_both_ends(studio: Studio) -> None:
    """F-87: near the first try it is found though much was said since, and near the end as well."""
    began_us = time.time_ns() // 1_000
    job, message_id = await posted(studio, after=FEW + 1)
    assert await found(studio, job, after_us=began_us) == message_id


async def test_there_is_an_end_to_the_search(studio: Studio) -> None:
    """A bound like any other: what is further from both ends is taken for never posted."""
    job, message_id = await posted(studio, before=FEW + 1, after=FEW + 1)
    day_ago_us = time.time_ns() // 1_000 - 24 * HOUR_US
    assert await found(studio, job, after_us=day_ago_us) is None
    assert message_id


async def test_the_search_back_ends_at_the_card(studio: Studio) -> None:
    """I-23: a card that shows no outcome is not taken for the message that does."""
    job = await studio.recorded(await studio.order())
    assert job.card_message_id is not None
    later_us = time.time_ns() // 1_000 + HOUR_US
    assert await found(studio, job, after_us=later_us) is None


async def test_a_card_is_found_where_cards_are_looked_for(studio: Studio) -> None:
    """I-23: the answer to the command is the card, and never the message with the outcome."""
    began_us = time.time_ns() // 1_000
    job = await studio.order()
    card_id = (await studio.recorded(job)).card_message_id
    assert await found(studio, job, after_us=began_us, with_answers=True) == card_id
    assert await found(studio, job, after_us=began_us) is None
