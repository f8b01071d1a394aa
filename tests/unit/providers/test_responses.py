"""Reading the Responses protocol over a real socket."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from bot.errors import (
    AnswerMalformed,
    ContentRefused,
    InvalidApiKey,
    ModelNotFound,
    ProviderCreditsExhausted,
    ProviderError,
    ProviderInternalError,
    ProviderRejected,
    RateLimited,
    StreamCut,
    UpstreamError,
)
from bot.providers.base import (
    Finished,
    FinishReason,
    TextDelta,
    Usage,
)
from bot.providers.http import Timeouts
from bot.providers.responses import Responses
from tests.unit.providers.conftest import MakeHttp
from tests.unit.providers.samples import RESPONSES_JSON, RESPONSES_STREAM
from tests.unit.providers.support import (
    DONE,
    GPT,
    Host,
    answers,
    ask,
    cut,
    delta,
    item,
    outcome_of,
    sse,
    streams,
)

WHOLE = (
    "Quantum entanglement is the phenomenon where two or more quantum systems form an"
    " inseparable whole..."
)


async def test_the_documents_stream_is_read(responses: Responses, host: Host) -> None:
    """No `[DONE]`; the amount stands beside `response` (traps 2, 3); the whole text wins."""
    host.script = [streams(RESPONSES_STREAM)]
    outcome = await outcome_of(responses, ask(GPT))
    assert outcome.text == WHOLE
    assert outcome.events[0] == TextDelta(text="Quantum")
    assert outcome.events[-1] == Finished(
        reason=FinishReason.STOP,
        usage=Usage(input_tokens=0, output_tokens=57),
        credits_consumed=Decimal("0.10"),
    )


@pytest.mark.parametrize("stream", [True, False])
async def test_the_documents_json_is_read_whether_asked_for_or_not(
    *, responses: Responses, host: Host, stream: bool
) -> None:
    """F-59: the content type decides, not what was asked."""
    host.script = [answers(RESPONSES_JSON)]
    if stream:
        outcome = await outcome_of(responses, ask(GPT))
        text, finished = outcome.text, outcome.events[-1]
    else:
        answer = await responses.complete(ask(GPT))
        text, finished = answer.text, answer.finished
    assert text == RESPONSES_JSON["output"][0]["content"][0]["text"]
    assert finished == Finished(
        reason=FinishReason.STOP,
        usage=Usage(input_tokens=0, output_tokens=45),
        credits_consumed=Decimal("0.08"),
    )
    assert host.seen[0].body["stream"] is stream


async def test_a_stream_is_read_where_json_was_asked(responses: Responses, host: Host) -> None:
    """F-59, the other way round."""
    host.script = [streams(RESPONSES_STREAM)]
    assert (await responses.complete(ask(GPT))).text == WHOLE


@pytest.mark.parametrize("at", [step for step in range(0, len(RESPONSES_STREAM), 397) if step])
async def test_a_cut_stream_is_never_an_answer(responses: Responses, host: Host, at: int) -> None:
    """F-57, trap 17: reset or ended, before the first word or after the last."""
    host.script = [streams(RESPONSES_STREAM[:at]), streams(RESPONSES_STREAM[:at], then=cut)]
    for _ in range(2):
        outcome = await outcome_of(responses, ask(GPT))
        assert isinstance(outcome.error, StreamCut)
        assert WHOLE.startswith(outcome.text)


async def test_the_connection_is_used_again(responses: Responses, host: Host) -> None:
    """Trap 20: the body is read to its end although the answer was over before it."""
    host.script = [streams(RESPONSES_STREAM, b": bye\n\n")]
    for _ in range(3):
        await outcome_of(responses, ask(GPT))
    assert len({seen.peer for seen in host.seen}) == 1


async def test_a_body_left_open_does_not_hold_the_answer(make_http: MakeHttp, host: Host) -> None:
    """Trap 20: reading on has a bound, and then the connection is given up."""
    gate = asyncio.Event()

    async def hang(_request: web.Request) -> None:
        await gate.wait()

    host.script = [streams(RESPONSES_STREAM, then=hang), streams(RESPONSES_STREAM)]
    responses = Responses(make_http(timeouts=Timeouts(drain_s=0.02)))
    for _ in range(2):
        assert (await outcome_of(responses, ask(GPT))).text == WHOLE
    assert host.seen[0].peer != host.seen[1].peer
    gate.set()


async def test_what_follows_the_terminal_event_is_ignored(responses: Responses, host: Host) -> None:
    """A stray `[DONE]` is tolerated, and so is anything else (2.1)."""
    host.script = [streams(sse(delta("a"), DONE, "[DONE]", delta("b"), {"type": "error"}))]
    outcome = await outcome_of(responses, ask(GPT))
    assert outcome.error is None
    assert outcome.text == "a"


async def test_a_stray_done_is_no_end(responses: Responses, host: Host) -> None:
    """Trap 2: only the terminal events end this protocol."""
    host.script = [streams(sse(delta("a"), "[DONE]"))]
    assert isinstance((await outcome_of(responses, ask(GPT))).error, StreamCut)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, RateLimited),
        ({"type": "error", "error": {"code": None, "type": "server_error"}}, ProviderInternalError),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}},
         ProviderInternalError),
        ({"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}},
         ContentRefused),
        ({"type": "response.failed", "response": {"error": {"code": "image_parse_error"}}},
         ProviderRejected),
        ({"type": "response.failed", "response": {"error": {"code": "upstream_error"}}},
         UpstreamError),
        ({"type": "response.failed"}, ProviderInternalError),
        ({"type": "response.completed", "response": {"status": "failed"}}, ProviderInternalError),
        ({"type": "response.completed", "response": {"status": "queued"}}, AnswerMalformed),
        ({"code": 402, "msg": "top up"}, ProviderCreditsExhausted),
    ],
)  # fmt: skip
async def test_a_failure_within_the_stream_is_raised(
    responses: Responses, host: Host, document: dict[str, Any], expected: type[ProviderError]
) -> None:
    """Trap 16: HTTP 200 promises nothing; what was said before it was delivered."""
    host.script = [streams(sse(delta("a"), document, DONE))]
    outcome = await outcome_of(responses, ask(GPT))
    assert type(outcome.error) is expected
    assert outcome.text == "a"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": 402, "msg": "no credits", "data": None}, ProviderCreditsExhausted),
        ({"error": {"code": "invalid_api_key"}}, InvalidApiKey),
        ({"status": "failed", "output": [], "error": None}, ProviderInternalError),
        ({"status": "completed"}, AnswerMalformed),
        ({"status": "completed", "output": None}, AnswerMalformed),
    ],
)
async def test_a_json_body_that_is_no_answer_is_an_error(
    responses: Responses, host: Host, body: dict[str, Any], expected: type[ProviderError]
) -> None:
    """Trap 18: another client gave an answer with every field empty."""
    host.script = [answers(body)]
    outcome = await outcome_of(responses, ask(GPT))
    assert type(outcome.error) is expected
    assert outcome.events == ()


async def test_a_missing_model_is_named(responses: Responses, host: Host) -> None:
    """F-34: the fact that a message needs."""
    host.script = [answers({"error": {"code": "model_not_found"}}, status=404)]
    error = (await outcome_of(responses, ask(GPT))).error
    assert isinstance(error, ModelNotFound)
    assert error.model == "gpt-5-4"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("max_output_tokens", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("novel", FinishReason.LENGTH),
    ],
)
async def test_an_incomplete_answer_says_why(
    responses: Responses, host: Host, cause: str, reason: FinishReason
) -> None:
    """It ended by itself and has a price (2.1); a half call in it is not made."""
    response = {
        "status": "incomplete",
        "incomplete_details": {"reason": cause},
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    call = item("function_call", "added", 1, call_id="c", name="n", arguments="")
    end = {"type": "response.incomplete", "response": response, "credits_consumed": 0.5}
    host.script = [streams(sse(delta("a"), call, end))]
    assert (await outcome_of(responses, ask(GPT))).events[-1] == Finished(
        reason=reason,
        usage=Usage(input_tokens=1, output_tokens=2),
        credits_consumed=Decimal("0.5"),
    )


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0.10", "0.10"),
        ("-1", "-1"),
        ('"0.30"', "0.30"),
        ("1e400", "1E+400"),
        ("NaN", None),
        ("Infinity", None),
        ('"NaN"', None),
        ('"a lot"', None),
        ("null", None),
        ("true", None),
        ("{}", None),
        ("1" * 5_000, "1" * 5_000),
    ],
)
async def test_a_strange_amount_does_not_spoil_the_answer(
    responses: Responses, host: Host, amount: str, expected: str | None
) -> None:
    """F-51: normal delivery; pricing judges the figure, which is exact."""
    raw = '{"type":"response.completed","response":{},"credits_consumed":' + amount + "}"
    host.script = [streams(sse(delta("a"), raw))]
    finished = (await outcome_of(responses, ask(GPT))).events[-1]
    assert isinstance(finished, Finished)
    assert finished.credits_consumed == (None if expected is None else Decimal(expected))


async def test_an_amount_inside_the_response_is_found(responses: Responses, host: Host) -> None:
    """Trap 3: beside `response`, or inside it."""
    host.script = [streams(sse({**DONE, "response": {"credits_consumed": 1.25}}))]
    finished = (await outcome_of(responses, ask(GPT))).events[-1]
    assert isinstance(finished, Finished)
    assert finished.credits_consumed == Decimal("1.25")


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"input_tokens": "7"}, {"input_tokens": -1}, {"total_tokens": 9}]
)
async def test_usage_that_counts_nothing_is_none(
    responses: Responses, host: Host, usage: Any
) -> None:
    """A formula over invented zeros would make answers free; totals mislead (trap 4)."""
    host.script = [streams(sse({**DONE, "response": {"usage": usage}}))]
    finished = (await outcome_of(responses, ask(GPT))).events[-1]
    assert isinstance(finished, Finished)
    assert finished.usage is None
