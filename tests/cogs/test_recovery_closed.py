"""Owed ends of answers whose channel is closed by now, and those that share one (I-32, S-7)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from itertools import count

import pytest

from bot.discordio.places import private_surface
from bot.discordio.recovery import tell
from bot.discordio.render import pages
from bot.discordio.surface import Page, nonce_for
from bot.text.answers import LATE
from sandbox.discord.seed import BOT_ID, GENERAL_ID, MIRA_ID, TOM_ID
from storage import turns as turns_module
from storage.types import OwedTurn
from tests.cogs.mishaps import READ_MESSAGE_HISTORY, SEND_MESSAGES, VIEW_CHANNEL
from tests.cogs.test_recovery import ANSWER, LONG, owed, written
from tests.cogs.test_recovery_commands import cut_off
from tests.cogs.town import EagerClock, Inhabited, Town, has_button, words

INVALID = {401, 403, 429}
TURNS = 60
PAID = "charged 0.08 credits"


@pytest.fixture
async def town() -> AsyncGenerator[Town]:
    """In which nobody waits for the pace of the telling."""
    async with Inhabited(clock=EagerClock()).open() as town:
        yield town


async def deny(town: Town, bits: int) -> None:
    """Staff take rights away from the bot."""
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(bits)}
    await town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)


async def invalid(town: Town) -> int:
    """How many answers Discord counts against us."""
    return sum(one["status"] in INVALID for one in await town.requests())


async def in_private(town: Town, user: str = "mira") -> list[str]:
    """What the bot wrote to a member alone."""
    return [words(one) for one in await town.from_bot(channel=await town.dm(user), user=user)]


async def asked(town: Town) -> Iterator[int]:
    """Ids of questions, each newer than everything before."""
    return count(int(await town.say("mira", "an id of today's")) + 1)


@pytest.mark.parametrize("is_shown", [True, False])
async def test_a_closed_channel_is_asked_once_for_all_that_is_owed_there(
    town: Town, *, is_shown: bool
) -> None:
    """I-32, F-89: by the first refusal; Discord bans who goes on for ten thousand of them."""
    shown = await written(town, "One, tw") if is_shown else None
    await deny(town, SEND_MESSAGES | VIEW_CHANNEL | READ_MESSAGE_HISTORY)
    turns = [owed(f"m:{at}", shown, None) for at in range(TURNS)]
    assert await town.bot.tell_interrupted(turns)
    assert 1 <= await invalid(town) <= 2


async def test_what_was_paid_in_a_closed_channel_comes_in_private(town: Town) -> None:
    """S-7: a refusal for good moves it to the next sink; each answer once, nobody else's."""
    shown = await written(town, "One, tw")
    ids = await asked(town)
    await deny(town, SEND_MESSAGES | VIEW_CHANNEL | READ_MESSAGE_HISTORY)
    members = [MIRA_ID, TOM_ID, MIRA_ID]
    turns = [replace(owed(f"m:{next(ids)}", shown), author_id=one) for one in members]
    for _ in range(2):
        assert await town.bot.tell_interrupted(turns)
        town.sandbox.core.nonces._made.clear()
    told = {user: "\n".join(await in_private(town, user)) for user in ("mira", "tom")}
    assert {user: shown.count(PAID) for user, shown in told.items()} == {"mira": 2, "tom": 1}
    assert await invalid(town) <= 4, "two in each round"


async def test_pages_that_stood_in_the_closed_channel_come_in_private_all_the_same(
    town: Town,
) -> None:
    """S-7: a nonce is good for one message in all of Discord, so a direct message has its own."""
    reference = f"m:{await town.say('mira', 'hello?')}"
    channel = town.bot.get_partial_messageable(GENERAL_ID)
    for part, page in enumerate(pages(LONG)[:2]):
        shown = await channel.send(page, nonce=nonce_for(reference, part))
    await deny(town, SEND_MESSAGES | VIEW_CHANNEL | READ_MESSAGE_HISTORY)
    turn = replace(owed(reference, str(shown.id), LONG), author_id=MIRA_ID)
    for _ in range(2):
        assert await tell(town.bot, turn)
        (late, *told) = await in_private(town)
        assert late == LATE.format(channel_id=GENERAL_ID)
        assert [one.split("\n")[0] for one in told] == [one.split("\n")[0] for one in pages(LONG)]


async def test_what_had_moved_before_the_restart_is_not_written_there_again(town: Town) -> None:
    """S-7: killed before that was noted; the nonces are the same, whoever writes."""
    reference = f"m:{await town.say('mira', 'hello?')}"
    mira = await town.bot.fetch_user(MIRA_ID)
    place = await private_surface(mira, instead_of_id=GENERAL_ID, reference=reference)
    assert place is not None
    nonce = nonce_for(reference, 0, is_private=True)
    await place.post(Page(text=f"{ANSWER}\n-# {PAID}"), nonce=nonce, is_first=True)
    before = await in_private(town)
    await deny(town, SEND_MESSAGES | VIEW_CHANNEL)
    assert await tell(town.bot, replace(owed(reference), author_id=MIRA_ID))
    assert await in_private(town) == before


