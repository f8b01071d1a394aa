"""Pictures and videos by task: what is refused, what is charged, what is told until the end."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from sandbox.provider.tasks.models import IMAGE_MODELS, VIDEO_MODELS
from tests.contract.provider_client import KEY, Json
from tests.contract.task_client import IMAGE, IMAGES, VIDEO, VIDEOS, Tasks

LINK = "https://example.com/a.png"


def body(model: str = IMAGE, **given: Any) -> Json:
    return {"model": model, "input": given}


def links(count: int) -> list[str]:
    return [f"https://example.com/{number}.png" for number in range(count)]


# --- Refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "wrong", "field"),
    [
        (IMAGES, {"input": {"prompt": "a"}}, "model"),
        (IMAGES, {"model": IMAGE}, "input"),
        (IMAGES, {"model": IMAGE, "input": []}, "input"),
        (IMAGES, {"model": IMAGE, "prompt": "a", "input": {}}, "prompt"),
        (IMAGES, body(), "input.prompt"),
        (IMAGES, body(prompt=""), "input.prompt"),
        (IMAGES, body(prompt=7), "input.prompt"),
        (IMAGES, body(prompt="a" * 20_001), "input.prompt"),
        (IMAGES, body(prompt="a", size="1024x1024"), "input.size"),
        (IMAGES, body(prompt="a", image_urls="x"), "input.image_urls"),
        (IMAGES, body(prompt="a", image_urls=links(17)), "input.image_urls"),
        (IMAGES, body(prompt="a", image_urls=["data:image/png;base64,AA"]), "input.image_urls[0]"),
        (IMAGES, body(prompt="a", image_urls=[{"url": LINK}]), "input.image_urls[0]"),
        (IMAGES, body(prompt="a", aspect_ratio="7:5"), "input.aspect_ratio"),
        (IMAGES, body(prompt="a", resolution="4K"), "input.resolution"),
        (IMAGES, body(prompt="a", resolution="4k"), "input.aspect_ratio"),
        (IMAGES, body(prompt="a", resolution="4k", aspect_ratio="1:1"), "input.aspect_ratio"),
        (IMAGES, body(prompt="a", nsfw_checker="yes"), "input.nsfw_checker"),
        (IMAGES, {**body(prompt="a"), "callback_url": "ftp://x"}, "callback_url"),
        (VIDEOS, body("sora-2", prompt="a", duration=4), "input.aspect_ratio"),
        (VIDEOS, body("sora-2", prompt="a", duration="4", aspect_ratio="16:9"), "input.duration"),
        (VIDEOS, body("sora-2", prompt="a", duration=5, aspect_ratio="16:9"), "input.duration"),
        (VIDEOS, body("veo-3", prompt="a", duration=5), "input.duration"),
        (VIDEOS, body("veo-3", prompt="a", seeds=1), "input.seeds"),
        (
            VIDEOS,
            body("veo-3", prompt="a", generation_type="REFERENCE_2_VIDEO"),
            "input.image_urls",
        ),
        (
            VIDEOS,
            body(
                "veo-3",
                prompt="a",
                generation_type="REFERENCE_2_VIDEO",
                image_urls=links(1),
                mode="quality",
            ),
            "input.mode",
        ),
        (VIDEOS, body("kling-3.0", prompt="a", mode="fast"), "input.mode"),
        (VIDEOS, body("doubao-seedance-2.0", prompt="a", duration=3), "input.duration"),
        (VIDEOS, body("doubao-seedance-2.0", prompt="a", audio_urls=links(1)), "input.audio_urls"),
        (
            VIDEOS,
            body("doubao-seedance-2.0", prompt="a", generation_type="first_and_last_frames"),
            "input.image_urls",
        ),
        (VIDEOS, body("doubao-seedance-2.0-fast", prompt="a", resolution="1080p"), "resolution"),
        (VIDEOS, body("wan-2.6-text-to-video", prompt="a" * 1_501), "input.prompt"),
        (
            VIDEOS,
            body("wan-2.6-text-to-video", prompt="a", shot_type="multi", prompt_extend=False),
            "input.shot_type",
        ),
        (VIDEOS, body("wan-2.6-image-to-video", prompt="a", image_urls=links(2)), "image_urls"),
        (VIDEOS, body("wan-2.6-image-to-video", prompt="a"), "input.image_urls"),
        (VIDEOS, body("grok-imagine-text-to-video", prompt="a", duration=31), "input.duration"),
        (VIDEOS, body("grok-imagine-text-to-video", prompt="a", duration=True), "input.duration"),
        (
            VIDEOS,
            body("grok-imagine-image-to-video", image_urls=links(1), mode="spicy"),
            "input.mode",
        ),
    ],
)
async def test_mistakes_are_refused_by_name(
    tasks: Tasks, path: str, wrong: Json, field: str
) -> None:
    """400 `invalid_request`, the field in the message, nothing created, nothing charged."""
    status, error = await tasks.provider.refusal(path, wrong)
    assert (status, error["code"], error["type"]) == (
        400,
        "invalid_request",
        "invalid_request_error",
    )
    assert f"{field.rpartition('.')[2]}'" in error["message"]
    assert (await tasks.provider.control("GET", "tasks"))["tasks"] == []
    assert await tasks.provider.consumed() == 0


async def test_unknown_names_have_their_own_codes(tasks: Tasks) -> None:
    """404 means two things (trap 34); a model of the other endpoint is unknown, too."""
    for path, model in ((IMAGES, "dall-e"), (IMAGES, VIDEO), (VIDEOS, IMAGE)):
        status, error = await tasks.provider.refusal(path, body(model, prompt="a"))
        assert (status, error["code"]) == (404, "model_not_found")
    answer = await tasks.provider.client.get("/v1/tasks/none", headers=KEY)
    assert answer.status == 404
    assert (await answer.json())["error"]["code"] == "task_not_found"


async def test_every_task_endpoint_asks_for_the_key(tasks: Tasks) -> None:
    """401 in the documented form."""
    for path in (IMAGES, VIDEOS):
        status, error = await tasks.provider.refusal(path, body(prompt="a"), headers={})
        assert (status, error["code"]) == (401, "invalid_api_key")
    answer = await tasks.provider.client.get("/v1/tasks/none", headers={"Authorization": "x"})
    assert answer.status == 401


# --- Prices ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model", "given", "price"),
    [
        (IMAGES, IMAGE, {}, "2.4"),
        (IMAGES, IMAGE, {"resolution": "2k"}, "4.8"),
        (IMAGES, IMAGE, {"resolution": "4k", "aspect_ratio": "16:9"}, "7.2"),
        (VIDEOS, "sora-2", {"duration": 8, "aspect_ratio": "9:16"}, "200"),
        (VIDEOS, "veo-3", {}, "40"),
        (VIDEOS, "veo-3", {"mode": "quality"}, "300"),
        (VIDEOS, "kling-3.0", {"mode": "pro"}, "200"),
        (VIDEOS, "doubao-seedance-2.0", {"duration": 6, "resolution": "1080p"}, "612"),
        (VIDEOS, "doubao-seedance-2.0", {"video_urls": [{"url": LINK}]}, "250"),
        (VIDEOS, "doubao-seedance-2.0-fast", {"resolution": "480p"}, "80"),
        (VIDEOS, "wan-2.6-text-to-video", {"duration": 2, "resolution": "720p"}, "48"),
        (VIDEOS, "wan-2.7-text-to-video", {}, "200"),
        (VIDEOS, "happyhorse-1.0-text-to-video", {}, "170"),
        (VIDEOS, "grok-imagine-text-to-video", {}, "14.4"),
        (VIDEOS, "grok-imagine-text-to-video", {"duration": 7, "resolution": "720p"}, "31.5"),
    ],
)
async def test_prices_are_exact_and_paid_at_once(
    tasks: Tasks, path: str, model: str, given: Json, price: str
) -> None:
    """The tiers of the pages, charged before the work (providers.md 1.3)."""
    await tasks.pace(image_s=3600, video_s=3600)
    await tasks.create(path=path, model=model, **given)
    assert await tasks.provider.consumed() == Decimal(price)
    credit = await tasks.provider.client.get("/v1/credits", headers=KEY)
    assert (await credit.json())["data"]["balance"] == pytest.approx(10_000 - float(price))
    journal = (await tasks.provider.control("GET", "requests"))["requests"]
    assert Decimal(journal[0]["charged"]) == Decimal(price)


async def test_what_cannot_be_paid_is_refused(tasks: Tasks) -> None:
    """402, and the last credits are still good for what they cover."""
    await tasks.provider.control("PUT", "account", {"balance": "2.4"})
    status, error = await tasks.provider.refusal(IMAGES, body(prompt="a", resolution="2k"))
    assert (status, error["code"], error["type"]) == (402, "insufficient_credits", "billing_error")
    await tasks.create()
    status, _ = await tasks.provider.refusal(IMAGES, body(prompt="a"))
    assert status == 402
    assert await tasks.provider.consumed() == Decimal("2.4")


def test_every_model_of_the_page_is_there() -> None:
    """providers.md 1.7 and 1.8."""
    families = ("sora", "veo", "kling", "doubao", "wan", "happyhorse", "grok")
    assert set(IMAGE_MODELS) == {"gpt-image-2"}
    assert {name.split("-")[0] for name in VIDEO_MODELS} == set(families)
    assert len(VIDEO_MODELS) == 17


# --- A task's life ---------------------------------------------------------------------------


async def test_a_picture_from_create_to_end(tasks: Tasks) -> None:
    """The objects of provider-docs 001: bare, and with what belongs to each state alone."""
    await tasks.pace(image_s=3600)
    name = await tasks.create("a fox", image_urls=[LINK])
    task = await tasks.look(name)
    assert {**task, "created_at": 0} == {
        "id": name,
        "status": "pending",
        "model": IMAGE,
        "created_at": 0,
        "progress": 0,
    }
    assert isinstance(task["created_at"], int)
    await tasks.provider.control("POST", "tasks/finish", {"task_id": name})
    task = await tasks.end(name)
    assert set(task) == {"id", "status", "model", "created_at", "completed_at", "output"}
    assert task["output"]["metadata"]["model"] == "gpt-image-2-image-to-image"
    assert task["output"]["urls"][0].startswith("http://127.0.0.1:")
    assert await tasks.file(task["output"]["urls"][0])


async def test_progress_grows_through_the_words(tasks: Tasks) -> None:
    """pending, then processing, and never backwards."""
    await tasks.pace(video_s=0.6, pending_share=0.3)
    name = await tasks.create(path=VIDEOS)
    words, steps = [], []
    while (task := await tasks.look(name))["status"] != "completed":
        words.append(task["status"])
        steps.append(task["progress"])
        await asyncio.sleep(0.03)
    assert list(dict.fromkeys(words)) == ["pending", "processing"]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1] <= 99


@pytest.mark.parametrize(
    ("form", "shown"), [("percent", "0%"), ("null", None), ("absent", "missing")]
)
async def test_progress_can_be_written_otherwise(tasks: Tasks, form: str, shown: Any) -> None:
    """As providers differ (providers.md 1.2 and 3.1)."""
    await tasks.pace(image_s=3600, progress=form)
    assert (await tasks.look(await tasks.create())).get("progress", "missing") == shown


async def test_a_failed_task_gives_its_credits_back(tasks: Tasks) -> None:
    """HTTP 200, an error without a type, and a refund."""
    await tasks.fault("task_failed", code="upstream_error", message="Generation failed")
    name = await tasks.create()
    task = await tasks.end(name)
    assert task["error"] == {"code": "upstream_error", "message": "Generation failed"}
    assert set(task) == {"id", "status", "model", "created_at", "error"}
    assert await tasks.provider.consumed() == 0
    facts = await tasks.facts(name)
    assert (facts["charged"], facts["refunded"], facts["state"]) == ("2.4", "2.4", "failed")


async def test_creates_are_counted_by_order_and_address(tasks: Tasks) -> None:
    """So that a test can prove that there was one create."""
    url = "http://127.0.0.1:1/callbacks/1"
    first = await tasks.create("one", callback_url=url)
    await tasks.create("two")
    await tasks.create("two")
    creates = (await tasks.provider.control("GET", "tasks"))["creates"]
    assert creates["by_callback_url"] == {url: 1}
    assert creates["by_digest"][(await tasks.facts(first))["digest"]] == 1
    assert sorted(creates["by_digest"].values()) == [1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_s": -1},
        {"video_s": "soon"},
        {"pending_share": 2},
        {"progress": "yes"},
        {"video_url": 1},
        {"callback_delays_s": [0] * 11},
        {"callback_delays_s": 3},
        {"other": 1},
    ],
)
async def test_a_senseless_pace_changes_nothing(tasks: Tasks, wrong: Json) -> None:
    """400, and the pace stays."""
    before = await tasks.provider.control("GET", "tasks_pace")
    answer = await tasks.provider.client.put("/control/tasks_pace", json=wrong)
    assert answer.status == 400
    assert await tasks.provider.control("GET", "tasks_pace") == before
