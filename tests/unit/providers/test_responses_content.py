"""What a Responses answer holds beside plain text, and what of it may be broken."""

from __future__ import annotations

from bot.errors import (
    AnswerMalformed,
)
from bot.providers.base import (
    Citation,
    Finished,
    FinishReason,
    Searching,
    TextDelta,
    ThoughtDelta,
    ToolCall,
)
from bot.providers.responses import Responses
from tests.unit.providers.support import (
    DONE,
    GPT,
    Host,
    answers,
    ask,
    delta,
    item,
    merged,
    outcome_of,
    sse,
    streams,
)

CITED = {"type": "url_citation", "url": "https://example.com/a", "title": "A", "start_index": 0}


async def test_searching_and_sources_come_once(responses: Responses, host: Host) -> None:
    """Citations come while streaming and again in each `.done` (2.1)."""
    other = {"type": "url_citation", "url": "https://example.com/b"}
    bad = {"type": "url_citation", "url": "javascript:alert(1)"}
    broken = {"type": "url_citation", "url": "https://[bad"}
    content = [{"type": "output_text", "text": "Hi", "annotations": [CITED, other, bad, broken, 7]}]
    note = {"type": "response.output_text.annotation.added", "output_index": 1}
    host.script = [
        streams(
            sse(
                item("web_search_call", "added", 0, id="ws"),
                {"type": "response.web_search_call.in_progress", "output_index": 0},
                {"type": "response.web_search_call.searching", "output_index": 0},
                delta("Hi", output_index=1),
                {**note, "annotation": CITED},
                {**note, "annotation": {"type": "file_citation", "url": "https://x.test"}},
                item("message", "done", 1, content=content),
                {**DONE, "response": {"output": [{"content": content}]}},
            )
        )
    ]
    assert (await outcome_of(responses, ask(GPT, search=True))).events[:-1] == (
        Searching(),
        TextDelta(text="Hi"),
        Citation(url="https://example.com/a", title="A"),
        Citation(url="https://example.com/b", title="https://example.com/b"),
    )


async def test_a_whole_answer_keeps_its_sources(responses: Responses, host: Host) -> None:
    """The same events, gathered; that it searched is news only while it does."""
    content = [{"type": "output_text", "text": "Hi", "annotations": [CITED]}]
    search = item("web_search_call", "added", 0)
    host.script = [streams(sse(search, item("message", "done", 1, content=content), DONE))]
    answer = await responses.complete(ask(GPT, search=True))
    assert answer.text == "Hi"
    assert answer.citations == (Citation(url="https://example.com/a", title="A"),)


async def test_a_tool_turn_is_gathered_and_can_go_back(responses: Responses, host: Host) -> None:
    """Calls are kept by position and answered by `call_id`; ids of unstored items are dropped."""
    call = {"id": "fc_1", "call_id": "call_1", "name": "get_weather"}
    reasoning = {"id": "rs_1", "summary": [], "encrypted_content": "opaque"}
    host.script = [
        streams(
            sse(
                item("reasoning", "added", 0, id="rs_1"),
                item("reasoning", "done", 0, **reasoning, status=None),
                item("message", "added", 1, id="msg_1", phase="final_answer"),
                delta("Wait. ", output_index=1),
                item("function_call", "added", 2, **call, arguments=""),
                {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{"},
                {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "}"},
                item("function_call", "done", 2, **call, arguments='{"city":"Rome"}'),
                item("function_call", "added", 3, call_id="call_2", name="now", arguments=""),
                {"type": "response.function_call_arguments.done", "output_index": 3,
                 "arguments": '{"a":1}'},
                item("reasoning", "done", 4, id="rs_2", summary=[]),
                {**DONE, "response": {"output": [
                    {"type": "function_call", "call_id": "call_1", "name": "get_weather",
                     "arguments": "{}"},
                    {"type": "function_call", "call_id": "call_3", "name": "late"},
                ]}},
            )
        )
    ]  # fmt: skip
    finished = (await outcome_of(responses, ask(GPT))).events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.TOOL_CALLS
    assert finished.calls == (
        ToolCall(call_id="call_1", name="get_weather", arguments='{"city":"Rome"}'),
        ToolCall(call_id="call_2", name="now", arguments='{"a":1}'),
        ToolCall(call_id="call_3", name="late", arguments="{}"),
    )
    assert finished.raw_items == (
        {"type": "reasoning", **reasoning},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Wait. "}],
            "phase": "final_answer",
        },
        *(
            {
                "type": "function_call",
                "call_id": made.call_id,
                "name": made.name,
                "arguments": made.arguments,
            }
            for made in finished.calls
        ),
    )


async def test_a_json_tool_turn_is_read_alike(responses: Responses, host: Host) -> None:
    """Trap 23: `output[0]` may be reasoning; its summary is a thought."""
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c1", "name": "now", "arguments": ""},
    ]
    host.script = [answers({"status": "completed", "output": output})]
    answer = await responses.complete(ask(GPT))
    assert answer.thoughts == "Hm."
    assert answer.finished.calls == (ToolCall(call_id="c1", name="now", arguments="{}"),)


