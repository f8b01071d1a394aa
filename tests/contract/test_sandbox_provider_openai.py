"""Videos in the OpenAI format: the objects of provider-docs 004, its content and its errors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sandbox.provider.studio.picture import Draft, draw, png
from sandbox.provider.tasks.forms import FORMAT_ROWS, FormatRow
from tests.contract.provider_client import KEY, Json
from tests.contract.task_client import FORMAT, Tasks

PICTURE = png(draw(Draft(prompt="a", size=(64, 96))))
FIRST = {"id", "object", "model", "status", "progress", "created_at", "size", "seconds", "quality"}
SECOND = FIRST | {"completed_at", "expires_at", "remixed_from_video_id", "error"}


async def created(tasks: Tasks, **fields: Any) -> Json:
    answer = await tasks.form(**{"prompt": "a cat", **fields})
    assert answer.status == 200, await answer.text()
    body: Json = await answer.json()
    return body


async def test_a_video_from_create_to_content(tasks: Tasks) -> None:
    """The defaults of the document, its words, and a film that only the key can read."""
    await tasks.pace(video_s=3600)
    video = await created(tasks)
    assert set(video) == FIRST
    assert (video["object"], video["model"], video["status"]) == ("video", "sora-2", "queued")
    assert (video["seconds"], video["size"], video["quality"]) == ("4", "720x1280", "standard")
    path = f"{FORMAT}/{video['id']}/content"
    early = await tasks.provider.client.get(path, headers=KEY)
    assert (early.status, (await early.json())["error"]["code"]) == (400, "invalid_parameter")
    await tasks.provider.control("POST", "tasks/finish", {"task_id": video["id"]})
    done = await tasks.end(video["id"])
    assert set(done) == FIRST | {"url"}
    assert done["progress"] == 100
    content = await tasks.provider.client.get(path, headers=KEY)
    data = await content.read()
    assert (content.status, content.content_type) == (200, "video/mp4")
    assert content.headers["Content-Length"] == str(len(data))
    assert content.headers["Content-Disposition"] == f'attachment; filename="{video["id"]}.mp4"'
    assert data == await tasks.file(done["url"])
    assert data[4:8] == b"ftyp"
    without = await tasks.provider.client.get(path)
    assert (without.status, (await without.json())["error"]["code"]) == (401, "invalid_api_key")


async def test_the_second_form_has_no_url(tasks: Tasks) -> None:
    """Trap 39: the document describes the same request twice."""
    await tasks.pace(video_url=False)
    video = await created(tasks)
    assert set(video) == SECOND
    assert video["completed_at"] is None
    done = await tasks.end(video["id"])
    assert set(done) == SECOND
    assert done["expires_at"] - done["completed_at"] == 24 * 3600
    assert done["error"] is None


async def test_a_picture_goes_along(tasks: Tasks) -> None:
    """As a file; the journal keeps its facts and not its bytes."""
    video = await created(tasks, picture=PICTURE, model="viduq1", size="1080x1920")
    await tasks.end(video["id"])
    entry = (await tasks.provider.control("GET", "requests"))["requests"][0]
    assert entry["body"]["input_reference"]["size_bytes"] == len(PICTURE)
    assert entry["body"]["model"] == "viduq1"
    assert (await tasks.facts(video["id"]))["images"] == 1


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({}, "80"),
        ({"seconds": "12"}, "240"),
        ({"size": "1792x1024"}, "400"),
        ({"model": "kling-v2-master", "seconds": "10"}, "560"),
        ({"model": "viduq1"}, "80"),
    ],
)
async def test_the_gateway_has_a_purse_of_its_own(
    tasks: Tasks, fields: dict[str, str], price: str
) -> None:
    """Trap 37; paid at creation, given back on failure."""
    await tasks.fault("task_failed", code="content_policy_violation")
    await tasks.pace(video_s=3600)
    video = await created(tasks, **fields)
    gateway = await tasks.provider.control("GET", "gateway")
    assert Decimal(gateway["consumed"]) == Decimal(price)
    assert await tasks.provider.consumed() == 0
    await tasks.provider.control("POST", "tasks/finish", {"task_id": video["id"]})
    failed = await tasks.end(video["id"])
    assert failed["error"]["code"] == "content_policy_violation"
    assert Decimal((await tasks.provider.control("GET", "gateway"))["consumed"]) == 0
    content = await tasks.provider.client.get(f"{FORMAT}/{video['id']}/content", headers=KEY)
    assert content.status == 400


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"prompt": " "}, 400, "'prompt'"),
        ({"prompt": "a" * 32_001}, 400, "'prompt'"),
        ({"seconds": "5"}, 400, "'seconds'"),
        ({"seconds": "four"}, 400, "'seconds'"),
        ({"size": "1x1"}, 400, "'size'"),
        ({"callback_url": "http://127.0.0.1/"}, 400, "'callback_url'"),
        ({"model": "veo-9"}, 503, "veo-9"),
        ({"picture": b"<html>"}, 400, "'input_reference'"),
    ],
)
async def test_mistakes_are_refused(
    tasks: Tasks, fields: dict[str, Any], status: int, word: str
) -> None:
    """In the error form of the document, which names neither statuses nor fields."""
    answer = await tasks.form(**{"prompt": "a cat", **fields})
    error = (await answer.json())["error"]
    assert answer.status == status
    assert set(error) == {"message", "type", "code"}
    assert word in error["message"]
    assert (await tasks.provider.control("GET", "tasks"))["tasks"] == []


async def test_only_forms_are_taken(tasks: Tasks) -> None:
    """Trap 42; and an unknown video is 404, of either protocol's name."""
    answer = await tasks.provider.post(FORMAT, {"prompt": "a cat"})
    assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_parameter")
    picture = await tasks.create()
    for name in ("video_1", picture):
        for tail in ("", "/content"):
            answer = await tasks.provider.client.get(f"{FORMAT}/{name}{tail}", headers=KEY)
            assert answer.status == 404
    video = (await created(tasks))["id"]
    answer = await tasks.provider.client.get(f"/v1/tasks/{video}", headers=KEY)
    assert answer.status == 404


async def test_an_empty_purse(tasks: Tasks) -> None:
    """402, which the document forgets."""
    await tasks.provider.control("PUT", "gateway", {"balance": "79.99"})
    answer = await tasks.form(prompt="a cat")
    assert answer.status == 402


@pytest.mark.parametrize("row", FORMAT_ROWS.values(), ids=lambda row: row.code)
async def test_every_error_body_can_be_had(tasks: Tasks, row: FormatRow) -> None:
    """At the create and at the look."""
    await tasks.fault("create_error", code=row.code, endpoint="openai")
    answer = await tasks.form(prompt="a cat")
    error = {"message": row.message, "type": row.type, "code": row.code}
    assert (answer.status, await answer.json()) == (row.status, {"error": error})
    video = await created(tasks)
    await tasks.fault("get_error", code=row.code, message="No.", retry_after_s=2)
    answer = await tasks.provider.client.get(f"{FORMAT}/{video['id']}", headers=KEY)
    assert (answer.status, answer.headers["Retry-After"]) == (row.status, "2")
    assert (await answer.json())["error"]["message"] == "No."


async def test_a_create_can_lose_its_name(tasks: Tasks) -> None:
    """F-43, in this protocol's object."""
    await tasks.fault("create_no_task_id")
    assert "id" not in await created(tasks)
    await tasks.fault("create_same_task_id")
    again = await created(tasks)
    assert (await tasks.provider.control("GET", "tasks"))["tasks"][0]["task_id"] == again["id"]
