"""The loop of the worlds sees every error that nobody else has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.simulation.loop import VirtualLoop

HOUR_S = 3_600.0


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    with closing(VirtualLoop()) as loop:
        yield loop


async def break_down() -> None:
    raise TypeError("a mistake of ours")


def live(loop: VirtualLoop, *, until_s: float, of_step: int = -1) -> None:
    """Let a task break at once, and kill the process later."""

    def kill() -> None:
        loop.is_over = True

    loop.on_step, loop.step_of_crash = kill, of_step
    loop.outside(until_s, kill)
    task = loop.create_task(break_down())
    loop.run()
    loop.kill_tasks()
    del task
    loop.drain()


def test_an_error_that_nobody_looked_at_outlives_its_process(loop: VirtualLoop) -> None:
    """An hour was enough for whoever wanted to know."""
    live(loop, until_s=HOUR_S)
    assert loop.broken == ["lost task exception: TypeError('a mistake of ours')"]


def test_an_error_of_the_last_moment_is_nobodys_fault(loop: VirtualLoop) -> None:
    """Whoever waits for the task would have come next."""
    live(loop, until_s=HOUR_S, of_step=1)
    assert loop.now_s < HOUR_S
    assert not loop.broken
