"""Callbacks: the documented three attempts, and each way in which they go wrong."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.contract.task_client import IMAGE, IMAGES, VIDEOS, Ear, Tasks


async def test_the_end_is_told_as_the_task_object(tasks: Tasks, ear: Ear) -> None:
    """providers.md 1.4: headers, and the body of `GET /v1/tasks/{id}`."""
    name = await tasks.create(callback_url=ear.url)
    await ear.count(1)
    path, headers, body = ear.heard[0]
    assert path == "/callbacks/1/secret"
    assert (headers["X-Event"], headers["X-Task-Id"]) == ("task.completed", name)
    assert headers["X-Timestamp"].isdecimal()
    assert body == await tasks.look(name)
    assert (await tasks.facts(name))["callbacks"][0]["status"] == 204


async def test_a_failure_is_told_too(tasks: Tasks, ear: Ear) -> None:
    """`task.failed`, with the error."""
    await tasks.fault("task_failed", code="upstream_error")
    await tasks.create(callback_url=ear.url)
    await ear.count(1)
    _, headers, body = ear.heard[0]
    assert headers["X-Event"] == "task.failed"
    assert body["error"]["code"] == "upstream_error"


@pytest.mark.parametrize(
    ("statuses", "attempts"), [([500], 2), ([500, 301], 3), ([404] * 9, 3), ([200], 1)]
)
async def test_there_are_three_attempts(
    tasks: Tasks, ear: Ear, statuses: list[int], attempts: int
) -> None:
    """Anything but 2xx is a failure; after the third there is none."""
    ear.statuses = list(statuses)
    name = await tasks.create(callback_url=ear.url)
    await ear.count(attempts)
    await tasks.create("the next", callback_url=f"{ear.url}/next")
    await ear.count(attempts + 1)
    told = (await tasks.facts(name))["callbacks"]
    assert [note["status"] for note in told] == [*statuses, 204][:attempts]


async def test_attempts_keep_their_distance(tasks: Tasks) -> None:
    """By default at once, after 3 and after 10 minutes; here shorter. Unreachable is a failure."""
    pace = await tasks.provider.control("GET", "tasks_pace")
    assert pace["callback_delays_s"] == [0, 0.02, 0.02]
    await tasks.pace(callback_delays_s=[0, 0.05, 0.1], image_s=0)
    name = await tasks.create(callback_url="http://127.0.0.1:1/callbacks/1")
    # An attempt is listed as it begins; its outcome comes a moment later.
    while sum(note["error"] is not None for note in (await tasks.facts(name))["callbacks"]) < 3:
        await tasks.look(name)
    told = (await tasks.facts(name))["callbacks"]
    assert {note["error"] for note in told} == {"ClientConnectorError"}
    gaps = [after["at_ms"] - before["at_ms"] for before, after in pairwise(told)]
    assert gaps[0] >= 45
    assert gaps[1] >= 95


async def test_nobody_beyond_this_machine_is_called(tasks: Tasks) -> None:
    """Traffic stays on loopback."""
    name = await tasks.create(callback_url="https://bot.example.com/callbacks/1")
    await tasks.end(name)
    while not (told := (await tasks.facts(name))["callbacks"]):
        await tasks.look(name)
    assert told[0]["error"] == "not on this machine"


async def test_early_means_before_the_answer(tasks: Tasks, ear: Ear) -> None:
    """F-62: when the create is answered, the callback was heard; the task is over already."""
    await tasks.pace(video_s=3600)
    await tasks.fault("callback_early")
    name = await tasks.create(path=VIDEOS, callback_url=ear.url)
    assert [headers["X-Task-Id"] for _, headers, _ in ear.heard] == [name]
    assert (await tasks.look(name))["status"] == "completed"


async def test_duplicates(tasks: Tasks, ear: Ear) -> None:
    """F-61: the same again, although it was accepted; and once more on demand."""
    await tasks.fault("callback_duplicate", count=3)
    name = await tasks.create(callback_url=ear.url)
    await ear.count(3)
    assert {str(body) for _, _, body in ear.heard} == {str(ear.heard[0][2])}
    await tasks.provider.control("POST", "tasks/callback", {"task_id": name})
    assert len(ear.heard) == 4


async def test_missing_and_late(tasks: Tasks, ear: Ear) -> None:
    """F-63, F-64: the end can be seen long before it is told, or is never told."""
    await tasks.fault("callback_missing")
    silent = await tasks.create("one", callback_url=ear.url)
    await tasks.end(silent)
    await tasks.fault("callback_late", delay_s=0.1)
    late = await tasks.create("two", callback_url=ear.url)
    await tasks.end(late)
    assert ear.heard == []
    await ear.count(1)
    assert ear.heard[0][1]["X-Task-Id"] == late
    assert (await tasks.facts(silent))["callbacks"] == []


@pytest.mark.parametrize("how", ["wrong_body", "wrong_task", "wrong_address", "no_headers", "huge"])
async def test_forged_ones_come_while_it_runs(tasks: Tasks, ear: Ear, how: str) -> None:
    """F-65: invented in one respect each; the real one comes at its time."""
    await tasks.pace(image_s=0.1)
    await tasks.fault("callback_forged", how=how)
    name = await tasks.create(callback_url=ear.url)
    await ear.count(2)
    path, headers, body = ear.heard[0]
    assert (path == "/callbacks/1/secret") == (how != "wrong_address")
    assert (headers.get("X-Task-Id") == name) == (how not in {"wrong_task", "no_headers"})
    assert (body["id"] == name) == (how != "wrong_task")
    assert body["status"] == "completed"
    assert ("padding" in body) == (how == "huge")
    assert body["output"]["urls"] != ear.heard[1][2]["output"]["urls"]
    assert [note["forged"] for note in (await tasks.facts(name))["callbacks"]] == [how, None]


async def test_a_callback_survives_a_lost_answer(tasks: Tasks, ear: Ear) -> None:
    """The create answers 500 although the task runs: its callback is the only trace (F-38)."""
    await tasks.fault("create_error", code="internal_error", after_effect=True)
    order = {"model": IMAGE, "input": {"prompt": "a"}, "callback_url": ear.url}
    status, error = await tasks.provider.refusal(IMAGES, order)
    assert (status, error["code"]) == (500, "internal_error")
    await ear.count(1)
    assert (await tasks.look(ear.heard[0][2]["id"]))["status"] == "completed"
