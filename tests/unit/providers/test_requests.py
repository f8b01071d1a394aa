"""Requests on the wire: every documented field, every exclusion, and the words of a refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.catalogue.catalogue import ChatModel, Feature, InputKind
from bot.errors import RequestInvalid
from bot.providers import chat_completions, responses
from bot.providers.base import (
    ChatRequest,
    FunctionTool,
    Item,
    MediaPart,
    Message,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
    ToolRound,
)
from bot.providers.chat_completions import ChatCompletions
from bot.providers.responses import Responses
from tests.unit.providers.support import GEMINI_25, GEMINI_31, GPT, Host, ask, user

WEATHER = FunctionTool(
    name="get_current_weather",
    description="Get the current weather in a given location",
    parameters={
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
)
CALL = ToolCall(call_id="call_1", name="get_current_weather", arguments='{"location":"Rome"}')
ROUND = ToolRound(
    text="Let me look.", calls=(CALL,), results=(ToolResult(call_id="call_1", output="21 °C"),)
)
PHOTO = MediaPart(
    url="https://example.com/photo.jpg", content_type="image/jpeg", filename="photo.jpg"
)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


def on_responses(request: ChatRequest, *, stream: bool = True) -> dict[str, Any]:
    return responses.body_of(request, stream=stream)


def on_chat(request: ChatRequest, *, stream: bool = True) -> dict[str, Any]:
    return chat_completions.body_of(request, stream=stream)


def system(text: str) -> Message:
    return Message(role=Role.SYSTEM, parts=(TextPart(text=text),))


def assistant(text: str) -> Message:
    return Message(role=Role.ASSISTANT, parts=(TextPart(text=text),))


def media(content_type: str, url: str = "https://example.com/file") -> MediaPart:
    return MediaPart(url=url, content_type=content_type, filename="file")


def asking(model: ChatModel, *items: Item, **fields: Any) -> ChatRequest:
    return ChatRequest(model=model, items=items, **fields)


# --- Responses -------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_a_responses_request_says_everything_explicitly(*, stream: bool) -> None:
    """Trap 1: `stream` is always sent; nothing outside the document is."""
    assert on_responses(ask(GPT), stream=stream) == {
        "model": "gpt-5-4",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "stream": stream,
        "reasoning": {"effort": "low"},
    }


def test_responses_history_uses_output_text_for_the_assistant() -> None:
    """Trap 9: `input_text` on an assistant turn is refused upstream."""
    body = on_responses(asking(GPT, system("Be brief."), user("A"), assistant("B"), user("C")))
    assert [(item["role"], item["content"][0]["type"]) for item in body["input"]] == [
        ("system", "input_text"),
        ("user", "input_text"),
        ("assistant", "output_text"),
        ("user", "input_text"),
    ]


def test_responses_media_are_plain_strings_of_two_kinds() -> None:
    """Trap 14; the document's own mixed example."""
    parts = (TextPart(text="What is in this image?"), PHOTO, media("application/pdf"))
    body = on_responses(asking(GPT, Message(role=Role.USER, parts=parts)))
    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "What is in this image?"},
        {"type": "input_image", "image_url": "https://example.com/photo.jpg"},
        {"type": "input_file", "file_url": "https://example.com/file"},
    ]


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh"])
def test_responses_effort_is_an_object(effort: str) -> None:
    """Trap 13."""
    assert on_responses(ask(GPT, effort=effort))["reasoning"] == {"effort": effort}


def test_responses_search_is_the_documents_tool() -> None:
    """`web_search` takes no `tool_choice`, which belongs to functions."""
    body = on_responses(ask(GPT, search=True))
    assert body["tools"] == [{"type": "web_search"}]
    assert "tool_choice" not in body


def test_responses_functions_are_flat() -> None:
    """Trap 12; the document's own example."""
    body = on_responses(ask(GPT, tools=(WEATHER,)))
    assert body["tool_choice"] == "auto"
    assert body["tools"] == [
        {
            "type": "function",
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": dict(WEATHER.parameters),
        }
    ]


def test_a_tool_round_goes_back_as_items() -> None:
    """Trap 8: there is no role `tool` in this protocol."""
    body = on_responses(asking(GPT, user("Weather?"), ROUND, tools=(WEATHER,)))
    assert body["input"][1:] == [
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "get_current_weather",
            "arguments": '{"location":"Rome"}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "21 °C"},
    ]


