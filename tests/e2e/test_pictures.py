"""A command becomes a card, the card becomes the picture or the video; paid once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from io import BytesIO

import av
import pytest
from PIL import Image

from tests.e2e.studio import Studio, gallery, labels, says
from tests.e2e.world import World, visible_text

PICTURE_CREDITS = {"1k": Decimal("2.4"), "2k": Decimal("4.8"), "4k": Decimal("7.2")}


@pytest.fixture
async def studio(world: World) -> Studio:
    made = Studio(world)
    await made.pace(image_s=0.6, video_s=1.2, callback_delays_s=[0.0], video_url=True)
    return made


async def bytes_of(world: World, url: str) -> bytes:
    async with world.http.get(url) as answer:
        assert answer.status == 200, url
        return await answer.read()


async def test_a_picture_arrives_on_its_own_card_and_costs_its_price(studio: Studio) -> None:
    """One message from *queued* to the picture; the balance falls by exactly the list price."""
    world = studio.world
    before = await world.balance("mira")
    card = await studio.make("imagine", prompt="a red fox in the snow")
    assert len(card["attachments"]) == 1
    assert len(gallery(card)) == 1
    picture = Image.open(BytesIO(await bytes_of(world, card["attachments"][0]["url"])))
    assert picture.format == "PNG"
    assert "charged 2.4 credits" in visible_text(card)
    assert before - await world.balance("mira") == PICTURE_CREDITS["1k"]
    assert labels(card) == ["Again", "Edit prompt", "4K", "Animate", "Delete"]
    assert len({message["id"] for message in await studio.results()} & {card["id"]}) == 1


async def test_the_result_came_by_callback(studio: Studio) -> None:
    """The provider was given an address, and it was answered 204."""
    await studio.make("imagine", prompt="a callback in oil")
    task = (await studio.tasks())[-1]
    assert task["callback_url"]
    assert [attempt["status"] for attempt in task["callbacks"]] == [204]


@pytest.mark.parametrize("resolution", ["2k", "4k"])
async def test_each_resolution_has_its_price(studio: Studio, resolution: str) -> None:
    """4k needs one of six ratios; with one it is made."""
    before = await studio.world.balance("mira")
    await studio.make("imagine", prompt="a wide plain", resolution=resolution, aspect_ratio="16:9")
    assert before - await studio.world.balance("mira") == PICTURE_CREDITS[resolution]


async def test_a_ratio_that_does_not_go_with_4k_is_refused_before_it_costs(
    studio: Studio,
) -> None:
    """Trap 28, told in the member's words."""
    before, made = await studio.world.balance("mira"), len(await studio.tasks())
    interaction_id = await studio.order(
        "imagine", prompt="a square", resolution="4k", aspect_ratio="1:1"
    )
    notice = await studio.shows(interaction_id, says("not charged"), "a refusal")
    assert "16:9" in visible_text(notice)
    assert await studio.world.balance("mira") == before
    assert len(await studio.tasks()) == made


async def test_a_video_arrives_by_each_road(studio: Studio) -> None:
    """The default model calls back; the OpenAI format is polled, and may have no `url`.

    All three at once: the first look at a polled film is twenty seconds away.
    """
    world = studio.world
    before = await world.balance("mira")
    cards = []
    for model, has_url in ((None, True), ("viduq1", True), ("viduq1", False)):
        await studio.pace(video_url=has_url)
        made = len(await studio.tasks())
        options = {} if model is None else {"model": model}
        interaction_id = await studio.order("video", prompt="waves on a pebble beach", **options)
        cards.append(asyncio.create_task(studio.confirmed(interaction_id)))
        await studio.task_made(made)
    for card in await asyncio.gather(*cards):
        film = av.open(BytesIO(await bytes_of(world, card["attachments"][0]["url"])))
        assert film.streams.video[0].codec_context.name == "h264"
        assert "charged" in visible_text(card)
        assert labels(card) == ["Again", "Edit prompt", "Delete"]
    assert before > await world.balance("mira")


async def test_again_and_edit_prompt_make_new_jobs(studio: Studio) -> None:
    """Each press is a job with its own card and its own price; the first card stays."""
    world = studio.world
    first = await studio.make("imagine", prompt="a small boat")
    before = await world.balance("mira")
    second = await studio.ended(await studio.press(first, "Again"))
    assert second["id"] != first["id"]
    assert before - await world.balance("mira") == PICTURE_CREDITS["1k"]

    modal = await studio.press(first, "Edit prompt")
    third = await studio.ended(await world.fill_in("mira", modal, "a large boat"))
    assert "large boat" in visible_text(third)


