"""The composition's own rules: slow crash loops, and a process that was taken over ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from bot.app import WatchedStore
from bot.clock import SystemClock
from bot.discordio.start_guard import StartGuard
from bot.limits import (
    EARLY_STOPS_MAX,
    EARLY_STOPS_WINDOW_S,
    STABLE_CONNECTION_S,
    STABLE_LOOK_S,
    START_DELAY_S,
)
from storage import preferences
from storage.database import Connection
from storage.errors import StoreInUse
from storage.inline import InlineDatabase
from tests.unit.chat.world import FakeClock

P = ParamSpec("P")
T = TypeVar("T")

DAY_S = 86_400
STARTUP_S = 5
"""What a start takes at least, before it can crash."""


@pytest.fixture
async def database() -> AsyncIterator[InlineDatabase]:
    database = InlineDatabase()
    yield database
    await database.close()


async def test_the_first_crashes_cost_no_time(database: InlineDatabase) -> None:
    """S-9: four starts in a row go at once, then 10 s, 20 s … up to 15 minutes."""
    delays = [await StartGuard(database, SystemClock()).next_delay_s() for _ in range(14)]
    assert delays == [0, 0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]


async def test_an_endless_crash_loop_stays_far_from_discords_limit(
    database: InlineDatabase,
) -> None:
    """F-83: at most 120 identifies a day; at 1,000 Discord resets the token."""
    guard, elapsed_s, starts = StartGuard(database, SystemClock()), 0.0, 0
    while elapsed_s < DAY_S:
        elapsed_s += await guard.next_delay_s() + STARTUP_S
        starts += 1
    assert 90 < starts <= 120


async def test_a_good_start_forgets_the_bad_ones(database: InlineDatabase) -> None:
    """S-9: half an hour of connection, and an orderly end of it changes nothing."""
    clock = FakeClock()
    guard = StartGuard(database, clock)
    for _ in range(10):
        await guard.next_delay_s()
    await guard.look(is_connected=True)
    await clock.sleep(STABLE_CONNECTION_S)
    await guard.look(is_connected=True)
    await guard.note_orderly_stop()
    delays = [await StartGuard(database, clock).next_delay_s() for _ in range(5)]
    assert delays == [0, 0, 0, 0, 10]


async def orderly(database: InlineDatabase, clock: FakeClock, *, life_s: float) -> float:
    """Start a process, let somebody end it after `life_s`; how long it had to wait."""
    guard = StartGuard(database, clock)
    delay_s = await guard.next_delay_s()
    await clock.sleep(delay_s)
    await guard.look(is_connected=True)
    await clock.sleep(life_s)
    await guard.note_orderly_stop()
    return delay_s


async def test_an_early_orderly_stop_leaves_the_count_where_it_was(
    database: InlineDatabase,
) -> None:
    """S-9: it is no failure, and it does not make the failures before it good."""
    clock = FakeClock()
    for _ in range(6):
        await StartGuard(database, clock).next_delay_s()
    delays = [await orderly(database, clock, life_s=60.0) for _ in range(EARLY_STOPS_MAX)]
    assert delays == [40.0] * EARLY_STOPS_MAX


async def test_an_operators_restarts_cost_no_waiting(database: InlineDatabase) -> None:
    """S-9: three an hour for as long as somebody likes, and once seven in as many minutes."""
    clock = FakeClock()
    every_s = EARLY_STOPS_WINDOW_S / EARLY_STOPS_MAX
    delays = [await orderly(database, clock, life_s=every_s) for _ in range(24)]
    await clock.sleep(EARLY_STOPS_WINDOW_S)
    delays += [await orderly(database, clock, life_s=60.0) for _ in range(7)]
    assert delays == [0.0] * 31
    assert await orderly(database, clock, life_s=60.0) == 2 * START_DELAY_S


@pytest.mark.parametrize("life_s", [1.0, 60.0, 300.0, 600.0, 900.0, 1_190.0])
async def test_orderly_restarts_all_day_stay_far_from_discords_limit(
    database: InlineDatabase, life_s: float
) -> None:
    """F-83: a supervisor that ends every start soon is slowed down like a crash loop."""
    clock = FakeClock()
    began_us, starts = clock.now_us(), 0
    while clock.now_us() - began_us < DAY_S * 1_000_000:
        await orderly(database, clock, life_s=life_s)
        starts += 1
    assert 40 < starts <= 120


async def test_a_session_is_good_once_it_held_for_half_an_hour(database: InlineDatabase) -> None:
    """S-9: without a break; a new session within the process begins anew and counts."""
    clock = FakeClock()
    guard = StartGuard(database, clock)

    async def hold(duration_s: float, *, is_connected: bool = True) -> None:
        for _ in range(round(duration_s / STABLE_LOOK_S)):
            await clock.sleep(STABLE_LOOK_S)
            await guard.look(is_connected=is_connected)

    for _ in range(6):
        await guard.next_delay_s()
    await hold(STABLE_CONNECTION_S - STABLE_LOOK_S)
    await hold(STABLE_LOOK_S, is_connected=False)
    await hold(STABLE_CONNECTION_S - STABLE_LOOK_S)
    assert await guard.next_delay_s() > 0
    await hold(2 * STABLE_CONNECTION_S)
    assert await guard.next_delay_s() == 0


async def test_sessions_lost_all_day_stay_far_from_discords_limit(
    database: InlineDatabase,
) -> None:
    """F-83, I-32: a virtual day of sessions that end after some minutes, restarts in between."""
    clock = FakeClock()
    began_us, identifies = clock.now_us(), 0
    while clock.now_us() - began_us < DAY_S * 1_000_000:
        guard = StartGuard(database, clock)
        for _ in range(3):
            await clock.sleep(await guard.next_delay_s())
            identifies += 1
            await guard.look(is_connected=True)
            await clock.sleep(120.0)
            await guard.look(is_connected=True)
    assert 50 < identifies <= 120


class TakenOver(InlineDatabase):
    """A database whose epoch another process has raised."""

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        del body, args, kwargs
        raise StoreInUse(path="atelier.db", pid=7, host="elsewhere")


async def test_a_process_that_was_taken_over_is_told_to_end() -> None:
    """F-119: fenced on its next write, it must not go on talking to Discord."""
    told: list[bool] = []
    store = WatchedStore(TakenOver(), on_fenced=lambda: told.append(True))
    assert await store.read(preferences.get, key="x") is None
    with pytest.raises(StoreInUse):
        await store.transact(preferences.put, key="x", value="1", now_us=0)
    assert told == [True]
    assert store.fenced is not None
    assert store.fenced.pid == 7
    await store.close()


async def test_an_ordinary_write_goes_through(database: InlineDatabase) -> None:
    """The watch changes nothing else."""
    store = WatchedStore(database, on_fenced=lambda: None)
    await store.transact(preferences.put, key="x", value="1", now_us=0)
    assert await store.read(preferences.get, key="x") == "1"