async def test_a_call_without_a_name_is_malformed(responses: Responses, host: Host) -> None:
    """It could be neither run nor answered."""
    host.script = [streams(sse(item("function_call", "done", 0, call_id="c"), DONE))]
    assert isinstance((await outcome_of(responses, ask(GPT))).error, AnswerMalformed)


async def test_commentary_and_reasoning_are_thoughts(responses: Responses, host: Host) -> None:
    """Only `final_answer` is the answer (2.1)."""
    host.script = [
        streams(
            sse(
                item("message", "added", 0, phase="commentary"),
                delta("I will look. "),
                {"type": "response.reasoning_summary_part.added", "summary_index": 0},
                {"type": "response.reasoning_summary_text.delta", "delta": "One."},
                {"type": "response.reasoning_summary_part.added", "summary_index": 1},
                {"type": "response.reasoning_text.delta", "delta": "Two."},
                item("message", "added", 1, phase="final_answer"),
                delta("Here.", output_index=1),
                DONE,
            )
        )
    ]
    outcome = await outcome_of(responses, ask(GPT))
    assert outcome.text == "Here."
    thoughts = [event.text for event in outcome.events if isinstance(event, ThoughtDelta)]
    assert "".join(thoughts) == "I will look. One.\n\nTwo."


async def test_a_refusal_is_the_models_answer(responses: Responses, host: Host) -> None:
    """It is billed like any text and says why, so the member reads it."""
    refusal = {"output_index": 0, "content_index": 0}
    host.script = [
        streams(
            sse(
                {**refusal, "type": "response.refusal.delta", "delta": "I cannot"},
                {**refusal, "type": "response.refusal.done", "refusal": "I cannot do that."},
                DONE,
            )
        )
    ]
    assert (await outcome_of(responses, ask(GPT))).text == "I cannot do that."


async def test_repeated_events_count_once(responses: Responses, host: Host) -> None:
    """F-58: by number *and* content, since some hosts number everything 0."""
    a, b = delta("a", sequence_number=0), delta("b", sequence_number=0)
    host.script = [streams(sse(a, a, b, delta("a"), delta("a"), DONE))]
    assert (await outcome_of(responses, ask(GPT))).text == "abaa"


async def test_broken_documents_are_passed_over(responses: Responses, host: Host) -> None:
    """F-58: the terminal event decides; a lost piece comes back from the `.done` event."""
    host.script = [
        streams(
            sse(delta("a"), "{broken", "7", "null", {"type": "novel"}, {"type": 7}, {}),
            b"data: \xff\xff\n\n",
            sse(
                {"type": "response.output_text.delta", "delta": 7, "output_index": "x"},
                {"type": "response.output_text.done", "output_index": 0, "text": "abc"},
                DONE,
            ),
        )
    ]
    outcome = await outcome_of(responses, ask(GPT))
    assert outcome.error is None
    assert merged(outcome.events)[0] == TextDelta(text="abc")


async def test_a_broken_stream_without_an_end_is_malformed(
    responses: Responses, host: Host
) -> None:
    """The terminal event may have been the broken one, so it is not called a cut."""
    host.script = [streams(sse(delta("a"), "{broken"))]
    assert isinstance((await outcome_of(responses, ask(GPT))).error, AnswerMalformed)


async def test_a_missing_blank_line_joins_no_events(responses: Responses, host: Host) -> None:
    """F-58: two data lines that are one JSON document each."""
    joined = sse(delta("a"), delta("b"), DONE).replace(b"\n\n", b"\n")
    host.script = [streams(joined)]
    assert (await outcome_of(responses, ask(GPT))).text == "ab"


async def test_a_line_beyond_all_bounds_ends_the_stream(responses: Responses, host: Host) -> None:
    """F-58: 5 MiB on one line; a megabyte is fine, as `response.completed` repeats the text."""
    host.script = [
        streams(sse(delta("x" * 1_000_000), DONE)),
        streams(sse(delta("a")) + b"data: " + b"x" * 5 * 1024 * 1024),
    ]
    assert len((await outcome_of(responses, ask(GPT))).text) == 1_000_000
    outcome = await outcome_of(responses, ask(GPT))
    assert isinstance(outcome.error, AnswerMalformed)
    assert outcome.text == "a"


async def test_half_a_surrogate_pair_is_replaced(responses: Responses, host: Host) -> None:
    """JSON can escape what UTF-8, SQLite and Discord cannot carry."""
    host.script = [streams(sse(delta("a\ud83d"), DONE))]
    assert (await outcome_of(responses, ask(GPT))).text == "a?"


async def test_event_names_stand_in_for_missing_types(responses: Responses, host: Host) -> None:
    """The SSE name repeats the type; either will do."""
    raw = b'event: response.output_text.delta\ndata: {"delta":"a"}\n\n'
    host.script = [streams(raw + b"event: response.completed\ndata: {}\n\n")]
    assert (await outcome_of(responses, ask(GPT))).text == "a"
