"""Each switch of the simulated provider breaks exactly what it says, as often as it says."""

from __future__ import annotations

import asyncio
import json
import math
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import ClientError

from sandbox.provider.delivery import Pace
from sandbox.provider.errors import ROWS, ErrorRow
from sandbox.provider.faults import KINDS
from sandbox.provider.tasks.switches import KINDS as TASK_KINDS
from tests.contract.provider_client import (
    CHAT,
    GEMINI_25,
    GEMINI_31,
    GPT,
    KEY,
    Provider,
    parse_stream,
    path_of,
    question,
    running_provider,
    streamed_text,
    text_of,
)

MODELS = pytest.mark.parametrize("model", [GPT, GEMINI_25, GEMINI_31])


async def raw_stream(provider: Provider, model: str) -> bytes:
    answer = await provider.post(path_of(model), question(model, "bees", stream=True))
    assert answer.status == 200
    return await answer.read()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
@MODELS
async def test_every_row_of_the_error_table_can_be_had(
    provider: Provider, row: ErrorRow, model: str
) -> None:
    """Status, code and type of the table; once, for nothing, and then all is well."""
    await provider.fault("error", code=row.code)
    status, error = await provider.refusal(path_of(model), question(model, "bees"))
    assert (status, error["code"], error["type"]) == (row.status, row.code, row.type)
    assert await provider.consumed() == 0
    await provider.ask(model, "bees")


async def test_an_error_can_say_when_to_come_back(provider: Provider) -> None:
    """`Retry-After`, and a status of one's own."""
    await provider.fault("error", code="rate_limit_exceeded", retry_after_s=7, message="Slow!")
    answer = await provider.post(CHAT, question(GEMINI_25, "bees"))
    assert answer.headers["Retry-After"] == "7"
    assert (await answer.json())["error"]["message"] == "Slow!"
    await provider.fault("error", code="internal_error", status=504)
    assert (await provider.post(CHAT, question(GEMINI_25, "bees"))).status == 504


async def test_faults_wait_for_the_requests_that_they_fit(provider: Provider) -> None:
    """By model and endpoint, a number of times, the oldest first."""
    await provider.fault("html", model=GEMINI_31, times=2)
    await provider.fault("empty", endpoint="credits")
    await provider.ask(GPT, "bees")
    assert len((await provider.control("GET", "faults"))["faults"]) == 2
    for status in (502, 502, 200):
        answer = await provider.post(CHAT, question(GEMINI_31, "bees", stream=False))
        assert answer.status == status
    credit = await provider.client.get("/v1/credits", headers=KEY)
    assert await credit.read() == b""
    await provider.fault("html", times=1000)
    await provider.control("DELETE", "faults")
    await provider.ask(GPT, "bees")


