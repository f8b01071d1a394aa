"""The ends of commands that a former process owed: by the token, then in private; once (F-15)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bot.discordio import recovery
from bot.discordio.recovery import tell
from sandbox.discord.seed import GENERAL_ID, MIRA_ID
from storage import turns
from storage.types import OwedTurn
from tests.cogs.test_reception import Stuck
from tests.cogs.town import POLL_S, Inhabited, Json, Town, has_button, words

ANSWER = "The whole answer."
PAID = "charged 0.08 credits"


class Cut:
    """A town in which one `/chat` is being answered, until its process is killed."""

    def __init__(self, town: Town, database: Stuck) -> None:
        self.town = town
        self._database = database

    async def owed(self) -> OwedTurn:
        """What the next process finds, once the answer has an end."""
        async with asyncio.timeout(10):
            while True:
                if found := self._owed():
                    break
                await asyncio.sleep(POLL_S)
        (turn,) = found
        assert await self.town.bot.reception.interrupted() == ()
        return turn

    def _owed(self) -> tuple[OwedTurn, ...]:
        now_us = self.town.bot.reception._clock.now_us()
        return self._database.view(turns.owed, since_us=0, turns_max=9, now_us=now_us)

    async def told(self, turn: OwedTurn, *, user: str = "mira") -> list[Json]:
        """What stands there after the telling; told again, it is the same."""
        assert await tell(self.town.bot, turn)
        found = await self.town.from_bot(user=user)
        assert await tell(self.town.bot, turn)
        assert await self.town.from_bot(user=user) == found
        assert not any(has_button(one) for one in found)
        return found


@asynccontextmanager
async def cut_off(
    stuck_on: Callable[..., Any], *, says: str = ANSWER, private: bool = False
) -> AsyncGenerator[Cut]:
    """Killed in this transaction."""
    database = Stuck()
    database.stuck_on = stuck_on
    async with Inhabited(database=database).open() as town:
        more = asyncio.Event()
        town.model.says(says, then=more)
        await town.use("mira", "chat", prompt="hello", private=private)
        await town.until(lambda found: any(says[:10] in words(one) for one in found))
        more.set()  # the words stand there first, so that the place is noted without the price
        yield Cut(town, database)
        database.bury()


@pytest.mark.parametrize("says", [ANSWER, "\n\n".join(f"{a * 9} " * 150 for a in "abc")])
async def test_a_paid_answer_without_a_known_place_is_shown_by_its_token(says: str) -> None:
    """F-15, I-23: killed between Discord's answer and the note of the place; every page, once."""
    async with cut_off(turns.show_at, says=says) as cut:
        found = await cut.told(await cut.owed())
        shown = "\n".join(words(one) for one in found)
        assert shown.count(PAID) == 1
        assert "not charged" not in shown
        assert len(found) == (1 if says == ANSWER else 3)
        assert shown.startswith(says[:900])


async def test_a_private_answer_that_was_shown_to_its_end_stays_as_it_is() -> None:
    """F-15: killed before that was noted; its words and its price stand there."""
    async with cut_off(turns.mark_shown, private=True) as cut:
        before = await cut.town.until(lambda found: PAID in words(found[0]))
        assert await cut.told(await cut.owed()) == before


@pytest.mark.parametrize("says", [ANSWER, "x" * 1_990], ids=["with room", "without"])
async def test_a_private_answer_that_lacks_its_price_gets_it(says: str) -> None:
    """I-23: it was charged, so nothing says that it was not."""
    async with cut_off(turns.show_at, says=says) as cut:
        turn = replace(await cut.owed(), answer=None)
        assert await tell(cut.town.bot, turn)
        shown = "\n".join(words(one) for one in await cut.town.from_bot())
        assert shown.startswith(says)
        assert shown.count(PAID) == 1
        assert "Interrupted" not in shown


async def test_an_unpaid_answer_is_called_interrupted_by_its_token() -> None:
    """F-19: what was shown of it stays."""
    async with cut_off(turns.show_at) as cut:
        turn = replace(await cut.owed(), answer=None, charged_ucr=0)
        (told,) = await cut.told(turn)
        assert words(told).startswith(f"{ANSWER}\n**Interrupted by a restart**")
        assert "not charged" in words(told)


@pytest.mark.parametrize("answer", [ANSWER, None])
@pytest.mark.parametrize("token", [None, "gone" * 10])
async def test_what_was_paid_comes_in_private_when_the_token_is_over(
    town: Town, token: str | None, answer: str | None
) -> None:
    """F-15: once, also when the process ends between the telling and its note."""
    asked = await town.say("mira", "an id of today's")
    turn = OwedTurn(
        reference=f"i:{asked}",
        channel_id=GENERAL_ID,
        author_id=MIRA_ID,
        message_id=None,
        answer=answer,
        charged_ucr=80_000,
        token=token,
    )
    for _ in range(2):
        assert await tell(town.bot, turn)
        town.sandbox.core.nonces._made.clear()
    shown = "\n".join(words(one) for one in await town.from_bot(channel=await town.dm("mira")))
    assert shown.count(PAID) == 1
    assert "not charged" not in shown
    assert shown.count(ANSWER) == (answer is not None)
    assert await town.from_bot() == []


async def test_what_was_not_paid_is_no_reason_to_write_in_private(town: Town) -> None:
    """F-19: nothing was lost, and the command's place is out of reach."""
    turn = OwedTurn(reference="i:1", channel_id=GENERAL_ID, author_id=MIRA_ID, message_id=None)
    assert await tell(town.bot, turn)
    assert await town.from_bot(channel=await town.dm("mira")) == []


async def test_while_discord_is_busy_the_next_start_may_try() -> None:
    """S-7: nothing is let go, and nothing is written elsewhere."""
    async with cut_off(turns.show_at) as cut:
        turn = await cut.owed()
        await cut.town.fault(method="GET", path_regex="/webhooks/", drop=True, times=9)
        assert not await tell(cut.town.bot, turn)
        assert await cut.town.from_bot(channel=await cut.town.dm("mira")) == []


async def test_a_long_limit_of_one_token_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-84: discord.py would sit it out, however long; the answer stays owed."""
    monkeypatch.setattr(recovery, "INTERRUPTED_TIMEOUT_S", 0.2)
    async with cut_off(turns.show_at) as cut:
        turn = await cut.owed()
        body = {"message": "limited", "retry_after": 900.0, "global": False}
        await cut.town.fault(method="GET", path_regex="/webhooks/", status=429, body=body)
        async with asyncio.timeout(5):
            assert not await tell(cut.town.bot, turn)
