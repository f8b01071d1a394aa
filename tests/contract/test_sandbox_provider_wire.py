"""The simulated provider answers in the forms of its documents, and counts exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.provider.tokens import MEDIA_TOKENS, count, split
from tests.contract.provider_client import (
    CHAT,
    GEMINI_25,
    GEMINI_31,
    GPT,
    KEY,
    Provider,
    Sse,
    question,
    running_provider,
    streamed_text,
    text_of,
)

QUESTION = "What is the meaning of life?"

# Every field of the sample in provider-docs/000.
RESPONSE_FIELDS = """
id object model status created_at completed_at output usage reasoning text tool_choice tools
parallel_tool_calls temperature top_p frequency_penalty presence_penalty service_tier
truncation store background prompt_cache_key prompt_cache_retention credits_consumed
"""
GPT_STREAM = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


async def test_a_response_has_every_field_of_the_sample(provider: Provider) -> None:
    """Fields, statuses and the echoed model name are those of the sample."""
    body = await provider.ask(GPT, QUESTION, reasoning={"effort": "low"})
    assert set(body) == set(RESPONSE_FIELDS.split())
    assert body["id"].startswith("resp_")
    assert (body["object"], body["model"], body["status"]) == ("response", "gpt-5.4", "completed")
    (message,) = body["output"]
    assert set(message) == {"type", "role", "id", "status", "content"}
    assert message["id"].startswith("msg_")
    (part,) = message["content"]
    assert set(part) == {"type", "text", "annotations"}
    assert body["reasoning"] == {"effort": "low"}


async def test_responses_are_whole_unless_a_stream_is_asked_for(provider: Provider) -> None:
    """The default of `stream` is false here, and true in Chat Completions (trap 1)."""
    answer = await provider.post("/v1/responses", question(GPT, QUESTION))
    assert answer.content_type == "application/json"
    answer = await provider.post(CHAT, question(GEMINI_25, QUESTION))
    assert answer.content_type == "text/event-stream"


async def test_a_response_stream_is_the_documented_sequence(provider: Provider) -> None:
    """Created to completed, numbered without gaps, and no [DONE] (trap 2)."""
    events = await provider.stream(GPT, QUESTION)
    assert [event.data["sequence_number"] for event in events] == list(range(len(events)))
    assert all(event.name == event.data["type"] for event in events)
    assert [name for name, _ in grouped(events)] == GPT_STREAM
    last = events[-1].data
    assert "credits_consumed" in last
    assert "credits_consumed" not in last["response"]
    assert last["response"]["status"] == "completed"
    assert events[0].data["response"]["usage"] is None


async def test_the_pieces_of_a_response_stream_agree(provider: Provider) -> None:
    """Deltas, `.done` events and the final response hold the same words."""
    events = await provider.stream(GPT, QUESTION)
    by_name = {event.name: event.data for event in events}
    text = streamed_text(events)
    assert by_name["response.output_text.done"]["text"] == text
    assert by_name["response.content_part.done"]["part"]["text"] == text
    assert by_name["response.output_item.done"]["item"]["content"][0]["text"] == text
    assert by_name["response.output_item.done"]["item"]["phase"] == "final_answer"
    assert text_of(events[-1].data["response"]) == text
    deltas = [e.data for e in events if e.name == "response.output_text.delta"]
    assert all(delta["obfuscation"] and delta["logprobs"] == [] for delta in deltas)
    assert len({delta["item_id"] for delta in deltas}) == 1


async def test_gpt_counts_and_charges_by_the_formula(provider: Provider) -> None:
    """Input × 300 + output × 1800 per million, reasoning within output, cut to two decimals."""
    body = await provider.ask(GPT, QUESTION, reasoning={"effort": "high"})
    reasoning, message = body["output"]
    thoughts = reasoning["summary"][0]["text"]
    usage = body["usage"]
    assert usage["input_tokens"] == count(QUESTION)
    assert usage["output_tokens_details"] == {"reasoning_tokens": count(thoughts)}
    assert usage["output_tokens"] == count(message["content"][0]["text"]) + count(thoughts)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    exact = usage["input_tokens"] * 300 + usage["output_tokens"] * 1800
    assert Decimal(str(body["credits_consumed"])) == Decimal(exact // 10_000) / 100
    assert await provider.consumed() == Decimal(str(body["credits_consumed"]))


async def test_a_gpt_stream_reports_what_the_account_pays(provider: Provider) -> None:
    """The reported amount is the charged one, also in a stream."""
    events = await provider.stream(GPT, QUESTION)
    assert await provider.consumed() == Decimal(str(events[-1].data["credits_consumed"]))


async def test_gemini_25_answers_as_its_sample(provider: Provider) -> None:
    """Usage has three numbers and there is no `credits_consumed`; the account pays exactly."""
    body = await provider.ask(GEMINI_25, QUESTION)
    assert set(body) == {"id", "object", "created", "model", "choices", "usage"}
    assert body["model"] == "gemini-2.5-pro"
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert set(choice["message"]) == {"role", "content"}
    prompt, completion = count(QUESTION), count(text_of(body))
    assert body["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    assert await provider.consumed() == Decimal(prompt * 57 + completion * 450) / 1_000_000


async def test_a_gemini_25_stream_is_the_sample(provider: Provider) -> None:
    """Bare chunks, no finish_reason, a usage chunk with empty choices, then [DONE] (trap 15)."""
    events = await provider.stream(GEMINI_25, QUESTION)
    *chunks, usage, done = [event.data for event in events]
    assert done == "[DONE]"
    assert set(usage) == {"id", "choices", "usage"}
    assert usage["choices"] == []
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    for chunk in chunks:
        assert set(chunk) == {"id", "choices"}
        assert set(chunk["choices"][0]) == {"delta", "index"}
    assert usage["usage"]["completion_tokens"] == count(streamed_text(events)) == len(chunks)


async def test_gemini_31_leaves_reasoning_out_of_the_bill(provider: Provider) -> None:
    """Reasoning is in `total_tokens` only, and not paid (trap 4)."""
    body = await provider.ask(GEMINI_31, QUESTION)
    usage = body["usage"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    assert body["model"] == "gemini-3.1-pro-preview"
    assert reasoning > 0
    assert usage["completion_tokens"] == count(text_of(body))
    assert usage["total_tokens"] == count(QUESTION) + usage["completion_tokens"] + reasoning
    exact = usage["prompt_tokens"] * 160 + usage["completion_tokens"] * 960
    assert Decimal(str(body["credits_consumed"])) == Decimal(exact // 10_000) / 100
    assert await provider.consumed() == Decimal(str(body["credits_consumed"]))


async def test_a_gemini_31_stream_reports_no_credits(provider: Provider) -> None:
    """Its page documents none for streams (trap 3): then the exact formula is paid."""
    events = await provider.stream(GEMINI_31, QUESTION)
    usage = events[-2].data["usage"]
    assert "credits_consumed" not in events[-2].data
    assert events[-3].data["choices"][0]["finish_reason"] == "stop"
    exact = usage["prompt_tokens"] * 160 + usage["completion_tokens"] * 960
    assert await provider.consumed() == Decimal(exact) / 1_000_000


async def test_thoughts_are_shown_when_they_are_wanted(provider: Provider) -> None:
    """As `reasoning_content`, whole and streamed; without a wish the sample shows none."""
    body = await provider.ask(GEMINI_25, QUESTION, include_thoughts=True)
    thoughts = body["choices"][0]["message"]["reasoning_content"]
    events = await provider.stream(GEMINI_25, QUESTION, include_thoughts=True)
    chunks = [event.data for event in events[:-2]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == thoughts
    hidden = await provider.ask(GEMINI_25, QUESTION, include_thoughts=False)
    assert "reasoning_content" not in hidden["choices"][0]["message"]


async def test_reasoning_is_an_item_of_its_own_before_the_message(provider: Provider) -> None:
    """Never take `output[0]` (trap 23)."""
    events = await provider.stream(GPT, QUESTION, reasoning={"effort": "xhigh"})
    names = [name for name, _ in grouped(events)]
    assert names[2:8] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]
    kinds = [item["type"] for item in events[-1].data["response"]["output"]]
    assert kinds == ["reasoning", "message"]


async def test_the_balance_is_enveloped_and_exact(provider: Provider) -> None:
    """GET /v1/credits follows every charge to the last digit."""
    await provider.control("PUT", "account", {"balance": "12.5"})
    await provider.ask(GEMINI_25, QUESTION)
    answer = await provider.client.get("/v1/credits", headers=KEY)
    body = await answer.json()
    assert (body["code"], body["msg"]) == (200, "success")
    consumed = await provider.consumed()
    assert Decimal(str(body["data"]["balance"])) == Decimal("12.5") - consumed
    assert Decimal(str(body["data"]["total_consumed"])) == consumed
    assert body["data"]["total_purchased"] == 12.5


@pytest.mark.parametrize("model", [GPT, GEMINI_25, GEMINI_31])
async def test_an_empty_balance_is_refused_until_it_is_filled(
    provider: Provider, model: str
) -> None:
    """402 in the documents' words, and nothing is charged."""
    await provider.control("PUT", "account", {"balance": "0"})
    path = "/v1/responses" if model == GPT else CHAT
    status, error = await provider.refusal(path, question(model, QUESTION))
    assert (status, error["code"], error["type"]) == (402, "insufficient_credits", "billing_error")
    assert await provider.consumed() == 0
    await provider.control("PUT", "account", {"balance": "1"})
    await provider.ask(model, QUESTION)