def test_a_tool_round_prefers_the_providers_own_items() -> None:
    """Reasoning goes back with its tool turn (2.1); a call without a result does not."""
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    call = {"type": "function_call", "call_id": "call_1", "name": "n", "arguments": "{}"}
    other = {**call, "call_id": "call_2"}
    item = replace(ROUND, raw_items=(reasoning, call, other))
    body = on_responses(asking(GPT, user("Weather?"), item))
    assert body["input"][1:] == [
        reasoning,
        call,
        {"type": "function_call_output", "call_id": "call_1", "output": "21 °C"},
    ]


def test_responses_can_ask_for_json_where_a_model_is_said_to_do_so() -> None:
    """OpenAI's `text.format`; no shipped model has the feature, an operator's may."""
    model = replace(GPT, features=frozenset({Feature.JSON_SCHEMA}))
    body = on_responses(ask(model, json_schema=SCHEMA, json_schema_name="person"))
    assert body["text"] == {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA}}


# --- Chat Completions --------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_a_chat_request_says_everything_explicitly(*, stream: bool) -> None:
    """Traps 1 and 13: streaming and thoughts are on by default, effort is high."""
    assert on_chat(ask(GEMINI_25), stream=stream) == {
        "model": "gemini-2.5-pro",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": stream,
        "include_thoughts": False,
        "reasoning_effort": "high",
    }


def test_chat_effort_and_thoughts_are_as_asked() -> None:
    """`reasoning_effort` is a string here (trap 13)."""
    body = on_chat(ask(GEMINI_31, effort="low", include_thoughts=True))
    assert body["reasoning_effort"] == "low"
    assert body["include_thoughts"] is True


@pytest.mark.parametrize("kind", ["image/png", "video/mp4", "audio/ogg", "application/pdf"])
def test_chat_media_all_travel_as_image_url(kind: str) -> None:
    """Trap 14: pictures, films, sound and documents share one structure."""
    parts = (TextPart(text="What's in this?"), media(kind))
    body = on_chat(asking(GEMINI_31, Message(role=Role.USER, parts=parts)))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "What's in this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/file"}},
    ]


@pytest.mark.parametrize("model", [GEMINI_25, GEMINI_31])
def test_chat_search_is_a_function_without_parameters(model: ChatModel) -> None:
    """Traps 10 and 11; the document's own example."""
    assert on_chat(ask(model, search=True))["tools"] == [
        {"type": "function", "function": {"name": "googleSearch"}}
    ]


def test_chat_functions_are_nested() -> None:
    """Trap 12."""
    (tool,) = on_chat(ask(GEMINI_25, tools=(WEATHER,)))["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "get_current_weather"
    assert tool["function"]["parameters"] == dict(WEATHER.parameters)


def test_chat_json_schema_is_the_documents_response_format() -> None:
    """Structured output of gemini-2.5-pro."""
    body = on_chat(ask(GEMINI_25, json_schema=SCHEMA, json_schema_name="scientists"))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "scientists", "schema": SCHEMA},
    }


def test_a_tool_round_goes_back_as_messages() -> None:
    """A call in the assistant's message, its result with role `tool`."""
    body = on_chat(asking(GEMINI_25, user("Weather?"), replace(ROUND, text=""), tools=(WEATHER,)))
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {
                        "name": "get_current_weather",
                        "arguments": '{"location":"Rome"}',
                    },
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "21 °C"},
    ]


