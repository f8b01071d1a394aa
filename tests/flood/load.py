"""The other side of a flood: callbacks by the thousand, over loopback only."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from tests.flood.listener import AIVIDEO, JOBS, SIGNER

HOST = "127.0.0.1"
NETWORKS_MAX = 16_000
"""Addresses of loopback that play as many networks."""
ANSWER_WAIT_S = 15.0
"""Longer than any bound of the listener's."""

Row = tuple[int, int, str]
"""Job, attempt and the body's digest: what a stored callback is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request, and when it left, in seconds."""

    row: Row | None
    at_s: float


@dataclass(slots=True, kw_only=True)
class Told:
    """What was answered."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    stored: list[Row] = field(default_factory=list)
    """Whatever was answered 204, and must be in the file from then on (I-35)."""
    elapsed_s: float = 0.0
    milestone: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when so many were stored."""

    @property
    def unanswered(self) -> int:
        """How many left, and their connection was dropped or stayed silent."""
        return self.sent - self.statuses.total()

    def per_s(self, status: int) -> float:
        return self.statuses[status] / self.elapsed_s


Request = tuple[bytes, Row | None]


def genuine() -> Iterator[Request]:
    """Callbacks that nobody sent before, as the provider's look, without an end."""
    number = 0
    while True:
        job_id, attempt = 1 + number % JOBS, 1 + number // JOBS
        body = (
            b'{"code": 200, "msg": "success", "data": {"id": "task-%012d", "status": "completed",'
            b' "progress": 100, "created_at": "2026-11-20T11:00:00Z", "output": ["https://files.'
            b'example/results/%012d/0.png"], "model": "gpt-image-2", "error": null}}'
        ) % (number, number)
        yield (
            _post(SIGNER.path(job_id, attempt, AIVIDEO), body),
            (
                job_id,
                attempt,
                sha256(body).hexdigest(),
            ),
        )
        number += 1


def forged() -> Iterator[Request]:
    """The same, with a signature that is none."""
    request = _post("/callbacks/7/1/" + "A" * 43, b'{"id": "task-1", "status": "completed"}')
    while True:
        yield request, None


def _post(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: bot.example\r\nContent-Type: application/json\r\n"
        f"User-Agent: flood\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Sender(asyncio.Protocol):
    """One connection with `depth` requests on the way; it ends when `until_s` has passed."""

    def __init__(
        self, requests: Iterator[Request], told: Told, *, depth: int, until_s: float
    ) -> None:
        self._requests = requests
        self._told = told
        self._depth = depth
        self._until_s = until_s
        self._under_way: deque[Sent] = deque()
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(self._depth)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answered = 0
        while (length := _length(self._buffer)) is not None:
            self._note(int(self._buffer[9:12]))
            self._buffer = self._buffer[length:]
            answered += 1
        if time.monotonic() < self._until_s:
            self._send(answered)
        elif not self._under_way and self._transport is not None:
            self._transport.close()

    def _send(self, number: int) -> None:
        assert self._transport is not None
        for _ in range(number):
            data, row = next(self._requests)
            self._under_way.append(Sent(row=row, at_s=time.monotonic()))
            self._transport.write(data)
            self._told.sent += 1

    def _note(self, status: int) -> None:
        sent = self._under_way.popleft()
        self._told.statuses[status] += 1
        self._told.latencies_s.append(time.monotonic() - sent.at_s)
        if status == 204 and sent.row is not None:
            self._told.stored.append(sent.row)
            if len(self._told.stored) == self._told.milestone:
                self._told.reached.set()


def _length(buffer: bytes) -> int | None:
    """Of the first whole answer, None while it is not whole."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    start = buffer.find(b"Content-Length: ", 0, head)
    body = 0 if start < 0 else int(buffer[start + 16 : buffer.find(b"\r\n", start)])
    return head + 4 + body if len(buffer) >= head + 4 + body else None


async def blast(
    port: int,
    requests: Iterator[Request],
    *,
    connections: int,
    depth: int = 1,
    seconds: float,
    networks: int = 1,
    told: Told | None = None,
) -> Told:
    """Send over `connections` at once, from `networks` addresses; what was answered."""
    assert connections <= NETWORKS_MAX
    told = told or Told()
    began_s = time.monotonic()
    loop = asyncio.get_running_loop()
    senders = []
    for number in range(connections):
        _, sender = await loop.create_connection(
            lambda: Sender(requests, told, depth=depth, until_s=began_s + seconds),
            HOST,
            port,
            local_addr=(address(number % networks), 0),
        )
        senders.append(sender)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds + ANSWER_WAIT_S):
            await asyncio.gather(*(sender.over for sender in senders))
    told.elapsed_s = time.monotonic() - began_s
    return told


def address(network: int) -> str:
    """One of loopback's: each is a network of its own."""
    return f"127.1.{network // 250}.{network % 250 + 1}"


# --- Slow ones ------------------------------------------------------------------------------------


def slow_beginnings() -> tuple[bytes, ...]:
    """What slow sockets send before they fall silent."""
    head = SIGNER.path(1, 1, AIVIDEO).encode()
    return (
        b"",
        b"POST /callb",
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" % head,
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 60000\r\n\r\n{" % head,
    )


class Dawdler(asyncio.Protocol):
    """Sends half of something and waits; `lasted_s` is how long it was borne."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning
        self._began_s = time.monotonic()
        self.lasted_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._beginning)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lasted_s.set_result(time.monotonic() - self._began_s)


async def dawdle(port: int, *, sockets: int) -> list[float]:
    """Open slow sockets of every kind as fast as it goes; how long each was open, in seconds."""
    loop = asyncio.get_running_loop()
    kinds = slow_beginnings()
    dawdlers = []
    for number in range(sockets):
        _, dawdler = await loop.create_connection(
            partial(Dawdler, kinds[number % len(kinds)]), HOST, port
        )
        dawdlers.append(dawdler)
    done, pending = await asyncio.wait(
        [dawdler.lasted_s for dawdler in dawdlers], timeout=ANSWER_WAIT_S
    )
    return [one.result() for one in done] + [float("inf")] * len(pending)


async def one_by_one(port: int, requests: Iterator[Request], *, enough: asyncio.Event) -> Told:
    """An honest sender: a connection for each callback, a pause, the next, until `enough`."""
    told = Told()
    began_s = time.monotonic()
    while not enough.is_set():
        one = await blast(port, requests, connections=1, seconds=0)
        told.sent += one.sent
        told.statuses += one.statuses
        told.latencies_s += [one.elapsed_s] * len(one.latencies_s)
        told.stored += one.stored
        with suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), 0.02)
    told.elapsed_s = time.monotonic() - began_s
    return told
