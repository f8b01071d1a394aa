"""The cost of a running answer is noted in steps, beside the reader, and never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from bot.chat.books import settle_turn
from bot.chat.notes import CostNotes
from storage import turns
from storage.database import Connection
from storage.errors import StoreUnavailable
from storage.inline import InlineDatabase
from tests.unit.chat.world import ScriptedProvider, World, done, said

P = ParamSpec("P")
T = TypeVar("T")

TICKS = 50
"""Far more turns of the loop than an answer takes from its last word to its books."""


class Book:
    """Takes notes when its gate is open."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.noted: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, cost_ucr: int) -> None:
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop()
        self.noted.append(cost_ucr)


def notes_of(book: Book) -> CostNotes:
    return CostNotes(noted_ucr=100, step_ucr=40, write=book.write)


async def test_a_note_is_written_at_each_step() -> None:
    """Up or down: a reported price may be below what we had estimated."""
    book = Book()
    notes = notes_of(book)
    for cost_ucr in (100, 139, 140, 150, 179, 180, 141, 140):
        notes.note(cost_ucr)
        await notes.settled()
    assert book.noted == [140, 180, 140]


async def test_one_note_at_a_time_and_then_the_newest() -> None:
    """A slow disk makes fewer notes, not a queue of them."""
    book = Book()
    book.gate.clear()
    notes = notes_of(book)
    notes.note(140)
    await asyncio.sleep(0)
    for cost_ucr in range(150, 1_000, 10):
        notes.note(cost_ucr)
    book.gate.set()
    await notes.settled()
    assert book.noted == [140, 990]


async def test_a_failed_note_is_left_to_the_next_step() -> None:
    """A locked database is not asked again at every word."""
    book = Book(StoreUnavailable(cause="locked"))
    notes = notes_of(book)
    for cost_ucr in (140, 150, 160, 179, 180):
        notes.note(cost_ucr)
        await notes.settled()
    assert (book.errors, book.noted) == ([], [180])


async def test_a_free_model_makes_no_notes() -> None:
    """Its cost never moves, and a step of nothing is still a step."""
    book = Book()
    notes = CostNotes(noted_ucr=0, step_ucr=0, write=book.write)
    notes.note(0)
    await notes.settled()
    assert book.noted == []


class SlowNotes(InlineDatabase):
    """Takes its time for notes, and remembers what was committed in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: list[object] = []

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if body is turns.note_cost:
            for _tick in range(TICKS):
                await asyncio.sleep(0)
        result = await super().transact(body, *args, **kwargs)
        self.committed.append(body)
        return result


async def test_a_note_in_flight_is_waited_for_before_the_end() -> None:
    """Nothing is written about a turn once it is booked, and no task is left behind."""
    database = SlowNotes()
    script = [*said("word " * 400), done("1")]
    world = World(provider=ScriptedProvider(script), database=database)
    await world.ask()
    assert database.committed[-3:] == [turns.note_cost, settle_turn, turns.mark_shown]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await database.close()
