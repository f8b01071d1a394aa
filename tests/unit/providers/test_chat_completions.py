"""Reading the Chat Completions protocol over a real socket."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.errors import (
    AnswerMalformed,
    ContentRefused,
    ProviderCreditsExhausted,
    ProviderError,
    ProviderInternalError,
    RateLimited,
    StreamCut,
)
from bot.providers.base import (
    Citation,
    Finished,
    FinishReason,
    Searching,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    Usage,
)
from bot.providers.chat_completions import ChatCompletions
from tests.unit.providers.samples import CHAT_JSON, CHAT_STREAM, GEMINI_31_JSON
from tests.unit.providers.support import (
    GEMINI_25,
    GEMINI_31,
    Host,
    answers,
    ask,
    cut,
    outcome_of,
    sse,
    streams,
)


def chunk(delta: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta or {}, **more}]}


def call(**fields: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [fields]})


async def finished_of(completions: ChatCompletions, host: Host, *documents: Any) -> Finished:
    host.script = [streams(sse(*documents))]
    last = (await outcome_of(completions, ask(GEMINI_25))).events[-1]
    assert isinstance(last, Finished)
    return last


async def test_the_documents_stream_is_read(completions: ChatCompletions, host: Host) -> None:
    """Trap 15: the usage chunk has no choices, and no `finish_reason` ever comes."""
    host.script = [streams(CHAT_STREAM)]
    assert (await outcome_of(completions, ask(GEMINI_25))).events == (
        TextDelta(text="Quantum"),
        TextDelta(text=" computing"),
        Finished(
            reason=FinishReason.STOP,
            usage=Usage(input_tokens=12, output_tokens=86),
            credits_consumed=None,
        ),
    )


@pytest.mark.parametrize("stream", [True, False])
async def test_the_documents_json_is_read_whether_asked_for_or_not(
    *, completions: ChatCompletions, host: Host, stream: bool
) -> None:
    """F-59: the content type decides, not what was asked."""
    host.script = [answers(CHAT_JSON)]
    if stream:
        text = (await outcome_of(completions, ask(GEMINI_25))).text
    else:
        text = (await completions.complete(ask(GEMINI_25))).text
    assert text == "Quantum computing uses quantum bits (qubits)..."
    assert host.seen[0].body["stream"] is stream


async def test_unbilled_reasoning_stays_out_of_the_output(
    completions: ChatCompletions, host: Host
) -> None:
    """Trap 4: 194 + 229 + 457 = 880, of which 229 are paid."""
    host.script = [answers(GEMINI_31_JSON)]
    answer = await completions.complete(ask(GEMINI_31, search=True))
    assert answer.text == GEMINI_31_JSON["choices"][0]["message"]["content"]
    assert answer.finished == Finished(
        reason=FinishReason.STOP,
        usage=Usage(input_tokens=194, output_tokens=229, reasoning_tokens=457),
        credits_consumed=Decimal("0.25"),
    )


async def test_a_stream_is_read_where_json_was_asked(
    completions: ChatCompletions, host: Host
) -> None:
    """F-59, the other way round; trap 1: it is these models' default."""
    host.script = [streams(CHAT_STREAM)]
    assert (await completions.complete(ask(GEMINI_25))).text == "Quantum computing"


@pytest.mark.parametrize("at", range(0, CHAT_STREAM.index(b"[DONE]"), 23))
async def test_without_done_the_answer_was_cut(
    completions: ChatCompletions, host: Host, at: int
) -> None:
    """F-57: also after all the text and the usage."""
    host.script = [streams(CHAT_STREAM[:at]), streams(CHAT_STREAM[:at], then=cut)]
    for _ in range(2):
        outcome = await outcome_of(completions, ask(GEMINI_25))
        assert isinstance(outcome.error, StreamCut)
        assert "Quantum computing".startswith(outcome.text)


