"""`/video`: options as the chosen model takes them, and the question about a high price."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from bot.limits import CONFIRMATION_S
from sandbox.discord.seed import GENERAL_ID, MIRA_ID
from storage.database import Connection
from storage.inline import InlineDatabase
from storage.types import JobKind
from tests.cogs.mishaps import problems
from tests.cogs.studio import Studio, labels, opened, parts
from tests.cogs.town import Json, words

P = ParamSpec("P")
T = TypeVar("T")

DEAR = {"prompt": "a long film", "seconds": 30, "size": "720p 16:9"}
"""135 credits with the default model."""


@pytest.fixture
async def studio(request: pytest.FixtureRequest) -> AsyncGenerator[Studio]:
    if "slow" in request.fixturenames:  # before the town is built on its books
        request.getfixturevalue("slow")
    async with opened(allowance_credits=500) as made:
        yield made


async def asked(studio: Studio) -> Json:
    """The question about the price of a dear film."""
    await studio.use("mira", "video", options=DEAR)
    (question,) = await studio.until_private(bool)
    return question


async def private_words(studio: Studio) -> str:
    (told,) = await studio.until_private(bool)
    return words(told)


# --- The command ---------------------------------------------------------------------------------


async def test_a_video_is_ordered_with_its_length_and_size(studio: Studio) -> None:
    job = await studio.order(command="video", seconds=8, size="720p 9:16")

    options = job.request["options"]
    assert job.kind is JobKind.VIDEO
    assert job.model == "grok-imagine-text-to-video"
    assert (options["seconds"], options["resolution"], options["aspect_ratio"]) == (
        8,
        "720p",
        "9:16",
    )
    assert "36 credits held until" in words(await studio.card(job))


async def test_a_picture_takes_the_model_that_begins_with_one(studio: Studio) -> None:
    """One family is two ids upstream; a member need not know."""
    job = await studio.order(command="video", images=("image",))

    assert job.model == "grok-imagine-image-to-video"
    assert len(job.request["image_urls"]) == 1


async def test_a_finished_video_has_no_buttons_for_pictures(studio: Studio) -> None:
    job = await studio.order(command="video")
    job = studio.foreman.succeed(job, filename="atelier.mp4")

    await studio.foreman.deliver(studio.delivery, job)

    card = await studio.card(job)
    assert labels(card) == ["Again", "Edit prompt", "Delete"]
    assert "2:3 · 480p · 6 s · made in" in words(card)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seconds": 31}, "the length goes from 6 to 30"),
        ({"size": "8k"}, "the size can be: 480p, 720p, 2:3"),
        ({"model": "sora-2"}, "The models here are"),
    ],
)
async def test_a_wrong_option_is_told_with_the_right_ones(
    studio: Studio, options: dict[str, Json], told: str
) -> None:
    await studio.use("mira", "video", options={"prompt": "x"} | options)

    assert told in await private_words(studio)


async def test_a_model_without_a_key_is_told_and_not_offered(studio: Studio) -> None:
    """The operator can add it."""
    studio.foreman.models.off.add("veo-3")

    offered = await studio.complete("mira", "video", "model", model="")
    await studio.use("mira", "video", options={"prompt": "x", "model": "veo-3"})

    assert "veo-3" not in [choice["value"] for choice in offered]
    assert "That model is switched off" in await private_words(studio)


# --- Completion ----------------------------------------------------------------------------------


async def test_models_complete_by_what_was_typed(studio: Studio) -> None:
    offered = await studio.complete("mira", "video", "model", model="kling 3")

    assert offered == [{"name": "Kling 3.0", "value": "kling-3.0"}]


async def test_lengths_complete_from_the_chosen_model(studio: Studio) -> None:
    """In seconds, shortest first, narrowed by what was typed."""
    default = await studio.complete("mira", "video", "seconds", seconds="")
    typed = await studio.complete("mira", "video", "seconds", seconds="1")

    assert [choice["value"] for choice in default] == list(range(6, 31))
    assert default[0] == {"name": "6 s", "value": 6}
    assert [choice["value"] for choice in typed] == list(range(10, 20))


async def test_sizes_complete_from_the_chosen_model(studio: Studio) -> None:
    default = await studio.complete("mira", "video", "size", size="720p 9")
    chosen = await studio.complete("mira", "video", "size", size="", model="kling-3.0")

    assert [choice["value"] for choice in default] == ["720p 9:16"]
    assert [choice["value"] for choice in chosen] == ["std", "pro"]


@pytest.mark.parametrize("focused", ["seconds", "size"])
async def test_an_unknown_model_has_nothing_to_offer(studio: Studio, focused: str) -> None:
    """Somebody typed a name of their own."""
    assert await studio.complete("mira", "video", focused, model="sora-9", **{focused: ""}) == []


# --- The question about a high price -------------------------------------------------------------


async def test_above_the_limit_a_private_card_asks_first(studio: Studio) -> None:
    """asks.md, section 2, number 3: the price on the button; nothing was spent."""
    question = await asked(studio)

    assert "This costs 135 credits" in words(question)
    assert "You have 500." in words(question)
    assert "not charged" in words(question)
    assert labels(question) == ["Spend 135 credits"]
    assert studio.foreman.jobs_of(MIRA_ID) == []


async def test_yes_puts_the_card_where_everybody_sees_it(studio: Studio) -> None:
    """And the question goes away."""
    question = await asked(studio)

    await studio.answered(await studio.press("mira", question, "Spend 135 credits"))

    (job,) = studio.foreman.jobs_of(MIRA_ID)
    card = await studio.card(job)
    assert card["ephemeral_for"] is None
    assert "Queued, place 1" in words(card)
    await studio.until_private(lambda found: found == [])


async def test_the_result_replaces_the_card_that_a_yes_made(studio: Studio) -> None:
    """The new card's token is the one that lives on."""
    question = await asked(studio)
    await studio.answered(await studio.press("mira", question, "Spend 135 credits"))
    (job,) = studio.foreman.jobs_of(MIRA_ID)

    await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    (card,) = [one for one in await studio.town.from_bot() if one["ephemeral_for"] is None]
    assert "charged 135 credits" in words(card)


