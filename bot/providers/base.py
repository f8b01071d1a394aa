"""The words between our services and the providers. Nothing here knows HTTP.

Chat: every protocol (`responses.py`, `chat_completions.py`) turns a `ChatRequest` into its own wire
form and its own stream back into these events. Pictures and videos (`tasks.py`,
`openai_video.py`): a `MediaRequest` becomes a task, whose state is read until it ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.media import MediaKind, MediaModel, OptionValue
from bot.errors import AtelierError


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


# --- Events of a stream, in the order of the wire ----------------------------------------------


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


# --- Pictures and videos -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRequest:
    """What to make. `options` go by our names (`catalogue.media_checks`), with or without defaults.

    `image_urls` are public addresses. `nsfw_checker` is sent where the model has such a switch.
    """

    model: MediaModel
    kind: MediaKind
    prompt: str
    image_urls: tuple[str, ...] = ()
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    nsfw_checker: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A picture that goes along as bytes, for protocols that fetch nothing themselves."""

    data: bytes
    content_type: str
    filename: str


FetchImage = Callable[[str], Awaitable[ImageFile]]
"""Fetches one of the request's pictures, guarded (C-15); raises `AtelierError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The provider has the task under this name, and charges it."""

    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCreated:
    """There is certainly no task, so nothing was paid (reliability.md 5).

    `retryable`: the same request may be sent again, not before `retry_after_s` (F-36, F-45).
    `digest` is the SHA-256 of the answer's body, should the verdict prove wrong.
    """

    error: AtelierError
    retryable: bool = False
    retry_after_s: float | None = None
    digest: str | None = None


class UnknownCause(StrEnum):
    """Why nobody can tell whether there is a task."""

    NO_ANSWER = "no_answer"
    """The request left, or part of it, and no answer came (F-46)."""
    REDIRECT = "redirect"
    SERVER_ERROR = "server_error"
    """500 (F-38)."""
    UNDOCUMENTED = "undocumented"
    """An error that no document names (F-41)."""
    MALFORMED = "malformed"
    """Success by its status, but no JSON object."""
    ENVELOPE = "envelope"
    """Success by its status, but not by its body (F-42)."""
    TASK_ID_MISSING = "task_id_missing"
    TASK_ID_MALFORMED = "task_id_malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The task may exist and be paid; never to be sent again by itself.

    `digest` is the SHA-256 of the answer's body, None without one.
    """

    cause: UnknownCause
    status: int | None = None
    digest: str | None = None


CreateVerdict = Created | NotCreated | Unknown


class TaskStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """A task as the provider tells it. Every fact but the status may be missing.

    `progress` is 0…100. `urls` are http(s) addresses of results, best first, and may be none
    although the task succeeded (F-48); with `has_content` its bytes come from
    `MediaProvider.content`. `failure` is the name of an error class of `bot.errors`, `code` the
    provider's own word for it (logs only). `status_word` is set when the provider used a word
    that we do not know (F-49). `reported_credits` is unjudged (F-51).
    """

    status: TaskStatus
    task_id: str | None = None
    progress: int | None = None
    urls: tuple[str, ...] = ()
    has_content: bool = False
    failure: str | None = None
    code: str | None = None
    model: str | None = None
    created_us: int | None = None
    expires_us: int | None = None
    reported_credits: Decimal | None = None
    status_word: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A result's bytes on their way. `chunks` raises `ProviderError` when they stop or are no film.

    With `redirect_url` the provider points at another host, where our key must not go: there are
    no bytes here, and the guarded fetcher must decide.
    """

    content_type: str = ""
    size_bytes: int | None = None
    redirect_url: str | None = None
    chunks: AsyncIterator[bytes]


class MediaProvider(Protocol):
    """One protocol spoken with one host."""

    async def create(
        self,
        request: MediaRequest,
        *,
        callback_url: str | None = None,
        fetch_image: FetchImage | None = None,
    ) -> CreateVerdict:
        """Send exactly one request, or none. Never raises for anything that the wire does.

        A request that breaks a documented rule is `NotCreated` with `RequestInvalid`. Shield the
        call from cancellation: a slow answer still holds the task's name.
        """
        ...

    async def get(self, task_id: str) -> TaskState:
        """Read a task. Raises `ProviderError`."""
        ...

    def content(self, task_id: str) -> AbstractAsyncContextManager[Content]:
        """Open the bytes of a finished task whose state says `has_content`.

        Raises `ProviderError` on entering.
        """
        ...
