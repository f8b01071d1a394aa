"""After a restart the ends that a former process owed are told, whole and once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import discord
import pytest
from structlog.testing import capture_logs

from bot.app import Left, _tell_when_ready
from bot.chat.service import ChatService
from bot.discordio import recovery
from bot.discordio.recovery import tell
from bot.discordio.render import pages
from bot.discordio.surface import nonce_for
from bot.limits import BAN_PAUSE_S, INVALID_REQUESTS_STOP, OWED_DELAY_S_MAX, TELL_INTERVAL_S
from bot.text.answers import BOOKING_NOTE, PLACEHOLDERS
from bot.text.jobs import SENT_AGAIN
from sandbox.discord.seed import BOT_ID, GENERAL_ID
from storage.errors import StoreUnavailable
from storage.interactions import OpenInteraction
from storage.types import OwedTurn
from tests.cogs.mishaps import READ_MESSAGE_HISTORY
from tests.cogs.town import PATIENCE_S, POLL_S, EagerClock, Inhabited, Town, words
from tests.unit.discordio.test_troubles import refusal

ANSWER = "One, two, three."
LONG = "\n\n".join(f"{letter * 9} " * 150 for letter in "abc")


def owed(reference: str, message_id: str | None = None, answer: str | None = ANSWER) -> OwedTurn:
    return OwedTurn(
        reference=reference,
        channel_id=GENERAL_ID,
        author_id=1,
        message_id=None if message_id is None else int(message_id),
        answer=answer,
        charged_ucr=0 if answer is None else 80_000,
    )


async def written(town: Town, text: str) -> str:
    """A message of the bot's; its id."""
    town.bot_writes(text)
    return str((await town.from_bot())[-1]["id"])


def forget_nonces(town: Town) -> None:
    """Some minutes later."""
    town.sandbox.core.nonces._made.clear()


async def deny_reading(town: Town) -> None:
    """Staff take the right to read what was written before away from the bot."""
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(READ_MESSAGE_HISTORY)}
    await town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)


@pytest.mark.parametrize(
    "shown",
    [
        "One, tw",
        "One, two, three.",
        PLACEHOLDERS["thinking"],
        f"One, two, three.\n{BOOKING_NOTE} 7 credits held until <t:1:t>.*",
    ],
    ids=["in the middle", "to its end", "not at all", "with a price to come"],
)
async def test_a_paid_answer_is_shown_to_its_end(town: Town, shown: str) -> None:
    """F-15: settled and not shown; the words and the price stand there, once."""
    turn = owed("m:1", await written(town, shown))
    for _ in range(2):
        assert await tell(town.bot, turn)
    (told,) = await town.finished()
    assert told["content"].startswith(f"{ANSWER}\n-# charged 0.08 credits · ref ")


async def test_its_pages_go_on_where_they_stopped(town: Town) -> None:
    """Each page once, also when it is told again long after the nonces are forgotten."""
    first, second, third = pages(LONG)
    turn = owed("m:1", await written(town, second[:500]), LONG)
    assert await tell(town.bot, turn)
    forget_nonces(town)
    assert await tell(town.bot, turn)
    told = [words(one) for one in await town.finished(2)]
    assert told[0] == second
    assert told[1].startswith(third)
    assert len(told) == 2
    assert first not in told


async def test_a_page_that_is_none_of_them_keeps_its_words(town: Town) -> None:
    """Then the whole answer follows as a reply to it."""
    turn = owed("i:1", await written(town, "Something else entirely, and long enough."))
    assert await tell(town.bot, turn)
    page, reply = await town.finished(2)
    assert page["content"] == "Something else entirely, and long enough."
    assert reply["content"].startswith(ANSWER)
    assert reply["message_reference"]["message_id"] == page["id"]


async def test_a_question_whose_answer_stands_nowhere_is_answered(town: Town) -> None:
    """F-15: with a reply to it."""
    asked = await town.say("mira", "hello?")
    assert await tell(town.bot, owed(f"m:{asked}"))
    (told,) = await town.finished()
    assert told["content"].startswith(ANSWER)
    assert told["message_reference"]["message_id"] == asked


async def test_an_end_that_discord_did_not_take_is_told_while_we_run() -> None:
    """S-7, S-13: paid and not shown is not said to be shown; it comes when Discord is back."""
    clock = EagerClock()
    async with Inhabited(clock=clock).open() as town:
        more, chat = asyncio.Event(), town.bot.services.chat
        town.model.says("Half of", " it.")
        town.model.scripts[0] = [town.model.scripts[0][0], more, *town.model.scripts[0][1:]]
        await town.say("mira", "{bot} hello")
        await town.until(lambda found: [words(one) for one in found] == ["Half of"])
        assert await chat.owed() == (), "it is on its way"
        for _ in range(INVALID_REQUESTS_STOP):
            town.bot.rest.note(403)
        more.set()
        await owes(chat, 1)
        assert BAN_PAUSE_S - 1 < max(clock.slept_s) <= BAN_PAUSE_S

        clock.slept_s.clear()
        telling = asyncio.create_task(town.bot.keep_telling())
        async with asyncio.timeout(PATIENCE_S):
            while OWED_DELAY_S_MAX not in clock.slept_s:
                await town.from_bot()
        assert [words(one) for one in await town.from_bot()] == ["Half of"]
        town.bot.rest._invalid_s.clear()
        town.bot.rest._stopped_until_s = 0.0
        (told,) = await town.until(lambda found: "charged 0.08" in words(found[0]))
        assert words(told).startswith("Half of it.")
        await owes(chat, 0)
        telling.cancel()


