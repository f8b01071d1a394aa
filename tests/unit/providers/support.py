"""A provider on loopback that each test scripts, and the words to speak with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.catalogue.loader import load
from bot.clock import SystemClock
from bot.errors import ProviderError
from bot.providers.base import (
    ChatEvent,
    ChatProvider,
    ChatRequest,
    Message,
    Role,
    TextDelta,
    TextPart,
)
from bot.providers.http import ProviderHttp, Reply

API_KEY = "sk-very-secret-0123456789"
GPT, GEMINI_25, GEMINI_31 = load().chat_models.values()

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]


class InstantClock(SystemClock):
    """Waiting is noted and over at once."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came over the socket."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    peer: object


@dataclass(slots=True, kw_only=True)
class Host:
    """Answers with the steps of `script` in order; the last one repeats."""

    script: list[Step] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        assert request.transport is not None
        self.seen.append(
            Seen(
                method=request.method,
                path=request.path,
                headers=dict(request.headers),
                body=json.loads(raw) if raw else None,
                peer=request.transport.get_extra_info("peername"),
            )
        )
        return await self.script[min(len(self.seen), len(self.script)) - 1](request)


def answers(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Step:
    """Answer a JSON value, or `bytes` as they are."""

    async def step(_request: web.Request) -> web.StreamResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(
            status=status,
            body=raw,
            headers={"Content-Type": "application/json", **(headers or {})},
        )

    return step


def streams(*chunks: bytes, then: Callable[[web.Request], Awaitable[None]] | None = None) -> Step:
    """Stream chunks as SSE, and `then` do something else than ending well."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then is not None:
            await then(request)
        return response

    return step


async def cut(request: web.Request) -> None:
    """Drop the connection without the end of the body."""
    assert request.transport is not None
    request.transport.close()  # what was written still leaves


async def reset(request: web.Request) -> web.StreamResponse:
    """Drop the connection without any answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def sse(*documents: Any) -> bytes:
    """Write documents as unnamed events."""
    lines = (doc if isinstance(doc, str) else json.dumps(doc) for doc in documents)
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def ask(model: Any = GPT, text: str = "Hi", **fields: Any) -> ChatRequest:
    """Build the smallest request."""
    return ChatRequest(model=model, items=(user(text),), **fields)


def user(text: str) -> Message:
    return Message(role=Role.USER, parts=(TextPart(text=text),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a stream gave: its events, and the error that ended it."""

    events: tuple[ChatEvent, ...]
    error: ProviderError | None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


async def outcome_of(provider: ChatProvider, request: ChatRequest) -> Outcome:
    """Read a stream to its end, whatever that is."""
    events: list[ChatEvent] = []
    try:
        async for event in provider.stream(request):
            events.append(event)  # noqa: PERF401 - what came before an error must be kept
    except ProviderError as error:
        return Outcome(events=tuple(events), error=error)
    return Outcome(events=tuple(events), error=None)


def merged(events: Iterable[ChatEvent]) -> list[ChatEvent]:
    """Join neighbouring text, so that only what was said is compared."""
    result: list[ChatEvent] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(last, TextDelta) and isinstance(event, TextDelta):
            result[-1] = TextDelta(text=last.text + event.text)
        else:
            result.append(event)
    return result


async def post(http: ProviderHttp, *, stream: bool = True) -> bytes:
    """Send one request and read its answer to the end."""
    async with http.post("responses", {"stream": stream}) as reply:
        return await read_all(reply)


async def read_all(reply: Reply) -> bytes:
    chunks: list[bytes] = []
    while chunk := await reply.read():
        chunks.append(chunk)
    return b"".join(chunks)


def error_body(code: str) -> dict[str, object]:
    return {"error": {"code": code, "message": "m", "type": "t"}}


class PlainHost:
    """Answer every connection with the same bytes, whatever it asks."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(self._raw)
        writer.close()


DONE = {"type": "response.completed", "response": {"status": "completed"}}


def delta(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "delta": text, **more}


def item(kind: str, state: str, at: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": f"response.output_item.{state}",
        "output_index": at,
        "item": {"type": kind, **fields},
    }
