"""kill -9 at the four places that matter: delivered once, charged once."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import visit
from tests.e2e.process import Process
from tests.e2e.studio import Studio, gallery, says
from tests.e2e.world import World, visible_text


@pytest.fixture
async def studio(data: Path) -> AsyncIterator[Studio]:
    with Process(data) as process:
        async with visit(process) as world:
            made = Studio(world)
            await made.pace(image_s=0.5, callback_delays_s=[0.0])
            yield made
        assert process.stop() == 0, process.log


async def kill_and_restart(world: World) -> None:
    await world.send("bot", {"action": "kill"})
    await world.bot_offline()
    await world.send("bot", {"action": "start"})
    await world.bot_online()


async def ends_well(studio: Studio, interaction_id: str, before: Any) -> None:
    card = await studio.ended(interaction_id)
    assert len(gallery(card)) == 1
    assert len(await studio.results()) == 1
    assert len(await studio.tasks()) == 1
    assert before - await studio.world.balance("mira") == Decimal("2.4")


async def test_killed_before_submit(studio: Studio) -> None:
    """F-5: the job waits in the queue on disk; the next process sends it, once."""
    world = studio.world
    before = await world.balance("mira")
    await world.provider_fault("create_error", code="rate_limit_exceeded", retry_after_s=4)
    interaction_id = await studio.order("imagine", prompt="before submit")
    await studio.shows(interaction_id, says("Queued"), "the queue")
    await kill_and_restart(world)
    await ends_well(studio, interaction_id, before)


async def test_killed_after_submit(studio: Studio) -> None:
    """F-9: the task's name is on disk; the next process looks at it."""
    world = studio.world
    before = await world.balance("mira")
    await studio.pace(image_s=600)
    interaction_id = await studio.order("imagine", prompt="after submit")
    task = await studio.task_made(0)
    await studio.shows(interaction_id, lambda card: "tarted" in visible_text(card), "that it runs")
    await kill_and_restart(world)
    await studio.finish(task)
    await ends_well(studio, interaction_id, before)


async def test_killed_after_the_callback_was_stored(studio: Studio) -> None:
    """F-10, F-12: killed while it fetches the file; fetched again."""
    world = studio.world
    before = await world.balance("mira")
    await world.provider_fault("file_slow", bytes_per_s=200.0)
    interaction_id = await studio.order("imagine", prompt="after the callback")
    task = await studio.task_made(0)

    async def stored() -> bool:
        (now,) = [t for t in await studio.tasks() if t["task_id"] == task["task_id"]]
        return any(attempt["status"] == 204 for attempt in now["callbacks"])

    async def fetching() -> bool:
        return not (await world.get("provider/faults"))["faults"]

    await world.until(stored, "the callback is stored", user="mira")
    # Killed earlier, the slow file would be the next process's.
    await world.until(fetching, "the file is on its way", user="mira")
    await kill_and_restart(world)
    await ends_well(studio, interaction_id, before)


async def test_killed_before_delivery(studio: Studio) -> None:
    """F-15: paid, and Discord would not take it; the next process delivers, once."""
    world = studio.world
    before = await world.balance("mira")
    channel = world.channels["studio"]
    await studio.pace(image_s=600)
    interaction_id = await studio.order("imagine", prompt="before delivery")
    task = await studio.task_made(0)
    fault = {
        "method": "PATCH",
        "path_regex": f"/channels/{channel}/messages",
        "status": 503,
        "times": 500,
    }
    await world.send("faults", fault)
    await studio.finish(task)

    async def paid() -> bool:
        return await world.balance("mira") < before - 2

    await world.until(paid, "the picture is paid", user="mira")
    await world.send("bot", {"action": "kill"})
    await world.bot_offline()
    await world.send("faults", {}, method="DELETE")
    await world.send("bot", {"action": "start"})
    await world.bot_online()
    await ends_well(studio, interaction_id, before)


async def test_killed_while_the_create_was_on_its_way(studio: Studio) -> None:
    """F-7, section 5: never sent again; the callback brings the task home."""
    world = studio.world
    before = await world.balance("mira")
    await world.provider_fault("create_hang", delay_s=60)
    await studio.pace(image_s=600)
    interaction_id = await studio.order("imagine", prompt="on its way")
    task = await studio.task_made(0)
    await kill_and_restart(world)
    await studio.finish(task)
    await ends_well(studio, interaction_id, before)


def left_in(data: Path) -> list[tuple[str]]:
    """The states of all jobs in a database that was closed: its log is part of it again."""
    (database,) = data.glob("*.db")
    assert not database.with_name(f"{database.name}-wal").exists()
    with closing(sqlite3.connect(database)) as books:
        return books.execute("SELECT status FROM jobs").fetchall()


async def test_stopped_while_the_create_was_on_its_way(studio: Studio, data: Path) -> None:
    """F-20, S-11: its answer is awaited and written down; checkpoint, exit 0, and no doubt."""
    world = studio.world
    before = await world.balance("mira")
    await world.provider_fault("create_slow", delay_s=2)
    interaction_id = await studio.order("imagine", prompt="on its way")
    await studio.shows(interaction_id, lambda card: bool(visible_text(card)), "the order")

    async def sent() -> bool:
        requests = (await world.get("provider/requests", since="0"))["requests"]
        return any(request["path"].endswith("/generations") for request in requests)

    await world.until(sent, "the create has left", user="mira")
    assert (await world.send("bot", {"action": "stop"}))["exit_code"] == 0
    assert left_in(data) == [("running",)]
    await world.send("bot", {"action": "start"})
    await world.bot_online()
    await ends_well(studio, interaction_id, before)


async def test_by_polling_alone(data: Path) -> None:
    """Without a public address there are no callbacks, and nothing is missed."""
    with Process(data, "--no-callbacks") as process:
        async with visit(process) as world:
            alone = Studio(world)
            await alone.pace(image_s=0.5)
            before = await world.balance("mira")
            card = await alone.make("imagine", prompt="polled")
            assert len(gallery(card)) == 1
            assert (await alone.tasks())[0]["callback_url"] is None
            assert before - await world.balance("mira") == Decimal("2.4")
        assert process.stop() == 0
