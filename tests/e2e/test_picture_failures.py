"""Whatever goes wrong with a job: an honest card, and nothing paid for nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.e2e.studio import Studio, gallery, is_finished, labels
from tests.e2e.world import World, visible_text

CREATE_CODES = ("invalid_request", "model_not_found", "upstream_error")
"""Of the documents' error table; the others pause the whole bot (tests/e2e/test_paused.py)."""


@pytest.fixture
async def studio(world: World) -> Studio:
    made = Studio(world, user="tom", channel=await world.new_channel("darkroom"))
    await made.pace(image_s=0.3, video_s=0.5, callback_delays_s=[0.0])
    return made


async def fails_kindly(studio: Studio) -> str:
    world = studio.world
    before = await world.balance("tom")
    text = visible_text(await studio.make("imagine", prompt="a doomed picture"))
    assert "not charged" in text, text
    assert await world.balance("tom") == before
    return text


@pytest.mark.parametrize("code", CREATE_CODES)
async def test_every_passing_error_of_a_create_reads_well_and_costs_nothing(
    studio: Studio, code: str
) -> None:
    """No word of the provider reaches the member."""
    await studio.world.provider_fault("create_error", code=code)
    text = await fails_kindly(studio)
    assert code not in text


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("task_failed", {"code": "upstream_error"}),
        ("file_type", {"form": "html", "times": 20}),
        ("file_type", {"form": "svg", "times": 20}),
    ],
)
async def test_a_task_without_a_usable_result_costs_nothing(
    studio: Studio, kind: str, facts: dict[str, object]
) -> None:
    """F-47, F-55."""
    await studio.world.provider_fault(kind, **facts)
    await fails_kindly(studio)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("callback_duplicate", {"count": 5}),
        ("callback_early", {}),
        ("callback_missing", {}),
        ("callback_forged", {"how": "wrong_body"}),
        ("callback_forged", {"how": "wrong_task"}),
        ("callback_forged", {"how": "wrong_address"}),
        ("task_status", {"word": "reviewing", "polls": 1}),
        ("task_backwards", {}),
        ("get_error", {"code": "internal_error"}),
        ("file_error", {"status": 404}),
        ("file_redirect", {}),
    ],
)
async def test_troubles_that_pass_leave_one_picture_paid_once(
    studio: Studio, kind: str, facts: dict[str, object]
) -> None:
    """F-39, F-49, F-50, F-53, F-61, F-62, F-64, F-65."""
    world = studio.world
    before, made = await world.balance("tom"), len(await studio.tasks())
    await world.provider_fault(kind, **facts)
    card = await studio.make("imagine", prompt="a lucky picture")
    assert len(gallery(card)) == 1
    assert len(await studio.results()) == 1
    assert len(await studio.tasks()) - made == 1
    assert before - await world.balance("tom") == Decimal("2.4")


async def test_a_lost_answer_is_never_sent_again_and_its_task_is_adopted(studio: Studio) -> None:
    """Section 5: the create is one request; the callback brings the task's name.

    With the test below that is two in a minute; a third would pause the provider (S-13).
    """
    world = studio.world
    before, made = await world.balance("tom"), len(await studio.tasks())
    await world.provider_fault("create_no_task_id")
    card = await studio.make("imagine", prompt="a picture nearly lost")
    assert len(gallery(card)) == 1
    assert len(await studio.tasks()) - made == 1
    assert before - await world.balance("tom") == Decimal("2.4")


async def test_who_will_not_wait_gets_the_credits_back_at_once(studio: Studio) -> None:
    """The UNKNOWN card says so, and its button does it."""
    world = studio.world
    before = await world.balance("tom")
    await world.provider_fault("create_reset", after_effect=False)
    interaction_id = await studio.order("imagine", prompt="impatience")
    card = await studio.shows(
        interaction_id, lambda c: "Give my credits back now" in labels(c), "the question"
    )
    assert "held until" in visible_text(card)
    await studio.press(card, "Give my credits back now")
    over = await studio.ended(interaction_id)
    assert "not charged" in visible_text(over)
    assert await world.balance("tom") == before


async def test_a_file_above_the_upload_limit_becomes_a_link(studio: Studio) -> None:
    """The member is told until when it can be fetched; it is paid, for it is there."""
    world = studio.world
    await world.send("limits", {"file_bytes_max": 1_000}, method="PUT")
    try:
        card = await studio.make("imagine", prompt="a picture too large")
    finally:
        await world.send("limits", {"file_bytes_max": 10 * 1024 * 1024}, method="PUT")
    text = visible_text(card)
    assert not card["attachments"]
    assert "http" in text
    assert "charged 2.4 credits" in text


async def test_a_deleted_card_does_not_lose_the_result(studio: Studio) -> None:
    """F-90: one new message carries it."""
    world = studio.world
    await studio.pace(image_s=600)
    made = len(await studio.tasks())
    interaction_id = await studio.order("imagine", prompt="a deleted card")
    task = await studio.task_made(made)
    card = await studio.shows(interaction_id, lambda c: not is_finished(c), "progress")
    await world.send("messages/delete", {"user_id": world.users["olive"], "message_id": card["id"]})
    await studio.finish(task)

    async def posted() -> bool:
        return any(message["id"] != card["id"] for message in await studio.results())

    await world.until(posted, "the result is posted anew", user="tom")
    assert len(await studio.results()) == 1


async def test_a_closed_channel_sends_the_result_to_the_member(studio: Studio) -> None:
    """F-89: the next sink is the DM."""
    world = studio.world
    await studio.pace(image_s=600)
    made = len(await studio.tasks())
    interaction_id = await studio.order("imagine", prompt="a closed door")
    task = await studio.task_made(made)
    card = await studio.shows(interaction_id, lambda c: not is_finished(c), "progress")
    await world.close_channel(studio.channel)
    await world.send("messages/delete", {"user_id": world.users["olive"], "message_id": card["id"]})
    await studio.finish(task)
    letters = Studio(world, user="tom", channel=await world.open_dm("tom"))

    async def posted() -> bool:
        return any("closed door" in visible_text(m) for m in await letters.results())

    await world.until(posted, "the result is in the DM", user="tom")


async def test_an_expired_result_link_gives_the_credits_back(studio: Studio) -> None:
    """F-53: three looks, then the refund."""
    await studio.world.provider_fault("file_error", status=404, times=50)
    await fails_kindly(studio)