def test_several_texts_of_one_message_stay_apart() -> None:
    """One text is a string, as in the documents; more are parts."""
    parts = (TextPart(text="a"), TextPart(text="b"))
    (message,) = on_chat(asking(GEMINI_25, Message(role=Role.USER, parts=parts)))["messages"]
    assert message["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


# --- Refused before the network ------------------------------------------------------------------


def broken(**fields: Any) -> ToolRound:
    return replace(ROUND, **fields)


def user_with(part: MediaPart | TextPart) -> Message:
    return Message(role=Role.USER, parts=(TextPart(text="Look"), part))


REFUSED = [
    (ask(GPT, effort="max"), "reasoning.effort", "unknown_value"),
    (ask(GEMINI_25, effort="medium"), "reasoning_effort", "unknown_value"),
    (ask(GPT, search=True, tools=(WEATHER,)), "tools", "exclusive"),
    (ask(GEMINI_25, search=True, tools=(WEATHER,)), "tools", "exclusive"),
    (ask(GEMINI_25, tools=(WEATHER,), json_schema=SCHEMA), "response_format", "exclusive"),
    (ask(GEMINI_25, search=True, json_schema=SCHEMA), "response_format", "exclusive"),
    (ask(GEMINI_31, tools=(WEATHER,)), "tools", "unsupported"),
    (ask(GEMINI_31, json_schema=SCHEMA), "response_format", "unsupported"),
    (ask(GPT, json_schema=SCHEMA), "text.format", "unsupported"),
    (
        ask(GEMINI_25, json_schema=SCHEMA, json_schema_name="a b"),
        "response_format.name",
        "malformed",
    ),
    (ask(GPT, tools=(replace(WEATHER, name="a b"),)), "tools[0].name", "malformed"),
    (ask(GPT, tools=(WEATHER, WEATHER)), "tools[1].name", "duplicate"),
    (ask(GEMINI_25, tools=(replace(WEATHER, name="googleSearch"),)), "tools[0].name", "duplicate"),
    (ask(GPT, tools=(replace(WEATHER, parameters={}),)), "tools[0].parameters", "malformed"),
    (asking(GPT), "input", "empty"),
    (asking(GEMINI_25, system("s"), assistant("a")), "messages", "empty"),
    (asking(GPT, user("a"), Message(role=Role.USER, parts=())), "input[1].content", "empty"),
    (ask(GPT, text=""), "input[0].content[0].text", "empty"),
    (
        asking(GPT, user_with(media("video/mp4"))),
        "input[0].content[1].file_url",
        "unsupported",
    ),
    (
        asking(GPT, user_with(media("image/png", "data:image/png;base64,AAAA"))),
        "input[0].content[1].image_url",
        "not_public_url",
    ),
    (
        asking(GEMINI_25, user_with(media("audio/ogg", "ftp://example.com/a"))),
        "messages[0].content[1].image_url",
        "not_public_url",
    ),
    (
        asking(GPT, user_with(media("image/png", "https://user@example.com/a"))),
        "input[0].content[1].image_url",
        "not_public_url",
    ),
    (
        asking(GPT, user_with(media("image/png", "https://[bad"))),
        "input[0].content[1].image_url",
        "not_public_url",
    ),
    (
        asking(GPT, user("a"), Message(role=Role.ASSISTANT, parts=(PHOTO,))),
        "input[1].content[0].image_url",
        "user_only",
    ),
    (asking(GPT, user("a"), broken(results=())), "input[1]", "unanswered"),
    (asking(GPT, user("a"), broken(calls=(), results=())), "input[1]", "empty"),
    (asking(GPT, user("a"), broken(calls=(CALL, CALL))), "input[1]", "duplicate"),
    (asking(GEMINI_31, user("a"), ROUND), "messages[1]", "unsupported"),
]


@pytest.mark.parametrize(
    ("request_", "field", "rule"), REFUSED, ids=[f"{field}:{rule}" for _, field, rule in REFUSED]
)
async def test_a_broken_rule_is_told_before_the_network(
    *,
    responses: Responses,
    completions: ChatCompletions,
    host: Host,
    request_: ChatRequest,
    field: str,
    rule: str,
) -> None:
    """The error names the provider's own field; nothing is sent, streamed or not."""
    provider = responses if request_.model is GPT else completions
    with pytest.raises(RequestInvalid) as caught:
        await anext(provider.stream(request_))
    with pytest.raises(RequestInvalid):
        await provider.complete(request_)
    assert (caught.value.field, caught.value.rule) == (field, rule)
    assert caught.value.model == request_.model.id
    assert host.seen == []


@pytest.mark.parametrize("model", [GPT, GEMINI_25, GEMINI_31])
def test_every_kind_a_model_reads_is_let_through(model: ChatModel) -> None:
    """The catalogue decides, not the code."""
    kinds = {
        InputKind.IMAGE: "image/webp",
        InputKind.VIDEO: "video/mp4",
        InputKind.AUDIO: "audio/mpeg",
        InputKind.FILE: "application/pdf",
    }
    build = on_responses if model is GPT else on_chat
    for kind in model.inputs:
        assert build(asking(model, user_with(media(kinds[kind]))))
