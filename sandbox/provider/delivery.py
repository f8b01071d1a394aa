"""From events to bytes on a connection: how a fault bends a stream, and at which pace it goes.

`steps_of` is pure: a stream is a list of things to do, which `deliver` does.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from sandbox.provider.events import Event
from sandbox.provider.faults import Fault
from sandbox.provider.wire import Json, dumps
from sandbox.provider.wire_responses import error_event

STALL_S_DEFAULT: Final = 120.0
"""Twice the patience of a careful client with a silent stream."""
TICK_S: Final = 0.02
"""How soon a silent stream notices that its client has left or the sandbox ends."""
NOISE_CHUNK_BYTES: Final = 7
"""Cuts lines, CRLF pairs and multi-byte characters at every possible place."""
RAW: Final = "@@raw@@"
"""Stands for a credits value that JSON cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`tokens_per_s` 0 is as fast as possible."""

    tokens_per_s: float = 80.0
    first_token_delay_s: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    data: bytes
    tokens: int = 0
    closing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Say nothing for `delay_s`."""

    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Reset the connection."""


Step = Send | Stall | Abort


def place_of(events: list[Event], fault: Fault) -> int:
    """Before which event the fault strikes: the counted one, else the closing group."""
    if fault.after_events is not None:
        return min(fault.after_events, len(events))
    return next((i for i, event in enumerate(events) if event.closing), len(events))


def steps_of(events: list[Event], fault: Fault | None, *, chat: bool) -> list[Step]:
    """What to do for these events under this fault."""
    if fault is None:
        return [_send(event) for event in events]
    if fault.kind == "noise":
        return list(_noisy(events))
    if fault.kind == "repeat":
        return [step for event in events for step in [_send(event)] * _copies(event)]
    place = place_of(events, fault)
    before: list[Step] = [_send(event) for event in events[:place]]
    if fault.kind in _ENDS:
        return [*before, *_end(place, fault, chat=chat)]
    rest = [_send(event) for event in events[place:]]
    return [*before, *_insertion(fault), *rest]


_ENDS: Final = frozenset({"cut", "reset", "stall", "error_event", "error_event_nested"})


def _end(place: int, fault: Fault, *, chat: bool) -> list[Step]:
    """What comes instead of the rest of the stream."""
    match fault.kind:
        case "cut":
            return []
        case "reset":
            return [Abort()]
        case "stall":
            return [Stall(delay_s=STALL_S_DEFAULT if fault.delay_s is None else fault.delay_s)]
        case _:
            return [_send(_error(place, fault, chat=chat))]


def _insertion(fault: Fault) -> list[Step]:
    """What comes between two events of an otherwise whole stream."""
    match fault.kind:
        case "malformed":
            return [Send(data=b'data: {"type":"response.output_text.delta","del\n\n')]
        case "malformed_utf8":
            return [Send(data=b'data: {"type":"sandbox.noise","delta":"\xff\xfe\xc3"}\n\n')]
        case "huge_line":
            return [Send(data=b":" + b"." * fault.size_bytes + b"\n\n")]
        case _:
            return []


def _send(event: Event) -> Send:
    return Send(data=event.encode(), tokens=event.tokens, closing=event.closing)


def _copies(event: Event) -> int:
    """Events with a sequence number can be told apart; a chat chunk cannot be repeated."""
    return 2 if event.name and event.name.endswith("_text.delta") else 1


def _error(place: int, fault: Fault, *, chat: bool) -> Event:
    code = str(fault.code or "server_error")
    message = fault.message or "The server had an error while processing your request."
    nested = chat or fault.kind == "error_event_nested"
    event = error_event(place, code, message, nested=nested)
    if not chat:
        return event
    assert isinstance(event.data, dict)
    return Event(data={"error": {**event.data["error"], "type": "api_error"}}, closing=True)


def _noisy(events: list[Event]) -> Iterator[Step]:
    """The same answer in the ugliest legal form (F-58)."""
    yield Send(data=b"\xef\xbb\xbf: keep-alive\r\n\r\n")
    for index, event in enumerate(events):
        data = event.encode("\r\n" if index % 2 else "\n")
        if index % 5 == 0:
            data = b": ping\r\n\r\n" + data
        if index == 2:
            data = b'event: sandbox.unknown\ndata: {"type":"sandbox.unknown"}\n\n' + data
        for start in range(0, len(data), NOISE_CHUNK_BYTES):
            last = start + NOISE_CHUNK_BYTES >= len(data)
            yield Send(
                data=data[start : start + NOISE_CHUNK_BYTES],
                tokens=event.tokens if last else 0,
                closing=event.closing and start == 0,
            )
    if events and events[-1].data != "[DONE]":
        yield Send(data=b"data: [DONE]\n\n")


def with_raw_credits(events: list[Event], raw: str) -> list[Event]:
    """Put text that is no JSON, such as NaN, in the place of the credits."""
    return [
        replace(event, data=raw_credits(event.data, raw)) if isinstance(event.data, dict) else event
        for event in events
    ]


def raw_credits(body: Json, raw: str) -> str:
    return dumps(body).replace(f'"{RAW}"', raw)


class ClientLeft(Exception):
    """The connection closed under us."""


class Delivery:
    """One stream on one connection. `tokens` is what the client has been sent so far."""

    def __init__(
        self, request: web.Request, pace: Callable[[], Pace], closing: asyncio.Event
    ) -> None:
        """`pace` is asked anew for each token: the switch works on running answers, too."""
        self._request = request
        self._pace = pace
        self._closing = closing
        self._due = asyncio.get_running_loop().time()
        self.tokens = 0

    async def wait(self, delay_s: float) -> None:
        """Sleep; raises `ClientLeft` soon after the client, or the sandbox, has gone."""
        until = asyncio.get_running_loop().time() + delay_s
        while (left := until - asyncio.get_running_loop().time()) > 0:
            self.require_client()
            await asyncio.sleep(min(left, TICK_S))

    def require_client(self) -> None:
        transport = self._request.transport
        if self._closing.is_set() or transport is None or transport.is_closing():
            raise ClientLeft

    async def start(self, extra_delay_s: float = 0.0) -> None:
        """The time until the first token."""
        await self.wait(self._pace().first_token_delay_s + extra_delay_s)
        self._due = asyncio.get_running_loop().time()

    async def think(self, tokens: int) -> None:
        """The time that a whole answer of this length takes."""
        if rate := self._pace().tokens_per_s:
            await self.wait(tokens / rate)

    def abort(self) -> None:
        """Reset the connection (RST) instead of closing it."""
        transport = self._request.transport
        if transport is None:
            return
        if (sock := transport.get_extra_info("socket")) is not None:
            # Without lingering the kernel answers with RST instead of FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    async def send(
        self, response: web.StreamResponse, steps: list[Step], on_closing: Callable[[], None]
    ) -> str:
        """Do the steps; the outcome is `sent` or `reset`. `on_closing` runs before the end group.

        Raises `ClientLeft`.
        """
        closed = False
        for step in steps:
            match step:
                case Abort():
                    self.abort()
                    return "reset"
                case Stall(delay_s=delay_s):
                    await self.wait(delay_s)
                case Send():
                    await self._keep_pace(step.tokens)
                    if step.closing and not closed:
                        closed = True
                        on_closing()
                    await self._write(response, step.data)
                    self.tokens += step.tokens
        return "sent"

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        self.require_client()
        try:
            await response.write(data)
        except ConnectionError as error:
            raise ClientLeft from error

    async def _keep_pace(self, tokens: int) -> None:
        """Sleep until this token's time has come; being late is made up for."""
        rate = self._pace().tokens_per_s
        if not (tokens and rate):
            return
        self._due += tokens / rate
        await self.wait(self._due - asyncio.get_running_loop().time())
