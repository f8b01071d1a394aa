"""Edits per channel: spaced, fair, and forgotten when idle."""

from __future__ import annotations

import asyncio

from bot.discordio.pacing import ChannelPacer
from bot.limits import EDIT_INTERVAL_S, PACER_LANES_MAX
from tests.unit.discordio.surfaces import VirtualClock


async def test_turns_of_a_lane_are_spaced_and_in_order() -> None:
    """First come, first served, one interval apart."""
    clock = VirtualClock()
    pacer = ChannelPacer(clock)
    served: list[tuple[int, float]] = []

    async def wait(name: int) -> None:
        await pacer.turn(7)
        served.append((name, round(clock.at_s, 3)))

    tasks = [asyncio.create_task(wait(name)) for name in range(3)]
    await clock.advance(10)
    await asyncio.gather(*tasks)

    assert served == [(number, round(number * EDIT_INTERVAL_S, 3)) for number in range(3)]


async def test_five_edits_take_no_less_than_discords_window() -> None:
    """5 per 5 s: the sixth starts after the window of the first."""
    clock = VirtualClock()
    pacer = ChannelPacer(clock)
    tasks = [asyncio.create_task(pacer.turn(1)) for _ in range(6)]
    await clock.advance(5.0)

    assert sum(task.done() for task in tasks) <= 5
    await clock.advance(5.0)
    await asyncio.gather(*tasks)


async def test_an_idle_lane_does_not_wait() -> None:
    """After a pause the next edit is immediate."""
    clock = VirtualClock()
    pacer = ChannelPacer(clock)
    await pacer.turn(1)
    await clock.advance(EDIT_INTERVAL_S)
    await asyncio.wait_for(pacer.turn(1), 1)


async def test_lanes_are_forgotten_when_there_are_too_many() -> None:
    """The memory is bounded, and a lane in use is kept."""
    clock = VirtualClock()
    pacer = ChannelPacer(clock)
    for lane in range(PACER_LANES_MAX):
        await pacer.turn(lane)
    await clock.advance(EDIT_INTERVAL_S)
    await pacer.turn(-1)
    await pacer.turn(-2)

    assert set(pacer._next_s) == {-1, -2}
