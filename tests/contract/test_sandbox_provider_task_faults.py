"""Each switch for creates, looks and tasks breaks exactly what it says."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientError

from sandbox.provider.errors import ROWS, ErrorRow
from sandbox.provider.tasks.switches import KINDS
from tests.contract.provider_client import KEY, Json
from tests.contract.task_client import IMAGE, IMAGES, VIDEOS, Tasks

ORDER: Json = {"model": IMAGE, "input": {"prompt": "bees"}}


async def taken(tasks: Tasks) -> int:
    """How many tasks there are."""
    return len((await tasks.provider.control("GET", "tasks"))["tasks"])


# --- Creates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
@pytest.mark.parametrize("path", [IMAGES, VIDEOS])
async def test_every_row_at_a_create(tasks: Tasks, row: ErrorRow, path: str) -> None:
    """Once, before anything is taken."""
    await tasks.fault("create_error", code=row.code, retry_after_s=3)
    order = ORDER if path == IMAGES else {**ORDER, "model": "kling-3.0"}
    answer = await tasks.post(order, path)
    error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["type"]) == (row.status, row.code, row.type)
    assert answer.headers["Retry-After"] == "3"
    assert await taken(tasks) == 0
    assert (await tasks.post(order, path)).status == 200


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
async def test_every_row_at_a_look(tasks: Tasks, row: ErrorRow) -> None:
    """The task itself goes on."""
    name = await tasks.create()
    await tasks.fault("get_error", code=row.code)
    answer = await tasks.provider.client.get(f"/v1/tasks/{name}", headers=KEY)
    assert (answer.status, (await answer.json())["error"]["code"]) == (row.status, row.code)
    assert (await tasks.end(name))["status"] == "completed"


@pytest.mark.parametrize("after_effect", [True, False])
@pytest.mark.parametrize(
    ("kind", "facts", "status", "begins"),
    [
        ("create_error", {"code": "internal_error"}, 500, '{"error"'),
        ("create_error", {"code": "upstream_error"}, 503, '{"error"'),
        ("create_html", {}, 502, "<html>"),
        ("create_html", {"status": 200}, 200, "<html>"),
        ("create_empty", {}, 200, ""),
        ("create_envelope", {"code": 402, "msg": "no"}, 200, '{"code":402,"msg":"no"'),
        ("create_redirect", {"location": "/away"}, 307, ""),
        ("create_no_task_id", {}, 200, '{"code":200,"msg":"success","data":{}'),
        ("create_task_id", {"value": [1]}, 200, '{"code":200,"msg":"success","data":{"taskId":[1]'),
    ],
)
async def test_answers_with_and_without_the_task(
    tasks: Tasks,
    *,
    after_effect: bool,
    kind: str,
    facts: Json,
    status: int,
    begins: str,
) -> None:
    """What is answered says nothing about what was done (reliability.md 5)."""
    await tasks.fault(kind, after_effect=after_effect, **facts)
    answer = await tasks.provider.client.post(
        IMAGES, json=ORDER, headers=KEY, allow_redirects=False
    )
    assert answer.status == status
    assert (await answer.text()).startswith(begins)
    assert await taken(tasks) == int(after_effect)
    assert await tasks.provider.consumed() == (Decimal("2.4") if after_effect else 0)
    entry = (await tasks.provider.control("GET", "requests"))["requests"][0]
    assert entry["fault"] == kind


async def test_half_of_an_answer(tasks: Tasks) -> None:
    """F-41: JSON that ends in the middle."""
    await tasks.fault("create_truncated")
    with pytest.raises(json.JSONDecodeError):
        await (await tasks.post(ORDER)).json()
    assert await taken(tasks) == 1


@pytest.mark.parametrize("after_effect", [True, False])
async def test_no_answer_at_all(tasks: Tasks, *, after_effect: bool) -> None:
    """F-46: reset at once, or silence until the client leaves."""
    await tasks.fault("create_reset", after_effect=after_effect)
    with pytest.raises(ClientError):
        await tasks.post(ORDER)
    await tasks.fault("create_hang", delay_s=60, after_effect=after_effect)
    timeout = aiohttp.ClientTimeout(total=0.2)
    with pytest.raises(TimeoutError):
        await tasks.provider.client.post(IMAGES, json=ORDER, headers=KEY, timeout=timeout)
    await tasks.fault("create_hang", delay_s=0.05, after_effect=after_effect)
    with pytest.raises(ClientError):
        await tasks.post(ORDER)
    assert await taken(tasks) == (3 if after_effect else 0)


async def test_a_slow_create_is_a_good_one(tasks: Tasks) -> None:
    """It only comes late; the task may be over by then."""
    await tasks.fault("create_slow", delay_s=0.2)
    name = await tasks.create()
    assert (await tasks.end(name))["status"] == "completed"


async def test_the_name_of_another_task(tasks: Tasks) -> None:
    """F-43: two creates, one name."""
    first = await tasks.create("one")
    await tasks.fault("create_same_task_id")
    assert await tasks.create("two") == first
    assert await taken(tasks) == 2


# --- Looks -----------------------------------------------------------------------------------


async def test_looks_that_show_nothing(tasks: Tasks) -> None:
    """HTML, emptiness, a reset, silence."""
    name = await tasks.create()
    await tasks.end(name)
    path = f"/v1/tasks/{name}"
    await tasks.fault("get_html", status=200)
    answer = await tasks.provider.client.get(path, headers=KEY)
    assert (answer.status, answer.content_type) == (200, "text/html")
    await tasks.fault("get_empty")
    assert await (await tasks.provider.client.get(path, headers=KEY)).read() == b""
    # The client repeats a GET that is reset on a used connection.
    await tasks.fault("get_reset", times=2)
    with pytest.raises(ClientError):
        await tasks.provider.client.get(path, headers=KEY)
    await tasks.provider.control("DELETE", "faults")
    await tasks.fault("get_hang", delay_s=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await tasks.provider.client.get(path, headers=KEY)
    await tasks.fault("get_slow", delay_s=0.05)
    assert (await tasks.look(name))["status"] == "completed"


# --- Fates -----------------------------------------------------------------------------------


async def test_a_task_that_never_ends(tasks: Tasks) -> None:
    """F-52: it creeps, until somebody lets it go."""
    await tasks.pace(image_s=0.01)
    await tasks.fault("task_endless")
    name = await tasks.create()
    stuck = await tasks.until(name, lambda task: task["progress"] == 95)
    assert stuck["status"] == "processing"
    await tasks.provider.control("POST", "tasks/finish", {"task_id": name})
    assert (await tasks.end(name))["status"] == "completed"


async def test_a_slow_task(tasks: Tasks) -> None:
    """As many times slower as asked for."""
    await tasks.pace(image_s=0.02)
    await tasks.fault("task_slow", factor=10_000)
    name = await tasks.create()
    quick = await tasks.create("quick")
    await tasks.end(quick)
    assert (await tasks.look(name))["progress"] < 5


async def test_an_unknown_word(tasks: Tasks) -> None:
    """F-49: as long as it runs, or for some looks."""
    await tasks.pace(image_s=3600, pending_share=0)
    await tasks.fault("task_status", word="reviewing")
    await tasks.fault("task_status", word="warming_up", polls=1)
    always, once = await tasks.create("a"), await tasks.create("b")
    assert [(await tasks.look(always))["status"] for _ in range(3)] == ["reviewing"] * 3
    assert [(await tasks.look(once))["status"] for _ in range(2)] == ["warming_up", "processing"]
    await tasks.provider.control("POST", "tasks/finish", {"task_id": always})
    assert (await tasks.end(always))["status"] == "completed"


async def test_backwards(tasks: Tasks) -> None:
    """F-50: less progress and an earlier word; after its end it runs again."""
    await tasks.pace(image_s=0.2, pending_share=0)
    await tasks.fault("task_backwards")
    name = await tasks.create()
    words = [(await tasks.look(name))["status"] for _ in range(4)]
    assert words == ["processing", "pending"] * 2
    await tasks.end(name)
    assert (await tasks.look(name))["status"] == "processing"


@pytest.mark.parametrize(
    ("shape", "shown"), [("empty", []), ("null", None), ("text", "none"), ("missing", "absent")]
)
async def test_completed_without_results(tasks: Tasks, shape: str, shown: Any) -> None:
    """F-48: for two looks, and then there they are."""
    await tasks.fault("task_no_urls", shape=shape, polls=2)
    name = await tasks.create()
    task = await tasks.end(name)
    assert task["output"].get("urls", "absent") == shown
    await tasks.look(name)
    assert (await tasks.look(name))["output"]["urls"]


async def test_completed_without_output(tasks: Tasks) -> None:
    """F-48, for good."""
    await tasks.fault("task_no_urls", shape="no_output")
    name = await tasks.create()
    assert "output" not in await tasks.end(name)
    assert "output" not in await tasks.look(name)


async def test_a_lost_task(tasks: Tasks) -> None:
    """F-35: a name that is unknown for two looks, or for ever."""
    await tasks.fault("task_lost", polls=2)
    await tasks.fault("task_lost")
    lagging, lost = await tasks.create("a"), await tasks.create("b")
    for name, statuses in ((lagging, [404, 404, 200]), (lost, [404] * 4)):
        for status in statuses:
            answer = await tasks.provider.client.get(f"/v1/tasks/{name}", headers=KEY)
            assert answer.status == status


@pytest.mark.parametrize(
    "facts", [{"value": 2.4}, {"value": -1}, {"value": "free"}, {"raw": "NaN"}, {"raw": "1e999"}]
)
async def test_credits_can_be_reported(tasks: Tasks, facts: Json) -> None:
    """F-51: the task object has no such field, and here it has: any value."""
    assert "credits_consumed" not in await tasks.end(await tasks.create("plain"))
    await tasks.fault("task_credits", **facts)
    name = await tasks.create()
    await tasks.end(name)
    answer = await tasks.provider.client.get(f"/v1/tasks/{name}", headers=KEY)
    shown = facts.get("raw") or json.dumps(facts["value"])
    assert f'"credits_consumed":{shown}' in await answer.text()


async def test_switches_of_different_families_add_up(tasks: Tasks) -> None:
    """A lost answer, a failing task and an odd price at once; models and endpoints are kept."""
    await tasks.fault("create_no_task_id", model=IMAGE)
    await tasks.fault("task_failed", endpoint="images", code="moderation_blocked")
    await tasks.fault("callback_missing", endpoint="videos")
    answer = await tasks.post(ORDER)
    assert (await answer.json())["data"] == {}
    task = (await tasks.provider.control("GET", "tasks"))["tasks"][0]
    assert task["faults"] == ["task_failed"]
    waiting = (await tasks.provider.control("GET", "faults"))["faults"]
    assert [one["kind"] for one in waiting] == ["callback_missing"]


# --- Control ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "task_failed", "times": 0},
        {"kind": "task_failed", "at": 2},
        {"kind": "task_failed", "code": 7},
        {"kind": "task_failed", "delay_s": 1},
        {"kind": "task_no_urls", "shape": "round"},
        {"kind": "create_error", "code": "unheard_of"},
        {"kind": "create_redirect", "location": "/\r\nX: y"},
        {"kind": "create_slow", "delay_s": True},
        {"kind": "file_error", "status": 200},
        {"kind": "file_huge", "size_bytes": 2**40},
        {"kind": "callback_forged", "endpoint": "chat"},
        {"kind": "callback_forged", "model": 7},
    ],
)
async def test_senseless_switches_are_refused(tasks: Tasks, wrong: Json) -> None:
    """400, and nothing waits."""
    answer = await tasks.provider.client.post("/control/faults", json=wrong)
    assert answer.status == 400
    assert (await tasks.provider.control("GET", "faults"))["faults"] == []


async def test_control_knows_only_its_tasks(tasks: Tasks) -> None:
    """400 for an unknown name, and for a callback that cannot be."""
    name = await tasks.create()
    await tasks.end(name)
    for path in ("tasks/finish", "tasks/callback"):
        for wrong in ("none", name if path == "tasks/callback" else "none"):
            answer = await tasks.provider.client.post(f"/control/{path}", json={"task_id": wrong})
            assert answer.status == 400


def test_every_kind_explains_itself() -> None:
    """Its family is the beginning of its name, but for fates and credits."""
    for name, kind in KINDS.items():
        family = name.partition("_")[0]
        assert kind.does
        assert kind.family == family or (family == "task" and kind.family in {"fate", "credits"})