async def test_4k_and_animate_start_from_the_picture(studio: Studio) -> None:
    """The picture itself goes along as the reference."""
    first = await studio.make("imagine", prompt="a lighthouse", aspect_ratio="16:9")
    large = await studio.confirmed(await studio.press(first, "4K"))
    assert "4k" in visible_text(large).lower()
    assert (await studio.asked())["image_urls"]
    film = await studio.confirmed(await studio.press(first, "Animate"))
    assert film["attachments"][0]["filename"].endswith(".mp4")
    assert (await studio.asked())["image_urls"]


async def test_delete_takes_the_card_away_for_its_owner_only(studio: Studio) -> None:
    """A stranger's press is refused in private; the owner's removes the message."""
    world = studio.world
    card = await studio.make("imagine", prompt="a secret garden")
    refused = await world.responded("tom", "studio", await world.press("tom", card, "Delete"))
    assert refused["ephemeral_for"] == world.users["tom"]
    await studio.press(card, "Delete")

    async def gone() -> bool:
        messages = await world.messages("mira", "studio")
        return all(m.get("deleted") for m in messages if m["id"] == card["id"])

    await world.until(gone, "the card is gone", user="mira")


async def test_fifty_parallel_orders_on_credits_for_three_accept_exactly_three(
    studio: Studio,
) -> None:
    """F-140: no interleaving can spend a credit twice."""
    world = studio.world
    await world.set_balance("tom", 8)  # three pictures cost 7.2
    await studio.pace(image_s=5.0)
    made = len(await studio.tasks())
    tom = Studio(world, user="tom", channel=await world.new_channel("rush"))
    await asyncio.gather(*(tom.order("imagine", prompt=f"picture {n}") for n in range(50)))
    await studio.pace(image_s=0.3)
    answers: list[str] = []

    async def all_told() -> bool:
        messages = await world.messages("tom", tom.channel)
        answers[:] = [text for text in map(visible_text, messages) if "charged" in text]
        return len(answers) == 50

    await world.until(all_told, "all fifty are told", user="tom", timeout_s=90)
    assert sum("not charged" in text for text in answers) == 47
    assert sum("charged 2.4" in text for text in answers) == 3
    assert len(await studio.tasks()) - made == 3
    assert await world.balance("tom") == Decimal("0.8")
    await world.set_balance("tom", 1000)


async def test_a_queued_job_can_be_cancelled_and_costs_nothing(studio: Studio) -> None:
    """Cancel works while nothing was sent."""
    world = studio.world
    before, made = await world.balance("mira"), len(await studio.tasks())
    # 429: certainly not created, so the job waits in the queue.
    await world.provider_fault("create_error", code="rate_limit_exceeded", retry_after_s=60)
    sent = len(await studio.creates())
    interaction_id = await studio.order("imagine", prompt="never mind")
    await studio.sent(sent)  # before that a press may meet the create on its way
    card = await studio.shows(interaction_id, lambda c: "Cancel" in labels(c), "Cancel")
    await studio.press(card, "Cancel")
    over = await studio.ended(interaction_id)
    assert "not charged" in visible_text(over)
    assert await world.balance("mira") == before
    assert len(await studio.tasks()) == made


async def test_the_safety_check_is_off_nowhere_but_maybe_in_age_restricted_channels(
    studio: Studio,
) -> None:
    """C-19: outside them it is always on, and no option turns it off."""
    await studio.make("imagine", prompt="a statue")
    assert (await studio.asked())["nsfw_checker"] is True


async def test_jobs_lists_what_was_made(studio: Studio) -> None:
    """`/jobs list` names the newest job; `/jobs show` brings the file again."""
    world = studio.world
    card = await studio.make("imagine", prompt="an unmistakable walrus")
    listed = await world.responded("mira", "studio", await studio.order("jobs list"))
    assert "unmistakable walrus" in visible_text(listed)
    assert card["attachments"]


async def test_right_click_edits_and_animates_a_picture(studio: Studio, png: bytes) -> None:
    """Anybody's picture can be the start."""
    world = studio.world
    message_id = await world.say("tom", "studio", "look", files={"cat.png": ("image/png", png)})
    modal = await world.menu("mira", "studio", "Edit this image", message_id)
    card = await studio.ended(await world.fill_in("mira", modal, "make it a tiger"))
    assert "tiger" in visible_text(card)
    film = await studio.confirmed(
        await world.menu("mira", "studio", "Animate this image", message_id)
    )
    assert film["attachments"][0]["filename"].endswith(".mp4")
