"""The first answer to an interaction took its effect, and only its receipt got lost (F-86)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sandbox.discord.seed import MIRA_ID
from storage.types import Outcome, Sink
from tests.cogs.studio import Studio, gallery, opened
from tests.cogs.town import Json, Town, words

CALLBACK = {"method": "POST", "path_regex": "/interactions/.*/callback"}
REPEATED: Json = CALLBACK | {"status": 502, "after_effect": True}
"""discord.py tries again by itself, and meets 40060."""
CUT: Json = CALLBACK | {"drop": True, "after_effect": True}
"""discord.py gives up."""


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened(allowance_credits=100) as made:
        yield made


async def test_an_order_whose_acknowledgement_had_its_effect_is_taken(studio: Studio) -> None:
    """F-86, S-2: the 40060 is about our own first try."""
    await studio.town.fault(**REPEATED)
    job = await studio.order(prompt="a red fox")
    assert "a red fox" in words(await studio.card(job))
    assert len(await studio.town.from_bot()) == 1


async def test_an_order_that_was_cut_off_is_told_in_its_place(studio: Studio) -> None:
    """F-86, S-2: nobody can say whether it was acknowledged, so it is not taken; nobody waits."""
    await studio.town.fault(**CUT)
    await studio.use("mira", "imagine", options={"prompt": "a fox"})
    (told,) = await studio.until_private(bool)
    assert "not charged" in words(told)
    assert studio.foreman.jobs_of(MIRA_ID) == []
    assert await studio.town.from_bot(user="tom") == []


async def test_a_press_whose_acknowledgement_had_its_effect_counts(studio: Studio) -> None:
    """F-86: the card says so."""
    job = await studio.order()
    card = await studio.card(job)
    await studio.town.fault(**REPEATED)
    await studio.press("mira", card, "Cancel")
    await studio.town.until(lambda found: "Cancelled." in words(found[0]))
    assert studio.foreman.fresh(job).outcome is Outcome.CANCELLED


async def test_a_press_that_was_cut_off_leaves_its_card_alone(studio: Studio) -> None:
    """F-86, I-23: its `@original` is the card; the notice stands beside it."""
    job = await studio.order()
    card = await studio.card(job)
    await studio.town.fault(**CUT)
    await studio.press("mira", card, "Cancel")
    (told,) = await studio.until_private(bool)
    assert "not charged" in words(told)
    assert await studio.card(job) == card
    assert studio.foreman.fresh(job).outcome is None


async def test_a_shown_job_whose_acknowledgement_had_its_effect_is_shown(studio: Studio) -> None:
    """F-86: with its file."""
    job = studio.foreman.succeed(await studio.order())
    studio.foreman.record(job, Sink.LIST, None)
    await studio.town.fault(**REPEATED)
    await studio.use("mira", "jobs show", options={"job": job.short_id})
    (shown,) = await studio.until_private(lambda found: bool(found) and bool(gallery(found[0])))
    assert job.short_id in words(shown)


async def test_a_notice_whose_receipt_got_lost_is_shown_once(town: Town) -> None:
    """F-86: a refusal is a first answer, too."""
    await town.fault(**REPEATED)
    notice = await town.card("mira", "chat", prompt="hello", model="gpt-9")
    assert "No such model" in words(notice)
    assert len(await town.from_bot()) == 1


async def test_a_first_answer_that_was_cut_off_is_brought_up_to_date(town: Town) -> None:
    """F-86: the placeholder got through; the words take its place although they meet 40060."""
    more = asyncio.Event()
    town.model.says("Late words.")
    town.model.scripts[0] = [more, *town.model.scripts[0]]
    await town.fault(**CUT)
    await town.use("mira", "chat", prompt="hello")
    await town.until(bool)
    more.set()
    (answer,) = await town.until(lambda found: "charged" in words(found[0]))
    assert answer["content"].startswith("Late words.")


async def test_an_answer_of_another_instance_is_not_written_over(town: Town) -> None:
    """F-100: what we made and charged for comes in private instead."""
    body = {"message": "Interaction has already been acknowledged.", "code": 40060}
    await town.fault(**CALLBACK, status=400, body=body)
    town.model.says("Ours.")
    await town.use("mira", "chat", prompt="hello")
    _, answer = await town.finished(2, channel=await town.dm("mira"))
    assert words(answer).startswith("Ours.")
    assert not [one for one in await town.requests() if "/messages/@original" in one["path"]]
