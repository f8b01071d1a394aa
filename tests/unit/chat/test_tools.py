"""Tools only read, answer whatever a model sends, and search replaces them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.loader import load
from bot.chat.ports import Ending, FoundMessage, Phase
from bot.chat.tools import (
    CALLS_PER_ROUND_MAX,
    OUTPUT_CHARS_MAX,
    SEARCH_WEB,
    ToolContext,
    offered,
    run_all,
    search_query,
)
from bot.limits import TOOL_ROUNDS_MAX
from bot.providers.base import ToolCall, ToolRound
from tests.unit.chat.world import (
    NOON_US,
    FixedReader,
    NewWorld,
    RecordingSink,
    called,
    done,
    said,
    texts,
)

FOUND = FoundMessage(author_name="Tom", at_us=NOON_US, text="The picnic is on Sunday.")


async def wallet() -> dict[str, object]:
    return {"available_credits": "20"}


def context(reader: FixedReader | None = None) -> ToolContext:
    return ToolContext(now_us=lambda: NOON_US, credits=wallet, reader=reader)


async def answer_to(call: ToolCall, reader: FixedReader | None = None) -> dict[str, object]:
    (result,) = await run_all(context(reader), (call,))
    assert result.call_id == call.call_id
    answer = json.loads(result.output)
    assert isinstance(answer, dict)
    return answer


def names(model_id: str, reader: FixedReader | None = None) -> list[str]:
    model = load().chat_models[model_id]
    return [tool.name for tool in offered(model, reader=reader)]


def test_every_tool_only_reads() -> None:
    """C-22: money, staff and network tools never exist; the whole list is this."""
    everything = {"get_time", "get_my_credits", "search_channel", SEARCH_WEB}
    assert set(names("gpt-5-4", FixedReader())) == everything
    assert set(names("gemini-2.5-pro", FixedReader())) == everything


def test_a_model_without_functions_is_offered_none() -> None:
    """gemini-3.1-pro takes only its own search (trap 10)."""
    assert names("gemini-3.1-pro", FixedReader()) == []


def test_without_a_readable_channel_there_is_no_channel_search() -> None:
    """The tool sees what the asking member sees, and here that is nothing."""
    assert "search_channel" not in names("gpt-5-4")


async def test_the_time_comes_in_the_asked_zone() -> None:
    """12:00 UTC is 13:00 in Berlin in November."""
    assert await answer_to(called("get_time", '{"timezone": "Europe/Berlin"}')) == {
        "time": "2025-11-20T13:00:00+01:00",
        "weekday": "Thursday",
    }


async def test_a_channel_search_answers_with_author_and_time() -> None:
    """Hits are data with their source, not anonymous text."""
    reader = FixedReader(FOUND)
    answer = await answer_to(called("search_channel", '{"query": " picnic "}'), reader)
    assert reader.queries == ["picnic"]
    assert answer == {
        "messages": [
            {
                "author": "Tom",
                "at": "2025-11-20T12:00:00+00:00",
                "text": "The picnic is on Sunday.",
            }
        ]
    }


async def test_a_long_result_loses_its_oldest_messages() -> None:
    """Newest come first, so the bound cuts at the end, and says so."""
    messages = [
        FoundMessage(author_name="Tom", at_us=NOON_US, text=f"{number} " + "x" * 500)
        for number in range(50)
    ]
    (result,) = await run_all(
        context(FixedReader(*messages)), (called("search_channel", '{"query": "x"}'),)
    )
    assert len(result.output) <= OUTPUT_CHARS_MAX
    answer = json.loads(result.output)
    assert answer["truncated"] is True
    assert answer["messages"][0]["text"].startswith("0 ")


@pytest.mark.parametrize(
    "call",
    [
        called("grant_credits", '{"amount": 1000}'),
        called("get_time", "not json"),
        called("get_time", "[1]"),
        called("get_time", '{"timezone": 5}'),
        called("get_time", '{"timezone": "Mars/Olympus"}'),
        called("get_time", '{"timezone": "../../etc/passwd"}'),
        called("get_time", '{"zone": "UTC"}'),
        called("get_time", "[" * 100_000),
        called("search_channel", "{}"),
        called("search_channel", '{"query": "' + "x" * 201 + '"}'),
        called("get_my_credits", '{"user_id": 5}'),
    ],
    ids=lambda call: f"{call.name} {call.arguments[:24]}",
)
async def test_nonsense_from_a_model_is_answered_with_an_error(call: ToolCall) -> None:
    """The model reads what is wrong and may try again; nothing of ours breaks."""
    assert set(await answer_to(call, FixedReader())) == {"error"}


async def test_a_broken_tool_does_not_break_the_answer() -> None:
    """The model is told, in words without insides."""

    class Broken(FixedReader):
        async def search(self, query: str) -> tuple[FoundMessage, ...]:
            raise ConnectionError(f"token=secret {query}")

    answer = await answer_to(called("search_channel", '{"query": "x"}'), Broken())
    assert answer == {"error": "temporarily unavailable"}


async def test_too_many_calls_at_once_are_answered_but_not_run() -> None:
    """Each call needs a result, or the next request would be refused."""
    calls = tuple(called("get_time", call_id=f"c{number}") for number in range(20))
    results = await run_all(context(), calls)
    assert [result.call_id for result in results] == [call.call_id for call in calls]
    refused = [result for result in results if "error" in json.loads(result.output)]
    assert len(refused) == 20 - CALLS_PER_ROUND_MAX


@given(name=st.text(max_size=30), arguments=st.text(max_size=200))
async def test_no_call_can_raise(name: str, arguments: str) -> None:
    """Whatever a model writes, it gets JSON back."""
    for tool in (name, "get_time", "search_channel", "get_my_credits"):
        await answer_to(called(tool, arguments), FixedReader(FOUND))
    assert isinstance(search_query(called(SEARCH_WEB, arguments)), str)


# --- The loop -----------------------------------------------------------------------------------


async def test_a_called_tool_is_answered_in_a_second_request(new_world: NewWorld) -> None:
    """Both requests are paid together; the round goes back as the protocol needs it."""
    call = called("get_my_credits")
    world = new_world(
        [*said("Let me see."), done("0.1", calls=(call,))],
        [*said("You have some."), done("0.05")],
    )
    final = await world.ask("How much do I have?")
    assert final.text == "Let me see.\n\nYou have some."
    assert await world.spent_ucr() == 150_000
    second = world.provider.requests[1]
    (answered,) = [item for item in second.items if isinstance(item, ToolRound)]
    assert (answered.text, answered.calls) == ("Let me see.", (call,))
    wallet_seen = json.loads(answered.results[0].output)
    held = 20 - float(wallet_seen["available_credits"])
    assert held == pytest.approx(float(wallet_seen["held_for_running_answers"]))
    assert wallet_seen["prices_in_credits_per_million_tokens"][0] == {
        "model": "GPT-5.4",
        "input": "300",
        "output": "1,800",
    }
    assert second.tools == world.provider.requests[0].tools


async def test_a_model_that_never_stops_calling_is_answered_without_tools(
    new_world: NewWorld,
) -> None:
    """The loop is bounded; the last request offers nothing to call."""
    again = [done("0.01", calls=(called("get_time"),)) for _ in range(TOOL_ROUNDS_MAX)]
    world = new_world(*[[event] for event in again], [*said("Enough."), done("0.01")])
    final = await world.ask()
    assert final.text == "Enough."
    assert len(world.provider.requests) == TOOL_ROUNDS_MAX + 1
    assert [bool(request.tools) for request in world.provider.requests] == [
        *[True] * TOOL_ROUNDS_MAX,
        False,
    ]
    assert await world.spent_ucr() == 10_000 * (TOOL_ROUNDS_MAX + 1)


async def test_asking_to_search_becomes_a_searching_request(new_world: NewWorld) -> None:
    """Search and functions exclude each other, so the second request has search and no tools."""
    search = called(SEARCH_WEB, '{"query": "weather Oslo"}', call_id="c1")
    clock = called("get_time", call_id="c2")
    world = new_world([done("0.1", calls=(search, clock))], [*said("Snow."), done("0.2")])
    sink = RecordingSink()
    await world.service.reply(world.question("Weather in Oslo?"), sink)
    request = world.provider.requests[1]
    assert (request.search, request.tools) == (True, ())
    assert not any(isinstance(item, ToolRound) for item in request.items)
    note = texts(request)[-1]
    assert '"weather Oslo"' in note
    assert "Result of get_time" in note
    assert Phase.SEARCHING in {draft.phase for draft in sink.drafts}
    assert (sink.final.text, sink.final.ending) == ("Snow.", Ending.COMPLETE)
    assert await world.spent_ucr() == 300_000


async def test_a_model_that_only_searches_is_always_asked_to(new_world: NewWorld) -> None:
    """gemini-3.1-pro: no functions, googleSearch in every request."""
    world = new_world([*said("ok"), done("0.01")])
    await world.ask(model_id="gemini-3.1-pro")
    request = world.provider.requests[0]
    assert (request.search, request.tools) == (True, ())


async def test_a_function_model_is_not_searching_at_first(new_world: NewWorld) -> None:
    """Search costs; the model decides."""
    world = new_world([*said("ok"), done("0.01")])
    await world.ask()
    request = world.provider.requests[0]
    assert not request.search
    assert request.effort == "low"
