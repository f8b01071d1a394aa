"""Streams that end between any two of their events, and other rare moments of a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

import pytest
from structlog.testing import capture_logs

from bot.catalogue.catalogue import Feature
from bot.chat import service as service_module
from bot.chat.books import open_turn
from bot.chat.ports import Ending, FinalAnswer
from bot.chat.surrogates import split_off
from bot.errors import Interrupted, ProviderError, RateLimited, StreamCut, StreamStalled
from bot.limits import SETTLE_DELAYS_S
from bot.providers.base import ChatEvent, Citation, Searching, TextDelta, ThoughtDelta, Usage
from storage.database import Connection
from storage.inline import InlineDatabase
from tests.unit.chat.test_booking import MoodyDatabase
from tests.unit.chat.world import (
    MIRA,
    NewWorld,
    RecordingSink,
    ScriptedProvider,
    World,
    called,
    done,
    said,
)

P = ParamSpec("P")
T = TypeVar("T")

NAME = "aivideo"
WHOLE: list[ChatEvent] = [
    ThoughtDelta(text="Hm."),
    Searching(),
    *said("One", " two"),
    Citation(url="https://a.example", title="A"),
    *said(" \ud83d", "\ude00", " three."),
]


@pytest.mark.parametrize(
    "error",
    [StreamCut(provider=NAME), StreamStalled(provider=NAME, idle_s=60.0)],
    ids=["cut", "60 s"],
)
@pytest.mark.parametrize("events", range(len(WHOLE) + 1))
async def test_a_stream_may_end_between_any_two_events(
    new_world: NewWorld, events: int, error: ProviderError
) -> None:
    """F-57, F-60: what came stays visible, nothing is charged or remembered, the loss is booked."""
    world = new_world([*WHOLE[:events], error], [*said("whole"), done("0.1")])
    final = await world.ask()
    words = "".join(event.text for event in WHOLE[:events] if isinstance(event, TextDelta))
    assert final.text == split_off(words)[0]
    assert (final.ending, final.error) == (Ending.FAILED, error)
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 0
    assert await world.loss_ucr() > 0
    assert await world.remembered() == ()
    assert (await world.ask()).text == "whole"
    assert await world.spent_ucr() == 100_000


async def test_what_happens_after_the_terminal_event_is_of_no_account(new_world: NewWorld) -> None:
    """I-7: the answer is whole and its price is known; the connection may break as it likes."""
    world = new_world([*said("whole"), done("0.1"), StreamCut(provider=NAME)])
    final = await world.ask()
    assert (final.text, final.ending) == ("whole", Ending.COMPLETE)
    assert await world.spent_ucr() == 100_000
    assert world.provider.closed == 1


@pytest.mark.parametrize("multiplier_ppm", [1_000_000, 2_000_000, 500_000])
async def test_a_price_above_the_hold_costs_the_operator_what_nobody_paid(
    new_world: NewWorld, multiplier_ppm: int
) -> None:
    """F-51, I-9, I-10, I-12: capped at the hold, the rest lost in the provider's price; alarm."""
    world = new_world([*said("ok"), done("40")], credits_a_day=100)
    world.catalogue = replace(world.catalogue, multiplier_ppm=multiplier_ppm)
    world.service = world.new_service()
    with capture_logs() as logs:
        final = await world.ask()
    assert final.receipt is not None
    assert 3_000_000 < final.receipt.charged_ucr < 20_000_000
    paid_ucr = final.receipt.charged_ucr * 1_000_000 // multiplier_ppm
    assert abs(paid_ucr + await world.loss_ucr() - 40_000_000) <= 2
    (alarm,) = [one for one in logs if one["log_level"] == "error"]
    assert (alarm["event"], alarm["fault"]) == ("cost_above_hold", "F-51")


