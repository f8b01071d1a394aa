"""The Chat Completions protocol: `POST /chat/completions` (provider-docs 002, 003; 2.2).

The stream ends at `[DONE]`, after a usage chunk whose `choices` is empty. A `finish_reason` may
never come (trap 15), and without `[DONE]` the answer was cut, whatever came before.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bot.catalogue.catalogue import InputKind
from bot.errors import AnswerMalformed
from bot.providers.base import (
    ChatAnswer,
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
    Item,
    Message,
    Part,
    Searching,
    TextDelta,
    TextPart,
    ThoughtDelta,
    ToolCall,
    ToolRound,
    Usage,
)
from bot.providers.checks import Fields, check, tool_schemas
from bot.providers.decoding import Decoder, answer_of, events_of, usage_of
from bot.providers.http import ProviderHttp
from bot.providers.wire import as_amount, as_index, as_list, as_mapping, as_text

PATH = "chat/completions"

_FIELDS = Fields(
    items="messages",
    effort="reasoning_effort",
    json_schema="response_format",
    # Trap 14: pictures, films, sound and documents all travel as `image_url`.
    media=dict.fromkeys(InputKind, "image_url"),
)


class ChatCompletions:
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
        decoder = ChatDecoder(
            provider=self._http.provider,
            model=request.model.id,
            search_tool=request.model.search_tool,
        )
        return events_of(self._http, PATH, body_of(request, stream=stream), decoder)


# --- Request ---------------------------------------------------------------------------------


def body_of(request: ChatRequest, *, stream: bool) -> dict[str, Any]:
    """Build the checked body. Raises `RequestInvalid`."""
    check(request, _FIELDS)
    model = request.model
    body: dict[str, Any] = {
        "model": model.id,
        "messages": [wire for item in request.items for wire in _messages(item)],
        "stream": stream,  # trap 1: these stream unless told not to
    }
    if model.thoughts:
        body["include_thoughts"] = request.include_thoughts  # on by default, too (2.2)
    if effort := request.effort or model.default_effort:
        body["reasoning_effort"] = effort
    if request.search:
        # Traps 10 and 11: a function without parameters; on 2.5 Pro this form is a best guess.
        body["tools"] = [{"type": "function", "function": {"name": model.search_tool}}]
    if request.tools:
        body["tools"] = [
            {"type": "function", "function": schema} for schema in tool_schemas(request)
        ]
    if request.json_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": request.json_schema_name,
                "schema": dict(request.json_schema),
            },
        }
    return body


def _messages(item: Item) -> Iterator[dict[str, Any]]:
    if isinstance(item, Message):
        yield {"role": item.role.value, "content": _content(item.parts)}
        return
    yield _tool_turn(item)
    for result in item.results:
        yield {"role": "tool", "tool_call_id": result.call_id, "content": result.output}


def _tool_turn(item: ToolRound) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": item.text or None,
        "tool_calls": [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in item.calls
        ],
    }


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    """Write one text as a plain string, as the documents do, and anything else as parts."""
    match parts:
        case (TextPart(text=text),):
            return text
        case _:
            return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.url}}


# --- Answer ----------------------------------------------------------------------------------

_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


@dataclass(slots=True, kw_only=True)
class _PartialCall:
    call_id: str
    name: str = ""
    arguments: str = ""


class ChatDecoder(Decoder):
    """Reads the chunks; see `Decoder`. A refusal of the model is its answer, hence text."""

    def __init__(self, *, provider: str, model: str, search_tool: str | None) -> None:
        super().__init__(provider=provider, model=model)
        self._search_tool = search_tool
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._credits: Decimal | None = None
        self._calls: list[_PartialCall] = []
        self._slots: dict[int, _PartialCall] = {}

    def whole(self, body: Mapping[str, Any]) -> Iterator[ChatEvent]:
        """Decode a body that came as one JSON object (trap 18: it must look like an answer)."""
        if not as_list(body.get("choices")):
            raise AnswerMalformed(provider=self.provider, status=200)
        yield from self._document(body, "")
        self._done()

    def _document(self, document: Mapping[str, Any], event_name: str) -> Iterator[ChatEvent]:
        del event_name  # chunks are unnamed
        usage = usage_of(document.get("usage"), prefix_in="prompt", prefix_out="completion")
        self._usage = usage or self._usage
        credits_consumed = as_amount(document.get("credits_consumed"))
        self._credits = self._credits if credits_consumed is None else credits_consumed
        for entry in as_list(document.get("choices")):  # empty in the usage chunk (trap 15)
            choice = as_mapping(entry)
            if as_index(choice.get("index")) in {None, 0}:
                yield from self._piece(
                    as_mapping(choice.get("delta")) or as_mapping(choice.get("message"))
                )
                reason = as_text(choice.get("finish_reason"))
                self._reason = _REASONS.get(reason, self._reason)

    def _piece(self, piece: Mapping[str, Any]) -> Iterator[ChatEvent]:
        """Read a `delta` or a `message`: the same keys, in pieces or whole."""
        thought = as_text(piece.get("reasoning_content") or piece.get("reasoning"))
        if thought:
            yield ThoughtDelta(text=thought)
        content = piece.get("content")
        for part in content if isinstance(content, list) else ({"text": content},):
            # Compatible services mark thoughts inside a list of parts (2.2).
            fields = as_mapping(part)
            if text := as_text(fields.get("text")):
                aside = fields.get("thought") is True or fields.get("type") == "thinking"
                yield ThoughtDelta(text=text) if aside else TextDelta(text=text)
        if refusal := as_text(piece.get("refusal")):
            yield TextDelta(text=refusal)
        yield from self._citations(piece.get("annotations"))
        for entry in as_list(piece.get("tool_calls")):
            yield from self._tool_call(as_mapping(entry))

    def _tool_call(self, entry: Mapping[str, Any]) -> Iterator[ChatEvent]:
        """Join the pieces of a call by `index`.

        `id` and name come once. Gemini behind a gateway sends whole calls, without an index or all
        with the same one: a new `id` begins a new call.
        """
        call_id = as_text(entry.get("id"))
        slot = as_index(entry.get("index"))
        last = self._calls[-1] if self._calls and not call_id else None
        call = last if slot is None else self._slots.get(slot)
        if call is None or (call_id and call.call_id and call_id != call.call_id):
            call = _PartialCall(call_id=call_id)
            self._calls.append(call)
        if slot is not None:
            self._slots[slot] = call
        function = as_mapping(entry.get("function"))
        call.call_id = call.call_id or call_id
        if not call.name and (name := as_text(function.get("name"))):
            call.name = name
            if name == self._search_tool:  # trap 10: the provider runs this one itself
                yield Searching()
        arguments = function.get("arguments")
        call.arguments += (
            json.dumps(arguments, default=str)
            if isinstance(arguments, dict)
            else as_text(arguments)
        )

    def _done(self) -> None:
        cut_short = self._reason in {FinishReason.LENGTH, FinishReason.CONTENT_FILTER}
        calls = () if cut_short else tuple(self._whole_calls())
        reason = self._reason or FinishReason.STOP
        if not cut_short:
            reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        self.finished = Finished(
            reason=reason, usage=self._usage, credits_consumed=self._credits, calls=calls
        )

    def _whole_calls(self) -> Iterator[ToolCall]:
        for position, call in enumerate(self._calls):
            if call.name == self._search_tool:
                continue
            if not call.name:
                raise AnswerMalformed(provider=self.provider)
            yield ToolCall(
                # An empty id still needs a partner for its result.
                call_id=call.call_id or f"call_{position}",
                name=call.name,
                arguments=call.arguments or "{}",
            )
