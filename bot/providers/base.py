"""The words between the chat and the providers: requests in, events out.

Every protocol (`responses.py`, `chat_completions.py`) turns a `ChatRequest` into its own wire form
and its own stream back into these events. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from bot.catalogue.catalogue import ChatModel


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """A file the provider fetches itself from a public `url`; `content_type` is a MIME type."""

    url: str
    content_type: str
    filename: str


Part = TextPart | MediaPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """`arguments` is the model's JSON text, unparsed; `call_id` is what the result answers."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    call_id: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRound:
    """One answer of the model that called tools, with our results, as it must be sent back.

    `raw_items` are the provider's own output items (reasoning with its tool turn,
    providers.md 2.1); a protocol without such items leaves them empty.
    """

    text: str
    calls: tuple[ToolCall, ...]
    results: tuple[ToolResult, ...]
    raw_items: tuple[Mapping[str, Any], ...] = ()


Item = Message | ToolRound


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTool:
    """`parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What to ask. `search` turns on the model's own web search; it excludes `tools`."""

    model: ChatModel
    items: tuple[Item, ...]
    effort: str | None = None
    search: bool = False
    tools: tuple[FunctionTool, ...] = ()
    json_schema: Mapping[str, Any] | None = None
    json_schema_name: str = "answer"
    include_thoughts: bool = False


# --- Events of a stream, in the order of the wire -------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtDelta:
    """Reasoning text, where the provider shows it."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """The model is searching the web."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A source of the answer; every (url) comes once."""

    url: str
    title: str


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counts them; `output_tokens` is what its formula bills."""

    input_tokens: int
    output_tokens: int
    reasoning_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The terminal event. `credits_consumed` is the raw reported amount, None when absent.

    A reported amount may be nonsense (F-51): `catalogue/pricing.py` judges it.
    """

    reason: FinishReason
    usage: Usage | None
    credits_consumed: Decimal | None
    calls: tuple[ToolCall, ...] = ()
    raw_items: tuple[Mapping[str, Any], ...] = ()


ChatEvent = TextDelta | ThoughtDelta | Searching | Citation | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """A whole answer, for callers that do not stream."""

    text: str
    thoughts: str
    citations: tuple[Citation, ...]
    finished: Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderBalance:
    """`GET /v1/credits`, in the provider's credits."""

    balance: Decimal
    total_purchased: Decimal | None
    total_consumed: Decimal | None


class ChatProvider(Protocol):
    """One protocol spoken with one host."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Yield the answer; the last event is `Finished`, or a `ProviderError` is raised.

        Raises `RequestInvalid` before the network when the request breaks a documented rule.
        """
        ...

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask without streaming."""
        ...