async def test_answers_that_are_none(provider: Provider) -> None:
    """HTML, nothing, an envelope of another code, a redirect; none is charged."""
    body = question(GPT, "bees", stream=True)
    await provider.fault("html")
    answer = await provider.post("/v1/responses", body)
    assert (answer.status, answer.content_type) == (502, "text/html")
    await provider.fault("empty")
    answer = await provider.post("/v1/responses", body)
    assert (answer.status, await answer.read()) == (200, b"")
    await provider.fault("envelope", code=402)
    answer = await provider.post("/v1/responses", body)
    assert (answer.status, (await answer.json())["code"]) == (200, 402)
    await provider.fault("redirect", location="/v1/elsewhere")
    answer = await provider.post("/v1/responses", body, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (307, "/v1/elsewhere")
    assert await provider.consumed() == 0


async def test_form_can_be_swapped(provider: Provider) -> None:
    """JSON where a stream was asked for, and the reverse (F-59)."""
    await provider.fault("swapped", times=2)
    answer = await provider.post("/v1/responses", question(GPT, "bees", stream=True))
    assert answer.content_type == "application/json"
    answer = await provider.post("/v1/responses", question(GPT, "bees", stream=False))
    assert answer.content_type == "text/event-stream"


@MODELS
@pytest.mark.parametrize("after", [0, 1, 7, None])
async def test_a_stream_can_be_cut_at_every_event(
    provider: Provider, model: str, after: int | None
) -> None:
    """It ends in good order after so many events, or right before the terminal one."""
    await provider.fault("cut", after_events=after)
    events = parse_stream(await raw_stream(provider, model))
    if after is None:
        whole = await provider.stream(model, "bees")
        assert streamed_text(events) == streamed_text(whole)
        last = "response.output_item.done" if model == GPT else None
        assert events[-1].name == last
        assert "usage" not in events[-1].data
    else:
        assert len(events) == after
        assert await provider.consumed() == 0


@MODELS
async def test_a_connection_can_be_reset(provider: Provider, model: str) -> None:
    """Before any answer, and in the middle of one (F-46)."""
    await provider.fault("reset")
    with pytest.raises(ClientError):
        await raw_stream(provider, model)
    await provider.fault("reset", after_events=3)
    with pytest.raises(ClientError):
        await raw_stream(provider, model)
    assert await provider.consumed() == 0


@MODELS
async def test_a_stream_can_stall(provider: Provider, model: str) -> None:
    """Silence, and then the end without a terminal event (F-60)."""
    await provider.fault("stall", after_events=4, delay_s=0.1)
    assert len(parse_stream(await raw_stream(provider, model))) == 4
    assert await provider.consumed() == 0


async def test_a_stall_ends_with_the_sandbox() -> None:
    """Stopping the provider does not wait for silent streams."""
    async with running_provider() as provider:
        await provider.fault("stall", after_events=2)
        answer = await provider.post("/v1/responses", question(GPT, "bees", stream=True))
        await answer.content.readany()
        answer.release()


async def test_slow_answers_can_be_had(provider: Provider) -> None:
    """A delay before everything, and a pace of its own."""
    await provider.fault("slow", delay_s=0.05, tokens_per_s=5000)
    started = asyncio.get_running_loop().time()
    text = streamed_text(await provider.stream(GPT, "bees"))
    assert text
    assert asyncio.get_running_loop().time() - started >= 0.05


@MODELS
async def test_an_event_can_be_malformed(provider: Provider, model: str) -> None:
    """One event is no JSON, or no UTF-8; the others are whole."""
    await provider.fault("malformed", after_events=2)
    blocks = (await raw_stream(provider, model)).split(b"\n\n")
    with pytest.raises(json.JSONDecodeError):
        json.loads(blocks[2].removeprefix(b"data: "))
    await provider.fault("malformed_utf8", after_events=2)
    with pytest.raises(UnicodeDecodeError):
        (await raw_stream(provider, model)).decode()


async def test_a_whole_answer_can_be_malformed(provider: Provider) -> None:
    """Half a body, broken JSON, broken UTF-8 (F-41)."""
    for kind in ("cut", "malformed", "malformed_utf8"):
        await provider.fault(kind)
        answer = await provider.post("/v1/responses", question(GPT, "bees"))
        with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
            json.loads(await answer.read())


async def test_a_line_can_be_huge(provider: Provider) -> None:
    """A comment of ten megabytes on one line (F-58)."""
    await provider.fault("huge_line", size_bytes=3_000_000, after_events=1)
    raw = await raw_stream(provider, GEMINI_25)
    assert b":" + b"." * 3_000_000 in raw
    assert raw.endswith(b"data: [DONE]\n\n")


@MODELS
async def test_noise_is_still_a_legal_stream(provider: Provider, model: str) -> None:
    """Comments, CRLF, unknown events and a stray [DONE] around the same words."""
    clean = streamed_text(await provider.stream(model, "bees"))
    await provider.fault("noise")
    raw = (await raw_stream(provider, model)).removeprefix(b"\xef\xbb\xbf")
    assert b": ping\r\n\r\n" in raw
    assert b"sandbox.unknown" in raw
    events = parse_stream(raw.replace(b"\r\n", b"\n"))
    known = [event for event in events if event.name != "sandbox.unknown"]
    assert streamed_text([event for event in known if event.data != "[DONE]"]) == clean
    assert events[-1].data == "[DONE]"


async def test_deltas_can_be_repeated(provider: Provider) -> None:
    """The same sequence_number twice (F-58)."""
    await provider.fault("repeat")
    events = parse_stream(await raw_stream(provider, GPT))
    numbers = [e.data["sequence_number"] for e in events if e.name == "response.output_text.delta"]
    assert numbers[::2] == numbers[1::2]


async def test_an_error_event_has_two_shapes(provider: Provider) -> None:
    """Flat and nested in Responses, an object with `error` in Chat (trap 16); not charged."""
    await provider.fault("error_event", code="rate_limit_exceeded", after_events=3)
    last = parse_stream(await raw_stream(provider, GPT))[-1]
    assert (last.name, last.data["code"]) == ("error", "rate_limit_exceeded")
    await provider.fault("error_event_nested", message="Oh no")
    last = parse_stream(await raw_stream(provider, GPT))[-1]
    assert last.data["error"]["message"] == "Oh no"
    await provider.fault("error_event", after_events=3)
    last = parse_stream(await raw_stream(provider, GEMINI_25))[-1]
    assert last.data["error"]["code"] == "server_error"
    await provider.fault("error_event")
    answer = await provider.post("/v1/responses", question(GPT, "bees"))
    assert "error" in await answer.json()
    assert await provider.consumed() == 0


async def test_a_response_can_fail(provider: Provider) -> None:
    """`response.failed` with its error, without usage; the provider refunds it."""
    await provider.fault("failed", code="invalid_prompt", message="No.")
    last = parse_stream(await raw_stream(provider, GPT))[-1]
    assert last.name == "response.failed"
    response = last.data["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "invalid_prompt", "message": "No."}
    assert response["usage"] is None
    await provider.fault("failed")
    last = parse_stream(await raw_stream(provider, GEMINI_31))[-1]
    assert last.data["error"]["type"] == "api_error"
    await provider.fault("failed")
    answer = await provider.post("/v1/responses", question(GPT, "bees"))
    assert (await answer.json())["status"] == "failed"
    assert await provider.consumed() == 0


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
async def test_an_answer_can_be_incomplete(provider: Provider, reason: str, finish: str) -> None:
    """It stops after so many tokens, says why, and is charged for them."""
    await provider.fault("incomplete", reason=reason, after_events=5)
    events = parse_stream(await raw_stream(provider, GPT))
    assert events[-1].name == "response.incomplete"
    response = events[-1].data["response"]
    assert response["incomplete_details"] == {"reason": reason}
    assert response["usage"]["output_tokens"] == 5
    assert await provider.consumed() == Decimal(str(events[-1].data["credits_consumed"]))
    await provider.fault("incomplete", reason=reason)
    chunks = parse_stream(await raw_stream(provider, GEMINI_25))
    assert chunks[-3].data["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("value", [-1, "lots", 1e15, None, True, [], {"a": 1}])
async def test_the_reported_credits_can_be_nonsense(provider: Provider, value: Any) -> None:
    """Any JSON value (F-51); the account pays the true price."""
    await provider.fault("credits", value=value, times=2)
    assert (await provider.stream(GPT, "bees"))[-1].data["credits_consumed"] == value
    assert (await provider.ask(GPT, "bees"))["credits_consumed"] == value
    assert await provider.consumed() > 0


async def test_the_reported_credits_can_be_no_json(provider: Provider) -> None:
    """NaN, as careless servers write it."""
    await provider.fault("credits", raw="NaN", times=2)
    assert math.isnan((await provider.ask(GEMINI_31, "bees"))["credits_consumed"])
    events = await provider.stream(GPT, "bees")
    assert math.isnan(events[-1].data["credits_consumed"])


async def test_fields_can_be_missing(provider: Provider) -> None:
    """No credits, no usage, or a usage that says zero (trap 5)."""
    await provider.fault("no_credits_field", times=2)
    assert "credits_consumed" not in await provider.ask(GPT, "bees")
    assert "credits_consumed" not in (await provider.stream(GPT, "bees"))[-1].data
    await provider.fault("no_usage", times=2)
    assert (await provider.stream(GPT, "bees"))[-1].data["response"]["usage"] is None
    assert (await provider.ask(GEMINI_25, "bees"))["usage"] is None
    await provider.fault("zero_usage", times=2)
    assert (await provider.ask(GPT, "bees"))["usage"]["input_tokens"] == 0
    assert (await provider.stream(GEMINI_25, "bees"))[-2].data["usage"]["prompt_tokens"] == 0


async def test_who_leaves_pays_for_what_was_made() -> None:
    """A client that stops reading is charged for the words until then, not for the rest."""
    pace = Pace(tokens_per_s=200, first_token_delay_s=0)
    async with running_provider(pace=pace) as provider:
        await provider.script("word " * 500)
        body = question(GEMINI_25, "bees", stream=True)
        answer = await provider.post(CHAT, body)
        await answer.content.readany()
        answer.close()
        async with asyncio.timeout(10):
            while (entry := await last_entry(provider))["outcome"] != "client_left":
                pass  # each look is a round trip
        spent = await provider.consumed()
        assert Decimal(entry["charged"]) == spent
        assert 0 < spent < Decimal(500 * 450) / 1_000_000


async def last_entry(provider: Provider) -> dict[str, Any]:
    """The newest request in the journal."""
    entries: list[dict[str, Any]] = (await provider.control("GET", "requests"))["requests"]
    return entries[-1]


async def test_the_pace_can_be_changed(provider: Provider) -> None:
    """What is set is what is read; nonsense is refused."""
    pace = {"tokens_per_s": 1000, "first_token_delay_s": 0.01}
    assert await provider.control("PUT", "pace", pace) == pace
    assert await provider.control("GET", "pace") == pace
    wrongs: list[Any] = [{"tokens_per_s": -1}, {"x": 1}, {"tokens_per_s": True}, []]
    for wrong in wrongs:
        answer = await provider.client.put("/control/pace", json=wrong)
        assert answer.status == 400


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("faults", {}),
        ("faults", {"kind": "nonsense"}),
        ("faults", {"kind": "error"}),
        ("faults", {"kind": "error", "code": "teapot"}),
        ("faults", {"kind": "cut", "times": 0}),
        ("faults", {"kind": "cut", "after_events": -1}),
        ("faults", {"kind": "cut", "after_events": "3"}),
        ("faults", {"kind": "slow", "delay_s": 1e9}),
        ("faults", {"kind": "redirect", "location": "/a\r\nX: 1"}),
        ("faults", {"kind": "cut", "colour": "red"}),
        ("script", {}),
        ("script", {"text": 7}),
        ("script", {"text": "x", "times": 0}),
        ("script", {"tool_calls": [{}]}),
        ("script", {"text": "x", "mood": "good"}),
    ],
)
async def test_a_senseless_switch_is_refused(
    provider: Provider, name: str, body: dict[str, Any]
) -> None:
    """400 with a reason, and nothing waits."""
    answer = await provider.client.post(f"/control/{name}", json=body)
    assert answer.status == 400
    assert (await answer.json())["error"]
    assert (await provider.control("GET", "faults"))["faults"] == []


async def test_control_is_for_this_machine_only(provider: Provider) -> None:
    """A foreign host name, or a form of another page, flips no switch."""
    foreign = {"Host": "evil.example"}
    answer = await provider.client.get("/control/account", headers=foreign)
    assert answer.status == 403
    answer = await provider.client.post("/control/faults", data=b'{"kind":"html"}')
    assert answer.status == 400


async def test_every_kind_of_fault_is_explained(provider: Provider) -> None:
    """The list for the page names each kind, and every one is accepted."""
    tasks = {name: kind.does for name, kind in TASK_KINDS.items()}
    assert (await provider.control("GET", "faults"))["kinds"] == {**KINDS, **tasks}
    for kind in (*KINDS, *TASK_KINDS):
        await provider.fault(kind, **({"code": "internal_error"} if kind == "error" else {}))


async def test_whole_answers_break_down_too(provider: Provider) -> None:
    """Reset and stall without a stream."""
    await provider.fault("reset", after_events=1)
    with pytest.raises(ClientError):
        await provider.ask(GPT, "bees")
    await provider.fault("stall", delay_s=0.05)
    with pytest.raises(ClientError):
        await provider.ask(GPT, "bees")
    assert text_of(await provider.ask(GPT, "bees"))
