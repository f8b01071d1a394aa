"""What changes the books is acknowledged first, and never called refused once it did (S-2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from bot.clock import SystemClock
from bot.discordio.reception import Reception
from bot.errors import Unexpected
from sandbox.discord.seed import MIRA_ID, TOM_ID
from storage import interactions
from storage.database import Connection
from storage.schema import JOURNAL_ONCE, budgets, callbacks, job_acts, jobs, journal
from tests.cogs.studio import Studio
from tests.cogs.test_reception import Stuck
from tests.cogs.town import Inhabited, Json, Town, words
from tests.unit.discordio.surfaces import settle

CALLBACK: Json = {"method": "POST", "path_regex": "/interactions/.*/callback"}
CONFIRMATION: Json = {"method": "PATCH", "path_regex": "/webhooks/.*/messages/@original"}
TOO_LATE: Json = CALLBACK | {
    "status": 404,
    "body": {"message": "Unknown interaction", "code": 10062},
    "times": 9,
}
Act = tuple[str, str, Json]
"""Who, which command, its options."""
GRANT = ("sam", "quota grant", {"member": str(TOM_ID), "amount": 5, "reason": "x"})
GIFT = ("tom", "credits gift", {"member": str(MIRA_ID), "amount": 2})
BUDGET = ("sam", "quota budget", {"day": 100})
CANCEL: Act = ("mira", "jobs cancel", {})
BIND = ("sam", "jobs bind", {"task": "task-1"})


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    """Tom has credits to give; at the end of a process nothing is written any more."""
    inhabited = Inhabited(database=Stuck(), allowance_credits=100)
    async with inhabited.open() as town:
        await town.card("sam", "quota grant", member=str(TOM_ID), amount=5, reason="x")
        await settle()
        yield Studio(town, inhabited)
        _stuck(inhabited).bury()


def _stuck(inhabited: Inhabited) -> Stuck:
    assert isinstance(inhabited.database, Stuck)
    return inhabited.database


def books(studio: Studio) -> list[Any]:
    """Everything that one of these commands can change."""

    def read(connection: Connection) -> list[Any]:
        acts = select(journal.c.kind, journal.c.reference).where(text(f"({JOURNAL_ONCE})"))
        others = [select(budgets), select(jobs.c.status), select(job_acts), select(callbacks)]
        return [[tuple(row) for row in connection.execute(one)] for one in (acts, *others)]

    return studio.inhabited.database.view(read)


async def prepared(studio: Studio, act: Act) -> Act:
    """The command about something that is there."""
    user, command, options = act
    if command.startswith("jobs"):
        options = options | {"job": (await studio.order()).short_id}
    return user, command, options


async def use(studio: Studio, act: Act) -> str:
    user, command, options = act
    return await studio.use(user, command, options=options)


async def until_answered_with(studio: Studio, status: int, *, count: int = 1) -> None:
    """Until Discord said so to our requests."""
    log = studio.town.sandbox.core.log
    await studio.town.until(
        lambda _: [one["status"] for one in log.since(0)].count(status) >= count
    )
    await settle()


async def replies(town: Town, user: str) -> list[str]:
    """What the member was told since the beginning, cards in the making left out."""
    found = await town.from_bot(user=user)
    return [words(one) for one in found if words(one) and "GPT Image" not in words(one)]


async def refusals(town: Town, user: str) -> list[str]:
    """What would make the member repeat it; a job that is off says by itself *not charged*."""
    return [one for one in await replies(town, user) if "my mistake" in one]


@pytest.mark.parametrize("act", [GRANT, GIFT, BUDGET, CANCEL, BIND], ids=lambda act: act[1])
async def test_who_cannot_be_acknowledged_has_done_nothing(studio: Studio, act: Act) -> None:
    """F-93, S-2: repeating it must not do it twice, and nobody could tell them that it was done."""
    act = await prepared(studio, act)
    before = books(studio)
    await studio.town.fault(**TOO_LATE)
    await use(studio, act)
    await until_answered_with(studio, 404, count=2)
    assert books(studio) == before


@pytest.mark.parametrize("act", [GRANT, GIFT], ids=lambda act: act[1])
@pytest.mark.parametrize(
    "fault",
    [{"status": 400}, {"drop": True}, {"drop": True, "after_effect": True}],
    ids=["refused", "cut", "cut after its effect"],
)
async def test_what_is_told_of_a_failed_answer_is_true(
    studio: Studio, act: Act, fault: Json
) -> None:
    """F-86, S-2: *not charged* never stands beside a line in the books."""
    before = books(studio)
    told_before = len(await replies(studio.town, act[0]))
    await studio.town.fault(**CALLBACK, **fault)
    await use(studio, act)
    found = await studio.town.until(
        lambda all_: len([one for one in all_ if words(one)]) > told_before, user=act[0]
    )
    assert "not charged" in words(found[-1])
    assert books(studio) == before


async def test_an_acknowledgement_that_had_its_effect_is_followed_by_the_act(
    studio: Studio,
) -> None:
    """F-86: the repetition meets our own first try."""
    await studio.town.fault(**CALLBACK, status=502, after_effect=True)
    told = words(await studio.town.card("tom", GIFT[1], **GIFT[2]))
    assert f"2 credits given to <@{MIRA_ID}>" in told


@pytest.mark.parametrize("act", [GRANT, GIFT, BUDGET, CANCEL, BIND], ids=lambda act: act[1])
async def test_a_confirmation_that_was_cut_off_comes_again(studio: Studio, act: Act) -> None:
    """S-2: an edit may be repeated at will."""
    act = await prepared(studio, act)
    await studio.town.fault(**CONFIRMATION, drop=True)
    told = await studio.answered(await use(studio, act))
    assert told["state"] == "answered"
    assert not await refusals(studio.town, act[0])


async def test_a_confirmation_that_cannot_be_shown_is_no_refusal(studio: Studio) -> None:
    """S-2: the member sees *thinking…* and looks; *not charged* would make them repeat it."""
    await studio.town.fault(**CONFIRMATION, status=400, times=9)
    with capture_logs() as lines:
        await use(studio, GRANT)
        await until_answered_with(studio, 400)
    assert "confirmation_not_shown" in [line["event"] for line in lines]
    assert not await refusals(studio.town, "sam")
    assert len(books(studio)[0]) == 2


async def test_words_that_cannot_be_found_are_no_refusal(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-2: a mistake of ours after the act is one for the log."""

    def broken(**_: object) -> None:
        raise Unexpected(reference="x")

    monkeypatch.setattr("bot.text.cards.gift_card", broken)
    with capture_logs() as lines:
        await use(studio, GIFT)
        await studio.town.until(lambda _: any(line["log_level"] == "error" for line in lines))
    assert [line["event"] for line in lines][-1] == "confirmation_not_shown"
    assert not await refusals(studio.town, "tom")


@pytest.mark.parametrize("act", [GRANT, GIFT, BUDGET], ids=lambda act: act[1])
async def test_what_was_booked_before_a_crash_is_called_done(studio: Studio, act: Act) -> None:
    """F-3, F-4: killed between the books and the confirmation; to repeat it would double it."""
    await studio.town.fault(**CONFIRMATION, status=400)
    _stuck(studio.inhabited).stuck_on = interactions.end
    asked_id = await use(studio, act)
    await until_answered_with(studio, 400)
    _stuck(studio.inhabited).stuck_on = None

    reception = Reception(studio.inhabited.database, SystemClock())
    left = await reception.interrupted()
    assert [str(one.id) for one in left] == [asked_id]
    await reception.tell_interrupted(studio.town.bot, left)
    told = (await replies(studio.town, act[0]))[-1]
    assert "Done" in told
    assert "not charged" not in told
    assert await reception.interrupted() == ()
