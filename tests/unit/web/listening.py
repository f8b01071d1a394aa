"""A listener with a callback route, and strangers who speak to it over raw sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bot.web.callbacks import CallbackRoute, Record, add_callback_routes
from bot.web.server import WebServer
from bot.web.signatures import CallbackSigner
from bot.web.site import Site
from storage.inbox import Arrival, Verdict

SIGNER = CallbackSigner([b"a key of thirty-two bytes for us."])
HOST = "127.0.0.1"


class StillClock:
    """Stands still until it is moved, so that token buckets do not refill by themselves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def now_us(self) -> int:
        return int(self.now_s * 1_000_000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s


@dataclass
class Inbox:
    """Remembers as the database does: one row per job, attempt and digest."""

    arrivals: dict[tuple[int, int, str], str] = field(default_factory=dict)
    calls: int = 0
    failure: Exception | None = None
    verdict: Verdict | None = None

    async def record(self, arrival: Arrival) -> Verdict:
        self.calls += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        if self.verdict is not None:
            return self.verdict
        row = (arrival.job_id, arrival.attempt, arrival.digest)
        if row in self.arrivals:
            return Verdict.KNOWN
        self.arrivals[row] = arrival.body
        return Verdict.NEW

    @property
    def bodies(self) -> list[str]:
        return list(self.arrivals.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    port: int
    inbox: Inbox
    clock: StillClock
    server: WebServer

    @property
    def base(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def raw(self, data: bytes) -> bytes:
        """Everything that is answered until the connection ends; the sender's half stays open."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            writer.write(data)
            return await _until_closed(reader)
        finally:
            writer.close()


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    answer = bytearray()
    try:
        async with asyncio.timeout(10):
            while chunk := await reader.read(65_536):
                answer += chunk
    except ConnectionError:
        pass
    return bytes(answer)


@asynccontextmanager
async def listening(
    *,
    idle_timeout_s: float = 5.0,
    body_timeout_s: float = 4.0,
    connections_max: int = 512,
    record: Record | None = None,
    signer: CallbackSigner = SIGNER,
) -> AsyncIterator[Listening]:
    inbox = Inbox()
    clock = StillClock()
    site = Site(clock)
    route = CallbackRoute(
        signer=signer,
        provider="aivideo",
        record=record or inbox.record,
        body_timeout_s=body_timeout_s,
    )
    add_callback_routes(site, route)
    server = WebServer(
        site, host=HOST, port=0, idle_timeout_s=idle_timeout_s, connections_max=connections_max
    )
    port = await server.start()
    try:
        yield Listening(port=port, inbox=inbox, clock=clock, server=server)
    finally:
        await server.close()


JSON_LINE = "Content-Type: application/json"


def told(body: bytes = b"{}", *, job_id: int = 1, attempt: int = 1) -> bytes:
    """Return the bytes of a genuine callback."""
    length = f"Content-Length: {len(body)}"
    return post(genuine(job_id, attempt), JSON_LINE, length, body=body)


def genuine(job_id: int = 7, attempt: int = 1) -> str:
    return SIGNER.path(job_id, attempt, "aivideo")


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request that ends its connection."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def status(answer: bytes) -> int:
    line = re.match(rb"HTTP/[0-9]\.[0-9] ([0-9]{3}) ", answer)
    assert line is not None, answer[:80]
    return int(line[1])
