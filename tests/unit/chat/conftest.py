"""Worlds that are closed, and audited, when their test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from storage.database import Database
from tests.unit.chat.world import NewWorld, Script, ScriptedProvider, World, make_world


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Without a configured log, structlog draws a page for each traceback."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
async def new_world() -> AsyncIterator[NewWorld]:
    """Makes worlds on in-memory databases; their books must be sound at the end (I-1 … I-5)."""
    worlds: list[World] = []

    def make(*scripts: Script, credits_a_day: int = 20) -> World:
        world = make_world(*scripts, credits_a_day=credits_a_day)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        assert await world.is_sound()
        await world.database.close()


@pytest.fixture
async def threaded_world(tmp_path: object) -> AsyncIterator[World]:
    """A world on the real database: a file, a thread, one writer."""
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/atelier.db")
    world = World(provider=ScriptedProvider(), database=database)
    yield world
    assert await world.is_sound()
    await database.close()