async def test_a_question_is_answered_once(studio: Studio) -> None:
    """Two quick presses are one job."""
    question = await asked(studio)

    first = await studio.press("mira", question, "Spend 135 credits")
    second = await studio.press("mira", question, "Spend 135 credits")
    await studio.answered(first)
    await studio.answered(second)

    assert len(studio.foreman.jobs_of(MIRA_ID)) == 1


async def test_a_question_of_a_former_process_is_asked_again(studio: Studio) -> None:
    """It may cost something else by now."""
    question = await asked(studio)
    await studio.town.bot.close()

    async with studio.inhabited.client() as bot, studio.inhabited.online(bot):
        await studio.press("mira", question, "Spend 135 credits")
        found = await studio.until_private(lambda found: len(found) == 2)

    assert "This question is no longer open" in words(found[-1])
    assert studio.foreman.jobs_of(MIRA_ID) == []


async def test_an_old_question_is_asked_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.discordio.confirmations.CONFIRMATION_S", -1.0)
    question = await asked(studio)

    await studio.press("mira", question, "Spend 135 credits")

    found = await studio.until_private(lambda found: len(found) == 2)
    assert "This question is no longer open" in words(found[-1])
    assert CONFIRMATION_S < 900


async def test_the_oldest_question_gives_way(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open questions are bounded."""
    monkeypatch.setattr("bot.discordio.confirmations.CONFIRMATIONS_MAX", 1)
    first = await asked(studio)
    await studio.use("mira", "video", options=DEAR)
    await studio.until_private(lambda found: len(found) == 2)

    await studio.press("mira", first, "Spend 135 credits")

    found = await studio.until_private(lambda found: len(found) == 3)
    assert "This question is no longer open" in words(found[-1])


async def test_a_yes_that_came_too_late_for_the_credits_is_told(studio: Studio) -> None:
    """They were spent meanwhile."""
    question = await asked(studio)
    for _ in range(9):
        await studio.order(command="video", seconds=10, size="720p")

    await studio.press("mira", question, "Spend 135 credits")

    found = await studio.until_private(lambda found: "Not enough credits" in words(found[-1]))
    assert "This needs up to 135 credits; you have 95." in words(found[-1])


# --- When the books are slow ---------------------------------------------------------------------


class SlowStore(InlineDatabase):
    """Every writing transaction waits as long as it takes to tell Discord that we are at work."""

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        await asyncio.sleep(0.05)
        return await super().transact(body, *args, **kwargs)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discord is told before the price is known."""
    monkeypatch.setattr("bot.discordio.job_desk.ACKNOWLEDGE_DELAY_S", 0)
    monkeypatch.setattr("tests.cogs.town.InlineDatabase", SlowStore)


@pytest.mark.usefixtures("slow")
async def test_a_late_price_is_asked_for_in_private_all_the_same(studio: Studio) -> None:
    """What was shown to everybody meanwhile goes away."""
    question = await asked(studio)

    assert "This costs 135 credits" in words(question)
    public = [one for one in await studio.town.from_bot() if one["ephemeral_for"] is None]
    assert public == []


@pytest.mark.usefixtures("slow")
async def test_a_late_refusal_is_private_all_the_same(studio: Studio) -> None:
    await studio.use("mira", "video", options={"prompt": "x", "seconds": 31})

    assert "from 6 to 30" in await private_words(studio)
    public = [one for one in await studio.town.from_bot() if one["ephemeral_for"] is None]
    assert public == []


@pytest.mark.usefixtures("slow")
async def test_a_late_price_below_the_limit_is_simply_accepted(studio: Studio) -> None:
    job = await studio.order(command="video")

    assert "Queued" in words(await studio.card(job))


async def test_every_request_is_valid(studio: Studio) -> None:
    """By Discord's own description, the question and its answer too."""
    question = await asked(studio)
    assert parts(question, 2)
    await studio.answered(await studio.press("mira", question, "Spend 135 credits"))
    await studio.until_private(lambda found: found == [])

    assert problems(await studio.town.requests()) == []
    assert len(await studio.town.from_bot(channel=GENERAL_ID)) == 1