async def test_the_connection_is_used_again(completions: ChatCompletions, host: Host) -> None:
    """Trap 20."""
    host.script = [streams(CHAT_STREAM)]
    for _ in range(3):
        await outcome_of(completions, ask(GEMINI_25))
    assert len({seen.peer for seen in host.seen}) == 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        # Without any call there is nothing to run.
        ("tool_calls", FinishReason.STOP),
        ("novel", FinishReason.STOP),
        (None, FinishReason.STOP),
    ],
)
async def test_a_finish_reason_is_taken_when_it_comes(
    completions: ChatCompletions, host: Host, reason: str | None, expected: FinishReason
) -> None:
    """`stop / length / tool_calls etc.` (provider-docs 003)."""
    last = chunk({}, finish_reason=reason)
    finished = await finished_of(completions, host, chunk({"content": "a"}), last, "[DONE]")
    assert finished.reason is expected


async def test_tool_calls_are_joined_by_index(completions: ChatCompletions, host: Host) -> None:
    """`id` and name come once, arguments in pieces (2.2)."""
    finished = await finished_of(
        completions,
        host,
        call(index=0, id="call_a", type="function", function={"name": "get_weather"}),
        call(index=1, id="call_b", type="function", function={"name": "now", "arguments": ""}),
        call(index=0, function={"arguments": '{"city":'}),
        call(index=0, function={"arguments": '"Rome"}'}),
        chunk({}, finish_reason="tool_calls"),
        "[DONE]",
    )
    assert finished.reason is FinishReason.TOOL_CALLS
    assert finished.calls == (
        ToolCall(call_id="call_a", name="get_weather", arguments='{"city":"Rome"}'),
        ToolCall(call_id="call_b", name="now", arguments="{}"),
    )


async def test_whole_tool_calls_need_no_index(completions: ChatCompletions, host: Host) -> None:
    """Gateways before Gemini send them whole, unnumbered or all as 0, even as objects."""
    finished = await finished_of(
        completions,
        host,
        call(id="a", function={"name": "one", "arguments": {"n": 1}}),
        call(index=0, id="b", function={"name": "two", "arguments": "{}"}),
        call(index=0, id="c", function={"name": "three", "arguments": '{"x":'}),
        call(function={"arguments": "1}"}),
        "[DONE]",
    )
    assert [(made.call_id, made.name, made.arguments) for made in finished.calls] == [
        ("a", "one", '{"n": 1}'),
        ("b", "two", "{}"),
        ("c", "three", '{"x":1}'),
    ]


async def test_a_call_without_an_id_gets_one(completions: ChatCompletions, host: Host) -> None:
    """Its result must name it when both go back."""
    finished = await finished_of(
        completions, host, call(index=0, id="", function={"name": "now"}), "[DONE]"
    )
    assert finished.calls == (ToolCall(call_id="call_0", name="now", arguments="{}"),)


async def test_half_a_call_is_not_made(completions: ChatCompletions, host: Host) -> None:
    """At the length limit the arguments may have been cut."""
    finished = await finished_of(
        completions,
        host,
        call(index=0, id="a", function={"name": "now", "arguments": '{"x'}),
        chunk({}, finish_reason="length"),
        "[DONE]",
    )
    assert finished.calls == ()
    assert finished.reason is FinishReason.LENGTH


async def test_the_providers_own_search_is_no_call_of_ours(
    completions: ChatCompletions, host: Host
) -> None:
    """Trap 10: the page of 3.1 lists `tool_calls` although only `googleSearch` exists."""
    host.script = [
        streams(
            sse(
                call(index=0, id="s", function={"name": "googleSearch"}),
                chunk({"content": "Sunny"}, finish_reason="tool_calls"),
                "[DONE]",
            )
        )
    ]
    events = (await outcome_of(completions, ask(GEMINI_31, search=True))).events
    assert events[:2] == (Searching(), TextDelta(text="Sunny"))
    assert events[2] == Finished(reason=FinishReason.STOP, usage=None, credits_consumed=None)


