"""Right clicks on pictures, and what rarely happens to an order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from sandbox.discord.seed import GENERAL_ID, MIRA_ID, TOM_ID
from storage.types import Job, JobKind
from tests.cogs.mishaps import refused
from tests.cogs.studio import GALLERY, Studio, gallery, opened, parts, picture
from tests.cogs.town import Json, words


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened(allowance_credits=200) as made:
        yield made


async def finished(studio: Studio) -> Json:
    """The message of a picture that is done."""
    job = await studio.order()
    await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))
    return await studio.card(job)


def newest(studio: Studio) -> Job:
    return studio.foreman.jobs_of(MIRA_ID)[-1]


async def refusal(studio: Studio) -> str:
    """The private words of a refusal."""
    (told,) = await studio.until_private(bool)
    return words(told)


# --- Right clicks --------------------------------------------------------------------------------


async def said_with_picture(studio: Studio) -> str:
    """Tom shows a picture."""
    body = {
        "user_id": str(TOM_ID),
        "channel_id": str(GENERAL_ID),
        "content": "look",
        "attachments": [picture("notes.png"), picture("second.png")],
    }
    return str((await studio.town.call("POST", "messages", body))["message_id"])


async def test_anybodys_picture_can_be_edited(studio: Studio) -> None:
    """asks.md 46: with words from a form."""
    message_id = await said_with_picture(studio)

    form = await studio.menu("mira", "Edit this image", message_id)
    await studio.town.settled(form)
    await studio.answered(await studio.fill("mira", form, "with a hat"))

    job = newest(studio)
    assert job.kind is JobKind.IMAGE
    assert job.prompt == "with a hat"
    assert "notes.png" in job.request["image_urls"][0]


async def test_anybodys_picture_can_be_animated_in_one_press(studio: Studio) -> None:
    message_id = await said_with_picture(studio)

    await studio.answered(await studio.menu("mira", "Animate this image", message_id))

    job = newest(studio)
    assert job.kind is JobKind.VIDEO
    assert job.prompt == ""
    assert words(await studio.card(job)).startswith("### Grok Imagine, from pictures\n")


async def test_the_bots_own_picture_can_be_edited_by_others(studio: Studio) -> None:
    """A right click is no button: whoever sees a picture may begin with it."""
    card = await finished(studio)

    form = await studio.menu("tom", "Edit this image", card["id"])
    await studio.town.settled(form)
    await studio.answered(await studio.fill("tom", form, "in the rain"))

    (job,) = studio.foreman.jobs_of(TOM_ID)
    assert job.request["image_urls"] == [card["attachments"][0]["url"]]


@pytest.mark.parametrize("name", ["Edit this image", "Animate this image"])
async def test_a_message_without_a_picture_is_told_so(studio: Studio, name: str) -> None:
    message_id = await studio.town.say("tom", "just words")

    await studio.menu("mira", name, message_id)

    assert "No picture there" in await refusal(studio)


async def test_a_strangers_address_on_a_card_is_not_passed_on(studio: Studio) -> None:
    """C-15, F-147: another bot may show what it likes; the provider is not sent there."""
    card = await finished(studio)
    message = studio.town.sandbox.world.find_message(int(card["id"]))
    assert message is not None
    message.attachments = []
    (gallery_,) = parts({"components": message.components}, GALLERY)
    gallery_["items"][0]["media"]["url"] = "https://evil.example/a.png"

    await studio.menu("mira", "Animate this image", card["id"])

    assert "No picture there" in await refusal(studio)


# --- What rarely happens -------------------------------------------------------------------------


async def test_a_picture_on_a_card_without_attachments_is_found(studio: Studio) -> None:
    """Discord need not list a card's files beside the card."""
    card = await finished(studio)
    message = studio.town.sandbox.world.find_message(int(card["id"]))
    assert message is not None
    message.attachments = []

    await studio.answered(await studio.menu("mira", "Animate this image", card["id"]))

    (shown,) = gallery(card)
    assert newest(studio).request["image_urls"] == [shown["media"]["url"]]


async def test_a_model_that_needs_words_asks_for_them(studio: Studio) -> None:
    """The operator chose another default."""
    services = studio.town.bot.services
    catalogue = replace(services.catalogue, default_video_model="veo-3")
    studio.town.bot.job_desk._services = replace(services, catalogue=catalogue)
    message_id = await said_with_picture(studio)

    form = await studio.menu("mira", "Animate this image", message_id)
    told = await studio.town.settled(form)
    await studio.answered(await studio.fill("mira", form, "it dances"))

    assert told["modal"]["title"] == "Animate this image"
    assert newest(studio).prompt == "it dances"


async def test_a_card_that_cannot_be_written_down_is_found_again(studio: Studio) -> None:
    """The job stands; the engine finds its card through the token."""
    with studio.inhabited.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER busy BEFORE UPDATE OF card_message_id ON jobs "
            "BEGIN SELECT RAISE(ABORT, 'busy'); END"
        )
    await studio.answered(await studio.use("mira", "imagine", options={"prompt": "x"}))
    (job,) = studio.foreman.jobs_of(MIRA_ID)
    with studio.inhabited.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER busy")

    delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    assert len(await studio.town.from_bot()) == 1
    assert delivered.message_id == int((await studio.card(job))["id"])


async def test_a_job_whose_card_was_refused_is_accepted_all_the_same(studio: Studio) -> None:
    """What Discord refuses after the acceptance is the engine's to mend."""
    await refused(studio, "PATCH", "/webhooks/", 400, 50035)

    await studio.use("mira", "imagine", options={"prompt": "x"})
    await studio.town.until(lambda _: len(studio.foreman.jobs_of(MIRA_ID)) == 1)

    assert newest(studio).outcome is None
    assert await studio.private() == []
