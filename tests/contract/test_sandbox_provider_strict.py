"""What stands outside the documents gets the documented error, with the name of the field."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.contract.provider_client import (
    CHAT,
    GEMINI_25,
    GEMINI_31,
    GPT,
    RESPONSES,
    Provider,
    question,
)

Json = dict[str, Any]
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "7"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
NESTED = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
GOOGLE = {"type": "function", "function": {"name": "googleSearch"}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def gpt(**fields: Any) -> Json:
    return {**question(GPT, "Hello"), **fields}


def item(role: str, *parts: Json) -> Json:
    return gpt(input=[{"role": role, "content": list(parts)}])


def gemini(model: str = GEMINI_25, **fields: Any) -> Json:
    return {**question(model, "Hello"), **fields}


def message(**fields: Any) -> Json:
    return gemini(messages=[fields])


REFUSED_RESPONSES = {
    "model missing": ({"input": "Hello"}, "'model' is required."),
    "input missing": ({"model": GPT}, "'input' is required."),
    "input empty": (gpt(input=""), "'input' "),
    "input of nothing": (gpt(input=[]), "'input' "),
    "input a number": (gpt(input=7), "'input' must be a string or an array."),
    "stream a string": (gpt(stream="yes"), "'stream' must be a boolean."),
    "unknown field": (gpt(temperature=1), "'temperature' is not supported."),
    "chat's effort": (gpt(reasoning_effort="low"), "'reasoning_effort' is not supported."),
    "bad effort": (gpt(reasoning={"effort": "max"}), "'reasoning.effort' must be one of"),
    "unknown reasoning": (gpt(reasoning={"summary": "auto"}), "'reasoning.summary'"),
    "role": (item("bot", {"type": "input_text", "text": "x"}), "'input[0].role'"),
    "string content": (gpt(input=[{"role": "user", "content": "x"}]), "'input[0].content'"),
    "chat part": (item("user", {"type": "text", "text": "x"}), "'input[0].content[0].type'"),
    "chat image": (item("user", IMAGE), "'input[0].content[0].type'"),
    "input_text by the assistant": (
        item("assistant", {"type": "input_text", "text": "x"}),
        "'input[0].content[0].type' must be one of output_text",
    ),
    "output_text by the user": (
        item("user", {"type": "output_text", "text": "x"}),
        "'input[0].content[0].type'",
    ),
    "image as an object": (
        item("user", {"type": "input_image", "image_url": {"url": "https://example.com/a"}}),
        "'input[0].content[0].image_url' must be a string.",
    ),
    "base64 image": (
        item("user", {"type": "input_image", "image_url": "data:image/png;base64,AA=="}),
        "'input[0].content[0].image_url' must be a publicly accessible http(s) URL.",
    ),
    "file of the disk": (
        item("user", {"type": "input_file", "file_url": "file:///etc/passwd"}),
        "'input[0].content[0].file_url'",
    ),
    "image by the system": (
        item("system", {"type": "input_image", "image_url": "https://example.com/a"}),
        "'input[0].content[0].type' must be input_text",
    ),
    "search and functions": (gpt(tools=[{"type": "web_search"}, TOOL]), "'tools'"),
    "nested function": (gpt(tools=[NESTED]), "'tools[0].function' is not supported."),
    "unknown tool": (gpt(tools=[{"type": "googleSearch"}]), "'tools[0].type'"),
    "tool name": (gpt(tools=[{**TOOL, "name": "a b"}]), "'tools[0].name'"),
    "two tools of one name": (gpt(tools=[TOOL, TOOL]), "'tools' must not name"),
    "tool parameters": (gpt(tools=[{**TOOL, "parameters": {}}]), "'tools[0].parameters.type'"),
    "tool_choice alone": (gpt(tool_choice="auto"), "'tool_choice' is only allowed"),
    "response_format": (gpt(response_format=FORMAT), "'response_format' is not supported."),
    "call without output": (gpt(input=[*question(GPT, "a")["input"], CALL]), "'input'"),
    "output without call": (
        gpt(input=[*question(GPT, "a")["input"], OUTPUT]),
        "'input[1].call_id'",
    ),
    "reasoning at the end": (
        gpt(input=[*question(GPT, "a")["input"], {"type": "reasoning", "id": "r", "summary": []}]),
        "'input[1]'",
    ),
    "too long": (gpt(input="!" * 256_001), "'input' must not exceed 256000 tokens."),
}

REFUSED_CHAT = {
    "model missing": ({"messages": []}, "'model' is required."),
    "messages missing": ({"model": GEMINI_25}, "'messages' is required."),
    "messages empty": (gemini(messages=[]), "'messages' must not be empty."),
    "no user": (message(role="system", content="x"), "'messages' must hold a user message."),
    "unknown field": (gemini(max_tokens=5), "'max_tokens' is not supported."),
    "stream_options": (gemini(stream_options={}), "'stream_options' is not supported."),
    "bad effort": (gemini(reasoning_effort="medium"), "'reasoning_effort' must be one of"),
    "responses' effort": (gemini(reasoning={"effort": "low"}), "'reasoning' is not supported."),
    "thoughts": (gemini(include_thoughts="no"), "'include_thoughts' must be a boolean."),
    "role": (message(role="model", content="x"), "'messages[0].role'"),
    "no content": (message(role="user"), "'messages[0].content' is required."),
    "name": (message(role="user", content="x", name="m"), "'messages[0].name'"),
    "responses' part": (
        message(role="user", content=[{"type": "input_text", "text": "x"}]),
        "'messages[0].content[0].type' must be one of text, image_url.",
    ),
    "image as a string": (
        message(role="user", content=[{"type": "image_url", "image_url": "https://e.com/a"}]),
        "'messages[0].content[0].image_url' must be an object.",
    ),
    "base64": (
        message(role="user", content=[{"type": "image_url", "image_url": {"url": "data:,x"}}]),
        "'messages[0].content[0].image_url.url'",
    ),
    "image by the assistant": (
        message(role="assistant", content=[IMAGE]),
        "'messages[0].content[0].type'",
    ),
    "flat function": (gemini(tools=[TOOL]), "'tools[0].name' is not supported."),
    "web_search": (gemini(tools=[{"type": "web_search"}]), "'tools[0].type'"),
    "search and functions": (gemini(tools=[GOOGLE, NESTED]), "'tools'"),
    "tools and format": (gemini(tools=[NESTED], response_format=FORMAT), "'response_format'"),
    "search and format": (gemini(tools=[GOOGLE], response_format=FORMAT), "'response_format'"),
    "json_object": (gemini(response_format={"type": "json_object"}), "'response_format.type'"),
    "schema missing": (
        gemini(response_format={"type": "json_schema", "json_schema": {"name": "a"}}),
        "'response_format.json_schema.schema' is required.",
    ),
    "3.1 takes only search": (gemini(GEMINI_31, tools=[NESTED]), "'tools[0].function.name'"),
    "3.1 has no format": (gemini(GEMINI_31, response_format=FORMAT), "'response_format'"),
    "search has no parameters": (
        gemini(GEMINI_31, tools=[{"type": "function", "function": {
            "name": "googleSearch", "parameters": {"type": "object"}}}]),
        "'tools[0].function.parameters' is not supported.",
    ),
    "result without call": (
        message(role="tool", tool_call_id="c1", content="7"),
        "'messages[0].tool_call_id'",
    ),
    "call without result": (
        gemini(messages=[
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "user", "content": "y"},
        ]),
        "'messages' has no tool message for call 'c1'.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "words"), REFUSED_RESPONSES.values(), ids=REFUSED_RESPONSES)
async def test_a_wrong_response_request_is_refused(
    provider: Provider, body: Json, words: str
) -> None:
    """400 invalid_request, and the field by its name; nothing is charged."""
    await refused(provider, RESPONSES, body, words)


@pytest.mark.parametrize(("body", "words"), REFUSED_CHAT.values(), ids=REFUSED_CHAT)
async def test_a_wrong_chat_request_is_refused(provider: Provider, body: Json, words: str) -> None:
    """400 invalid_request, and the field by its name; nothing is charged."""
    await refused(provider, CHAT, body, words)


async def refused(provider: Provider, path: str, body: Json, words: str) -> None:
    status, error = await provider.refusal(path, body)
    assert status == 400
    assert set(error) == {"code", "message", "type"}
    assert (error["code"], error["type"]) == ("invalid_request", "invalid_request_error")
    assert words in error["message"]
    assert await provider.consumed() == 0


@pytest.mark.parametrize(
    "key", [None, "", "sk-", "Bearer", "Bearer ", "Bearer pk-1", "Bearer sk-", "Basic sk-1"]
)
@pytest.mark.parametrize("path", [RESPONSES, CHAT, "/v1/credits"])
async def test_a_request_needs_a_key(provider: Provider, path: str, key: str | None) -> None:
    """401 for a missing or malformed key, whatever the body."""
    headers = {} if key is None else {"Authorization": key}
    if path == "/v1/credits":
        answer = await provider.client.get(path, headers=headers)
    else:
        answer = await provider.post(path, {}, headers=headers)
    error = (await answer.json())["error"]
    assert answer.status == 401
    assert (error["code"], error["type"]) == ("invalid_api_key", "authentication_error")


@pytest.mark.parametrize(
    ("path", "model"),
    [(RESPONSES, "gpt-5"), (RESPONSES, GEMINI_25), (CHAT, GPT), (CHAT, "sora-2")],
)
async def test_an_unknown_model_is_not_found(provider: Provider, path: str, model: str) -> None:
    """404 model_not_found, also for a model of the other endpoint."""
    status, error = await provider.refusal(path, {**question(GPT, "x"), "model": model})
    assert (status, error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", "text/plain"),
        (b"not json", "application/json"),
        (b"[]", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'"' + b"x" * (9 * 1024 * 1024) + b'"', "application/json"),
    ],
    ids=["type", "no json", "array", "utf-8", "deep", "huge"],
)
async def test_a_body_must_be_a_json_object(provider: Provider, data: bytes, kind: str) -> None:
    """400 instead of a crash for whatever arrives."""
    headers = {"Authorization": "Bearer sk-1", "Content-Type": kind}
    answer = await provider.client.post(CHAT, data=io.BytesIO(data), headers=headers)
    assert answer.status == 400
    assert (await answer.json())["error"]["code"] == "invalid_request"


async def test_other_addresses_are_not_there(provider: Provider) -> None:
    """404 and 405 come in the documents' form, too."""
    for method, path, status in (("POST", "/v1/messages", 404), ("GET", CHAT, 405)):
        answer = await provider.client.request(method, path)
        assert answer.status == status
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


async def test_all_documented_fields_are_taken_together(provider: Provider) -> None:
    """A full conversation with files, tools and their results is accepted."""
    parts = [
        {"type": "input_text", "text": "What is in this image?"},
        {"type": "input_image", "image_url": "https://example.com/photo.jpg"},
        {"type": "input_file", "file_url": "https://example.com/doc.pdf"},
    ]
    said = {"type": "output_text", "text": "Hm.", "annotations": [], "logprobs": []}
    body = gpt(
        input=[
            {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
            {"role": "user", "content": parts},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "phase": "commentary", "content": [said]},
            CALL,
            OUTPUT,
        ],
        tools=[TOOL],
        tool_choice="auto",
        reasoning={"effort": "minimal"},
        stream=False,
    )  # fmt: skip
    assert (await provider.post(RESPONSES, body)).status == 200
    body = gemini(
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, IMAGE]},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "7"},
        ],
        tools=[NESTED],
        include_thoughts=False,
        reasoning_effort="low",
        stream=False,
    )  # fmt: skip
    assert (await provider.post(CHAT, body)).status == 200
