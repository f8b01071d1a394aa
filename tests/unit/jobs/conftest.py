"""Worlds of jobs that must be sound when their test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import structlog

from tests.unit.jobs.world import World

NewWorld = Callable[..., World]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[dict[str, object]]]:
    """What was logged; without a configured log, structlog draws a page for each traceback."""
    with structlog.testing.capture_logs() as entries:
        yield entries  # type: ignore[misc] # structlog's entries are such mappings


@pytest.fixture
def new_world() -> Iterator[NewWorld]:
    """Makes worlds; their promises are checked at the end."""
    worlds: list[World] = []

    def make(**settings: bool | int) -> World:
        world = World(**settings)  # type: ignore[arg-type] # two settings of two types
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.check()
        world.inner.engine.dispose()


@pytest.fixture
def world(new_world: NewWorld) -> World:
    return new_world()
