"""One sandbox with the real bot for all tests that do not need to end it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.e2e import openapi
from tests.e2e.process import Process
from tests.e2e.world import World
from tests.mentions import unguarded


@asynccontextmanager
async def visit(process: Process) -> AsyncIterator[World]:
    """Use a running sandbox; every request the bot made must have been valid, and no ping."""
    base = await process.address()
    async with aiohttp.ClientSession() as http:
        world = World(base=base, http=http)
        await world.bot_online()
        await world.look_around()
        await world.clear_switches()
        since = await world.requests_so_far()
        yield world
        description = openapi.load()
        requests = await world.requests(since)
        assert unguarded(requests) == [], "these could notify somebody"
        problems = [
            problem
            for request in requests
            if description is not None
            for problem in description.problems(request["method"], request["path"], request["body"])
        ]
        assert problems == []


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Process(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        assert running.stop() == 0, running.log


@pytest.fixture
async def world(process: Process) -> AsyncIterator[World]:
    async with visit(process) as here:
        yield here


@pytest.fixture(scope="session")
def png() -> bytes:
    """A real picture: one grey pixel."""
    return base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A place for a sandbox of one test's own."""
    return tmp_path