@pytest.mark.parametrize(
    ("amount", "usage"),
    [
        ("-1", None),
        ("NaN", None),
        ("1e30", None),
        (None, Usage(input_tokens=10**30, output_tokens=1)),
    ],
)
async def test_an_absurd_report_raises_an_alarm(
    new_world: NewWorld, amount: str | None, usage: Usage | None
) -> None:
    """F-51: the answer is delivered as ever, and the operator hears of it."""
    world = new_world([*said("ok"), done(amount, usage=usage)])
    with capture_logs() as logs:
        final = await world.ask()
    assert final.ending is Ending.COMPLETE
    assert 0 < await world.spent_ucr() < 1_000_000
    (alarm,) = [one for one in logs if one["log_level"] == "error"]
    assert (alarm["event"], alarm["fault"]) == ("reported_price_rejected", "F-51")


async def test_an_estimate_beyond_the_hold_is_no_alarm(new_world: NewWorld) -> None:
    """We ended the answer ourselves: at most one delta is the operator's."""
    world = new_world([*said(*["word " * 200] * 60)], credits_a_day=10)
    with capture_logs() as logs:
        final = await world.ask()
    assert final.ending is Ending.CREDITS
    assert 0 < await world.loss_ucr() < 700_000
    assert [one for one in logs if one["log_level"] == "error"] == []


async def test_sources_found_after_stop_are_not_shown(new_world: NewWorld) -> None:
    """The member saw none of the words that they belong to."""
    gate, sink = asyncio.Event(), RecordingSink()
    late = Citation(url="https://b.example", title="B")
    world = new_world([*WHOLE[:5], gate, late, done("0.1")])
    question = world.question()
    task = world.start(question, sink)
    await world.provider.reached.wait()
    world.service.stop(question.reference, user_id=MIRA, staff=False)
    gate.set()
    await task
    assert [source.url for source in sink.final.sources] == ["https://a.example"]


async def test_a_model_with_functions_alone_calls_what_it_was_offered(new_world: NewWorld) -> None:
    """No search, and no channel to look into: what it calls all the same is an error to it."""
    world = new_world(
        [done("0.1", calls=(called("search_channel", '{"query": "x"}'), called("search_web")))],
        [*said("ok"), done("0.1")],
    )
    model = world.catalogue.chat_models["gpt-5-4"]
    model = replace(model, features=frozenset({Feature.FUNCTIONS}))
    world.catalogue = replace(world.catalogue, chat_models={model.id: model})
    world.service = world.new_service()
    assert (await world.ask()).text == "ok"
    assert not any(request.search for request in world.provider.requests)


class SlowToOpen(InlineDatabase):
    """Opens no turn before its gate does."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if body is open_turn:
            await self.gate.wait()
        return await super().transact(body, *args, **kwargs)


async def test_a_turn_that_opens_after_the_shutdown_asks_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-11: its hold goes back; the provider never hears of it."""
    monkeypatch.setattr(service_module, "SHUTDOWN_WAIT_S", 0.01)
    monkeypatch.setattr(service_module, "SHUTDOWN_TELL_S", 0.01)
    database, sink = SlowToOpen(), RecordingSink()
    world = World(provider=ScriptedProvider(), database=database)
    task = world.start(world.question(), sink)
    await asyncio.sleep(0)
    await world.service.close()
    database.gate.set()
    await task
    assert isinstance(sink.final.error, Interrupted)
    assert world.provider.requests == []
    assert (await world.spent_ucr(), await world.loss_ucr()) == (0, 0)
    await database.close()


async def test_two_voids_that_must_wait_are_written_by_one(new_world: NewWorld) -> None:
    """F-110: one writer, however many turns failed while the database was away."""
    del new_world
    database = MoodyDatabase()
    world = World(
        provider=ScriptedProvider([RateLimited(provider=NAME)], [RateLimited(provider=NAME)]),
        database=database,
    )
    sinks = [RecordingSink(), RecordingSink()]
    tasks = [world.start(world.question(), sink) for sink in sinks]
    database.after, database.refusals = 2, 2 * (len(SETTLE_DELAYS_S) + 1) + 2
    await asyncio.gather(*tasks)
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left)
    finals: list[FinalAnswer] = [sink.final for sink in sinks]
    assert all(final.receipt is None for final in finals)
    assert await world.spent_ucr() == 0
    assert await world.new_service().recover() == ()
    await database.close()