@pytest.mark.parametrize("code", [200000, 240000])
@pytest.mark.parametrize("is_shown", [True, False])
async def test_what_a_filter_of_the_server_takes_comes_in_private(
    town: Town, *, is_shown: bool, code: int
) -> None:
    """F-97, S-7: it is paid; the channel stays open for all others."""
    asked = await town.say("mira", "hello?")
    shown, other = await written(town, "One, tw"), await written(town, "One, tw")
    method, path = ("PATCH", f"/messages/{shown}") if is_shown else ("POST", f"/{GENERAL_ID}/mess")
    body = {"message": "Message was blocked", "code": code}
    await town.fault(method=method, path_regex=path, status=400, body=body, times=2)
    mira = replace(owed(f"m:{asked}", shown if is_shown else None), author_id=MIRA_ID)
    for _ in range(2):
        assert await town.bot.tell_interrupted([mira, owed("m:1", other)])
        town.sandbox.core.nonces._made.clear()
    (late, told) = await in_private(town)
    assert late == LATE.format(channel_id=GENERAL_ID)
    assert told.startswith(f"{ANSWER}\n-# {PAID}")
    assert [PAID in words(one) for one in await town.from_bot()] == [False, True]


async def test_a_member_who_takes_no_private_words_is_asked_once(town: Town) -> None:
    """I-32: 50007, however much is owed to them."""
    ids = await asked(town)
    await deny(town, SEND_MESSAGES | VIEW_CHANNEL)
    dm = await town.dm("mira")
    body = {"message": "Cannot send messages to this user", "code": 50007}
    await town.fault(
        method="POST", path_regex=f"/channels/{dm}/messages", status=403, body=body, times=TURNS
    )
    turns = [replace(owed(f"m:{next(ids)}"), author_id=MIRA_ID) for _ in range(TURNS)]
    assert await town.bot.tell_interrupted(turns)
    assert await invalid(town) == 2


async def test_where_we_may_only_not_write_what_stands_is_brought_to_its_end(town: Town) -> None:
    """S-7: an edit needs no right to write, so a refused reply says nothing about it."""
    shown = await written(town, "One, tw")
    ids = await asked(town)
    await deny(town, SEND_MESSAGES)
    turns = [owed(f"m:{next(ids)}", None, None) for _ in range(3)]
    assert await town.bot.tell_interrupted([*turns, owed(f"m:{next(ids)}", shown)])
    (told,) = await town.from_bot()
    assert words(told).startswith(ANSWER)
    assert await invalid(town) == 1


@pytest.mark.parametrize("answer", [LONG, None], ids=["paid", "interrupted"])
async def test_where_we_may_only_not_write_no_further_message_is_tried_twice(
    town: Town, answer: str | None
) -> None:
    """I-32, S-7: the pages or words that find no room there come in private where they are paid."""
    shown = [await written(town, (pages(LONG)[0] + "x" * 1_990)[:1_990]) for _ in range(3)]
    ids = await asked(town)
    await deny(town, SEND_MESSAGES)
    turns = [replace(owed(f"m:{next(ids)}", one, answer), author_id=MIRA_ID) for one in shown]
    assert await town.bot.tell_interrupted(turns)
    assert await invalid(town) == 1
    assert "\n".join(await in_private(town)).count(PAID) == (3 if answer else 0)
    assert not any(has_button(one) for one in await town.from_bot())


@pytest.mark.parametrize("answer", [ANSWER, None], ids=["paid", "interrupted"])
@pytest.mark.parametrize("is_shown", [True, False])
async def test_where_we_may_not_read_that_is_learned_once(
    town: Town, *, is_shown: bool, answer: str | None
) -> None:
    """I-32: neither what stands there nor a reply is tried again; all are told all the same."""
    shown = await written(town, "One, tw") if is_shown else None
    ids = await asked(town)
    await deny(town, READ_MESSAGE_HISTORY)
    assert await town.bot.tell_interrupted([owed(f"m:{next(ids)}", shown, answer) for _ in "abc"])
    assert sum("charged" in words(one) for one in await town.from_bot()) == 3
    assert await invalid(town) <= 1


@pytest.mark.parametrize("is_long", [False, True])
async def test_in_a_closed_channel_a_command_is_still_told_by_its_token(*, is_long: bool) -> None:
    """S-7, F-15: a webhook needs no right there; pages that would, come in private at no cost."""
    says = "\n\n".join(f"{a * 9} " * 150 for a in "abc") if is_long else ANSWER
    async with cut_off(turns_module.show_at, says=says) as cut:
        turn = await cut.owed()
        (shown, *_) = await cut.town.from_bot()
        await deny(cut.town, SEND_MESSAGES | VIEW_CHANNEL | READ_MESSAGE_HISTORY)
        assert await tell(cut.town.bot, replace(turn, message_id=int(shown["id"])))
        private = await in_private(cut.town)
        told = private if is_long else [words(one) for one in await cut.town.from_bot()]
        assert "\n".join(told).count(PAID) == 1
        assert bool(private) == is_long
        assert await invalid(cut.town) <= 2


async def test_a_member_reads_one_answer_after_the_other(town: Town) -> None:
    """S-7, F-15: two commands of two channels come into one private channel, page by page."""
    ids = await asked(town)
    turns: Sequence[OwedTurn] = [
        replace(owed(f"i:{next(ids)}", None, pages), author_id=MIRA_ID, channel_id=GENERAL_ID + at)
        for at, pages in enumerate(
            "\n\n".join(f"{letter * 9} " * 150 for letter in letters) for letters in ("abc", "xyz")
        )
    ]
    assert await town.bot.tell_interrupted(turns)
    told = "".join(one[0] for one in await in_private(town))
    assert told in {"*abc*xyz", "*xyz*abc"}