async def test_ends_are_told_while_a_deferred_answer_is_held_up() -> None:
    """F-3, F-84: a long limit of one command's webhook is nobody else's."""
    looked = asyncio.Event()

    class Chat:
        async def owed(self) -> tuple[OwedTurn, ...]:
            looked.set()
            return ()

    async with Inhabited(clock=EagerClock()).open() as town:
        body = {"message": "limited", "retry_after": 900.0, "global": False}
        await town.fault(method="GET", path_regex="/webhooks/", status=429, body=body)
        services = town.bot.services
        town.bot.services = replace(services, chat=cast("ChatService", Chat()))
        left = Left(turns=(), interactions=(OpenInteraction(id=1, token="t" * 40),))
        telling = asyncio.create_task(_tell_when_ready(town.bot, left))
        async with asyncio.timeout(PATIENCE_S):
            await looked.wait()
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        town.bot.services = services


async def owes(chat: ChatService, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if len(await chat.owed()) == count:
                return
            await asyncio.sleep(POLL_S)


@pytest.mark.parametrize("shown", ["Half", "x" * 1_990])
async def test_an_interrupted_answer_is_told_once(town: Town, shown: str) -> None:
    """F-17, F-19: also when the process ends between the telling and its note."""
    turn = owed("m:1", await written(town, shown), None)
    assert await tell(town.bot, turn)
    before = [words(one) for one in await town.finished()]
    forget_nonces(town)
    assert await tell(town.bot, turn)
    assert [words(one) for one in await town.finished()] == before
    assert "\n".join(before).count("not charged") == 1


@pytest.mark.parametrize("answer", [ANSWER, None], ids=["paid", "interrupted"])
@pytest.mark.parametrize("is_shown", [True, False])
async def test_without_the_right_to_read_the_end_is_told_all_the_same(
    town: Town, *, is_shown: bool, answer: str | None
) -> None:
    """What stands there cannot be seen, so it keeps its words; and nothing can be a reply."""
    asked = await town.say("mira", "hello?")
    shown = await written(town, "One, tw") if is_shown else None
    await deny_reading(town)
    assert await tell(town.bot, owed(f"m:{asked}", shown, answer))
    found = await town.finished(1 + is_shown)
    assert "charged" in words(found[-1])
    assert found[-1].get("message_reference") is None
    assert [one["content"] for one in found[:-1]] == ["One, tw"] * is_shown
    assert (SENT_AGAIN in words(found[-1])) == (is_shown and answer is not None)


async def test_pages_that_nobody_may_look_for_come_again_and_say_so(town: Town) -> None:
    """F-87, S-7: some of them may stand there; the log counts it."""
    asked = await town.say("mira", "hello?")
    shown = [await written(town, page) for page in pages(LONG)]
    await deny_reading(town)
    with capture_logs() as logs:
        assert await tell(town.bot, owed(f"m:{asked}", shown[-1], LONG))
    told = [words(one) for one in await town.finished(6)]
    assert [one[:9] for one in told] == [page[:9] for page in pages(LONG) * 2]
    assert [SENT_AGAIN in one for one in told] == [False] * 5 + [True]
    assert [one["reference"] for one in logs if one["event"] == "answer_sent_again"] == [
        f"m:{asked}"
    ]


@pytest.mark.parametrize("is_readable", [True, False])
async def test_what_a_nonce_finds_there_is_brought_to_its_end(
    town: Town, *, is_readable: bool
) -> None:
    """F-15, F-86: a draft that nobody noted has the nonce of its page, which makes no second."""
    asked = await town.say("mira", "hello?")
    channel = town.bot.get_partial_messageable(GENERAL_ID)
    first, second, third = pages(LONG)
    shown = [
        await channel.send(text, nonce=nonce_for(f"m:{asked}", part))
        for part, text in enumerate([first, second, third[:500]])
    ]
    if not is_readable:
        await deny_reading(town)
    turn = owed(f"m:{asked}", str(shown[1].id), LONG)
    for _ in range(2):
        assert await tell(town.bot, turn)
    told = [words(one) for one in await town.finished(3)]
    assert told[:2] == [first, second]
    assert told[2].startswith(f"{third}\n-# charged 0.08 credits · ref ")
    assert len(told) == 3
    assert SENT_AGAIN not in told[2]


async def test_other_words_of_ours_are_no_telling(town: Town) -> None:
    """Only a notice that names the turn is."""
    asked = await town.say("mira", "hello?")
    await town.card("mira", "help")
    await written(town, "Something else")
    before = len(await town.from_bot())
    assert await tell(town.bot, owed(f"m:{asked}", None, None))
    assert len(await town.from_bot()) == before + 1


async def test_a_message_that_is_gone_needs_no_telling(town: Town) -> None:
    """Where nothing was paid; nor does a channel that is."""
    before = await town.from_bot()
    assert await tell(town.bot, owed("m:1", "404", None))
    assert await town.from_bot() == before


async def test_a_paid_answer_whose_message_was_deleted_comes_once_more(town: Town) -> None:
    """F-90: as while it is written; what stands before it is not repeated."""
    asked = await town.say("mira", "hello?")
    channel = town.bot.get_partial_messageable(GENERAL_ID)
    shown = [
        await channel.send(page, nonce=nonce_for(f"m:{asked}", part))
        for part, page in enumerate(pages(LONG)[:2])
    ]
    await shown[1].delete()
    turn = owed(f"m:{asked}", str(shown[1].id), LONG)
    for _ in range(2):
        assert await tell(town.bot, turn)
        forget_nonces(town)
    told = await town.finished(3)
    assert [words(one)[:9] for one in told] == [page[:9] for page in pages(LONG)]
    assert told[1]["message_reference"]["message_id"] == asked
    assert await town.from_bot(channel=await town.dm("mira")) == []


async def test_a_page_deleted_before_it_was_noted_counts_as_shown(town: Town) -> None:
    """F-91: Discord says so of its nonce; the pages after it still come."""
    asked = await town.say("mira", "hello?")
    channel = town.bot.get_partial_messageable(GENERAL_ID)
    first = await channel.send(pages(LONG)[0], nonce=nonce_for(f"m:{asked}", 0))
    await first.delete()
    assert await tell(town.bot, owed(f"m:{asked}", None, LONG))
    told = await town.finished(2)
    assert [words(one)[:9] for one in told] == [page[:9] for page in pages(LONG)[1:]]


class Away:
    """A client that comes to nothing."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_partial_messageable(self, channel_id: int) -> discord.PartialMessageable:
        del channel_id
        raise self._error


@pytest.mark.parametrize(
    "error", [OSError(), refusal(401, 0), refusal(400, 20016)], ids=["network", "F-88", "F-98"]
)
async def test_while_discord_is_away_the_next_start_may_try(error: Exception) -> None:
    """S-7: nothing is let go for what will pass: no network, a token revoked, slow mode."""
    assert not await tell(cast("discord.Client", Away(error)), owed("m:1"))


async def test_a_channel_that_is_held_up_delays_no_other(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-19: Discord limits each channel; in one channel the oldest is told first."""
    let_go, elsewhere = asyncio.Event(), asyncio.Event()
    told: list[str] = []

    async def held_up(_client: discord.Client, turn: OwedTurn, _places: recovery.Places) -> bool:
        if turn.channel_id == GENERAL_ID:
            await let_go.wait()
        else:
            elsewhere.set()
        told.append(turn.reference)
        return True

    monkeypatch.setattr(recovery, "tell", held_up)
    turns = [owed("m:1"), owed("m:2"), replace(owed("m:3"), channel_id=GENERAL_ID + 1)]
    telling = asyncio.create_task(town.bot.tell_interrupted(turns))
    async with asyncio.timeout(PATIENCE_S):
        await elsewhere.wait()
        let_go.set()
        assert await telling
    assert told == ["m:3", "m:1", "m:2"]


async def test_many_owed_ends_leave_discord_room_for_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I-32: hundreds at once ran into the limit for everything, and then were not told."""
    clock = EagerClock()

    async def at_once(_client: discord.Client, _turn: OwedTurn, _places: recovery.Places) -> bool:
        return True

    monkeypatch.setattr(recovery, "tell", at_once)
    turns = [replace(owed(f"m:{n}"), channel_id=GENERAL_ID + n) for n in range(40)]
    async with Inhabited(clock=clock).open() as town:
        clock.slept_s.clear()
        assert await town.bot.tell_interrupted(turns)
    assert max(clock.slept_s) > 0.9 * 39 * TELL_INTERVAL_S


async def test_the_client_notes_whom_it_told(town: Town) -> None:
    """And lives with a database that does not take the note."""
    told: list[str] = []

    class Chat:
        async def told(self, reference: str) -> None:
            told.append(reference)
            raise StoreUnavailable(cause="locked")

    services = town.bot.services
    town.bot.services = replace(services, chat=cast("ChatService", Chat()))
    await town.bot.tell_interrupted([owed("m:1", "404"), owed("i:2")])
    assert told == ["m:1", "i:2"]
    town.bot.services = services
