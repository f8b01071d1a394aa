"""Asking by the Responses protocol: `POST /responses` (provider-docs 000; providers.md 2.1)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from bot.catalogue.catalogue import InputKind
from bot.providers.base import (
    ChatAnswer,
    ChatEvent,
    ChatRequest,
    Item,
    MediaPart,
    Message,
    Part,
    Role,
    TextPart,
    ToolRound,
)
from bot.providers.checks import Fields, check, tool_schemas
from bot.providers.decoding import answer_of, events_of
from bot.providers.http import ProviderHttp
from bot.providers.responses_decoder import ResponsesDecoder

PATH = "responses"

_FIELDS = Fields(
    items="input",
    effort="reasoning.effort",
    json_schema="text.format",
    media={
        InputKind.IMAGE: "image_url",
        InputKind.FILE: "file_url",
        InputKind.AUDIO: "file_url",
        InputKind.VIDEO: "file_url",
    },
)


class Responses:
    """A `ChatProvider` for this protocol."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """See `ChatProvider.stream`."""
        async with aclosing(self._ask(request, stream=True)) as events:
            async for event in events:
                yield event

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """See `ChatProvider.complete`."""
        async with aclosing(self._ask(request, stream=False)) as events:
            return await answer_of(events)

    def _ask(self, request: ChatRequest, *, stream: bool) -> AsyncGenerator[ChatEvent, None]:
        decoder = ResponsesDecoder(provider=self._http.provider, model=request.model.id)
        return events_of(self._http, PATH, body_of(request, stream=stream), decoder)


# --- Request ---------------------------------------------------------------------------------


def body_of(request: ChatRequest, *, stream: bool) -> dict[str, Any]:
    """Build the checked body. Raises `RequestInvalid`.

    `store` is not among the documented fields and is false by default there, so the history is
    sent again each time and nothing refers to a stored item.
    """
    check(request, _FIELDS)
    model = request.model
    body: dict[str, Any] = {
        "model": model.id,
        "input": [wire for item in request.items for wire in _items(item)],
        "stream": stream,  # trap 1: explicit, since the defaults differ between the models
    }
    if effort := request.effort or model.default_effort:
        body["reasoning"] = {"effort": effort}
    if request.search:
        body["tools"] = [{"type": model.search_tool}]
    if request.tools:
        # Trap 12: flat here, nested under `function` in Chat Completions.
        body["tools"] = [{"type": "function", **schema} for schema in tool_schemas(request)]
        body["tool_choice"] = "auto"
    if request.json_schema is not None:
        body["text"] = {
            "format": {
                "type": "json_schema",
                "name": request.json_schema_name,
                "schema": dict(request.json_schema),
            }
        }
    return body


def _items(item: Item) -> Iterator[Mapping[str, Any]]:
    if isinstance(item, Message):
        yield {"role": item.role.value, "content": [_part(item.role, p) for p in item.parts]}
        return
    answered = {result.call_id for result in item.results}
    for raw in item.raw_items or _rebuilt(item):
        # The caller may have answered some calls only; the others must not go back.
        if raw.get("type") != "function_call" or raw.get("call_id") in answered:
            yield raw
    # Trap 8: the document lists a role `tool`; the protocol wants these items.
    for result in item.results:
        yield {
            "type": "function_call_output",
            "call_id": result.call_id,
            "output": result.output,
        }


def _rebuilt(item: ToolRound) -> Iterator[dict[str, Any]]:
    """Write a round that another protocol's answer made."""
    if item.text:
        yield {"role": "assistant", "content": [{"type": "output_text", "text": item.text}]}
    for call in item.calls:
        yield {
            "type": "function_call",
            "call_id": call.call_id,
            "name": call.name,
            "arguments": call.arguments,
        }


def _part(role: Role, part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        # Trap 9: `input_text` on an assistant turn is refused upstream.
        kind = "output_text" if role is Role.ASSISTANT else "input_text"
        return {"type": kind, "text": part.text}
    return _media(part)


def _media(part: MediaPart) -> dict[str, Any]:
    # Trap 14: plain strings here, an object with `url` in Chat Completions.
    if InputKind.of(part.content_type) is InputKind.IMAGE:
        return {"type": "input_image", "image_url": part.url}
    return {"type": "input_file", "file_url": part.url}