async def test_a_call_without_a_name_is_malformed(completions: ChatCompletions, host: Host) -> None:
    """It could be neither run nor answered."""
    host.script = [streams(sse(call(index=0, id="a"), "[DONE]"))]
    outcome = await outcome_of(completions, ask(GEMINI_25))
    assert isinstance(outcome.error, AnswerMalformed)


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"content": [{"type": "text", "text": "Hm.", "thought": True}]},
        {"content": [{"type": "thinking", "text": "Hm."}]},
    ],
)
async def test_thoughts_are_told_apart_from_text(
    completions: ChatCompletions, host: Host, delta: dict[str, Any]
) -> None:
    """Where thoughts go is undocumented (2.2): all known places are read."""
    host.script = [streams(sse(chunk(delta), chunk({"content": "A"}), "[DONE]"))]
    events = (await outcome_of(completions, ask(GEMINI_25, include_thoughts=True))).events
    assert events[:2] == (ThoughtDelta(text="Hm."), TextDelta(text="A"))


async def test_a_refusal_is_the_models_answer(completions: ChatCompletions, host: Host) -> None:
    """It is billed like any text and says why, so the member reads it."""
    host.script = [streams(sse(chunk({"refusal": "I cannot do that."}), "[DONE]"))]
    assert (await outcome_of(completions, ask(GEMINI_25))).text == "I cannot do that."


async def test_sources_come_once(completions: ChatCompletions, host: Host) -> None:
    """Annotations nest the citation under its type in this protocol."""
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.test/x", "title": "A"}}
    both = chunk({"content": "a", "annotations": [cited]})
    host.script = [streams(sse(both, both, "[DONE]"))]
    events = (await outcome_of(completions, ask(GEMINI_31, search=True))).events
    assert [event for event in events if isinstance(event, Citation)] == [
        Citation(url="https://a.test/x", title="A")
    ]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"error": {"code": "upstream_error", "type": "rate_limit_error"}}, ProviderError),
        ({"error": {"code": None, "type": "rate_limit_error"}}, RateLimited),
        ({"error": {"code": "content_filter"}}, ContentRefused),
        ({"error": "boom"}, ProviderInternalError),
        ({"code": 402, "msg": "top up", "data": None}, ProviderCreditsExhausted),
    ],
)
async def test_an_error_instead_of_choices_is_raised(
    completions: ChatCompletions,
    host: Host,
    document: dict[str, Any],
    expected: type[ProviderError],
) -> None:
    """Trap 16: a `data:` object with `error`, after words have come."""
    host.script = [streams(sse(chunk({"content": "a"}), document, "[DONE]"))]
    outcome = await outcome_of(completions, ask(GEMINI_25))
    assert isinstance(outcome.error, expected)
    assert outcome.text == "a"


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": None}, {"id": "x"}])
async def test_a_json_body_without_choices_is_malformed(
    completions: ChatCompletions, host: Host, body: dict[str, Any]
) -> None:
    """Trap 18: it must look like an answer."""
    host.script = [answers(body)]
    outcome = await outcome_of(completions, ask(GEMINI_25))
    assert isinstance(outcome.error, AnswerMalformed)


async def test_an_amount_in_the_stream_is_taken(completions: ChatCompletions, host: Host) -> None:
    """Undocumented for these streams (trap 3), so wherever a chunk has it."""
    finished = await finished_of(
        completions, host, {"choices": [], "credits_consumed": 0.30}, {"choices": []}, "[DONE]"
    )
    assert finished.credits_consumed == Decimal("0.30")


@pytest.mark.parametrize(
    "strange",
    [
        {"choices": [None, 7, {"delta": None}, {"delta": {"content": 7}}]},
        {"choices": [{"index": 1, "delta": {"content": "other"}}]},
        {"choices": {"0": {}}},
        {"choices": [{"delta": {"tool_calls": {"a": 1}}}]},
        {"usage": "none"},
        "not json",
    ],
)
async def test_strange_chunks_are_passed_over(
    completions: ChatCompletions, host: Host, strange: Any
) -> None:
    """Trap 15 and F-58: nothing is indexed unchecked, and `[DONE]` decides."""
    host.script = [streams(sse(chunk({"content": "a"}), strange, "[DONE]"))]
    outcome = await outcome_of(completions, ask(GEMINI_25))
    assert outcome.error is None
    assert outcome.text == "a"