async def test_every_part_of_a_request_is_counted() -> None:
    """Texts, tool definitions as compact JSON, and a fixed number for each file."""
    async with running_provider() as provider:
        parts = [
            {"type": "text", "text": "Look"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ]
        tool = {"name": "get_time", "description": "The time.", "parameters": {"type": "object"}}
        body = {
            "model": GEMINI_25,
            "stream": False,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": parts},
            ],
            "tools": [{"type": "function", "function": tool}],
        }
        answer = await (await provider.post(CHAT, body)).json()
        words = ["Look", "Be brief.", "get_time", "The time.", '{"type":"object"}']
        expected = sum(count(word) for word in words) + MEDIA_TOKENS
        assert answer["usage"]["prompt_tokens"] == expected


@pytest.mark.parametrize(
    "text", ["", " ", "a", "Hello, world!", "naïve Ω 42\n\n  end ", "日本語テキスト🎉", "x" * 1000]
)
def test_tokens_are_cuts_of_the_text(text: str) -> None:
    """Joined, the tokens are the text again."""
    assert "".join(split(text)) == text
    assert count(text) == len(split(text))


def test_the_token_rule_can_be_checked_by_hand() -> None:
    """Six letters, three digits, one sign, white space with what follows."""
    assert split("Quantum 1234!") == ["Quantu", "m", " 123", "4", "!"]


async def test_the_journal_shows_each_request_without_its_key(provider: Provider) -> None:
    """What came, how it ended and what it cost, oldest first."""
    await provider.ask(GPT, QUESTION)
    await provider.post(CHAT, {})
    entries = (await provider.control("GET", "requests"))["requests"]
    assert [entry["status"] for entry in entries] == [200, 400]
    assert entries[0]["body"]["model"] == GPT
    assert entries[0]["headers"]["Authorization"] == "Bearer sk-…"
    assert Decimal(entries[0]["charged"]) == await provider.consumed()
    later = await provider.control("GET", "requests?since=1")
    assert [entry["n"] for entry in later["requests"]] == [2]


def grouped(events: list[Sse]) -> list[tuple[str, int]]:
    """Names of events, repeats counted once with their number."""
    groups: list[tuple[str, int]] = []
    for event in events:
        name = event.name or ""
        if groups and groups[-1][0] == name:
            groups[-1] = (name, groups[-1][1] + 1)
        else:
            groups.append((name, 1))
    return groups
