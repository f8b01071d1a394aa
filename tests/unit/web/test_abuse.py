"""Strangers at the listener: slow, many, greedy, malformed (reliability.md 3.5)."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.web.connections import Connections
from bot.web.refusals import Buckets, network_of
from bot.web.server import WebServer
from bot.web.site import Site
from storage.inbox import Arrival, Verdict
from tests.unit.web.listening import HOST, StillClock, genuine, listening, post, status, told

SLOW = {
    "nothing": b"",
    "half a line": b"POST /callb",
    "half the headers": b"POST /x HTTP/1.1\r\nHost: x\r\n",
    "half a body": post("/x", "Content-Length: 100", body=b"{"),
    "half a genuine body": post(
        genuine(), "Content-Type: application/json", "Content-Length: 100", body=b"{"
    ),
    "an idle connection": b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def test_two_hundred_slow_sockets_are_closed_and_a_genuine_callback_passes() -> None:
    """F-130, F-131: of each kind, while one that speaks is served at once."""
    async with listening(idle_timeout_s=0.5, body_timeout_s=0.5) as at:
        kinds = [*SLOW.values()] * 34
        opened = await asyncio.gather(*(asyncio.open_connection(HOST, at.port) for _ in kinds))
        for (_, writer), data in zip(opened, kinds, strict=True):
            writer.write(data)
        request = post(genuine(), "Content-Type: application/json", "Content-Length: 2", body=b"{}")
        assert status(await at.raw(request)) == 204
        async with asyncio.timeout(10):
            await asyncio.gather(*(reader.read() for reader, _ in opened))
        for _, writer in opened:
            writer.close()
        assert at.inbox.calls == 1


async def test_a_byte_now_and_then_buys_no_time() -> None:
    """F-130: the clock runs from the connection, not from the last byte."""
    async with listening(idle_timeout_s=0.4) as at:
        reader, writer = await asyncio.open_connection(HOST, at.port)
        answer = asyncio.create_task(reader.read())
        try:
            async with asyncio.timeout(10):
                for byte in b"POST /x HTTP/1.1\r\n" + b"A: b\r\n" * 1_000:
                    if answer.done():
                        break
                    writer.write(bytes([byte]))
                    await asyncio.wait({answer}, timeout=0.02)
        except ConnectionError:
            pass
        async with asyncio.timeout(10):
            await asyncio.gather(answer, return_exceptions=True)
        writer.close()


async def test_one_connection_more_takes_the_place_of_the_most_silent_one() -> None:
    """F-122: the crowd cannot keep out the one that has something to say."""
    async with listening(idle_timeout_s=60.0, connections_max=8) as at:
        crowd = [await asyncio.open_connection(HOST, at.port) for _ in range(8)]
        for number in (0, 7):
            # They speak, so that the second is now the most silent one.
            crowd[number][1].write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await crowd[number][0].readline()).startswith(b"HTTP/1.1 404")
        request = post(genuine(), "Content-Type: application/json", "Content-Length: 2", body=b"{}")
        assert status(await at.raw(request)) == 204
        async with asyncio.timeout(10):
            assert await _ended(crowd[1][0])
        waiting = [asyncio.create_task(_ended(reader)) for reader, _ in (crowd[0], *crowd[2:])]
        assert not any(task.done() for task in waiting)
        # Everyone else is still served.
        for number in (0, *range(2, 8)):
            crowd[number][1].write(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting)
        for _, writer in crowd:
            writer.close()


@pytest.mark.parametrize(
    ("others", "is_answered"),
    [
        pytest.param(20, True, id="slow ones, who owe the rest of theirs"),
        pytest.param(0, False, id="but room there must be"),
    ],
)
async def test_who_waits_for_an_answer_is_not_silent(others: int, *, is_answered: bool) -> None:
    """F-130: a crowd that comes while a callback is being stored does not push its sender out."""
    arrived, goes_on = asyncio.Semaphore(0), asyncio.Event()

    async def record(_arrival: Arrival) -> Verdict:
        arrived.release()
        await goes_on.wait()
        return Verdict.NEW

    whole, half = told(), SLOW["half a genuine body"]
    crowd = [half] * others or [whole] * 4
    async with listening(connections_max=4, record=record) as at, asyncio.timeout(10):
        first = asyncio.create_task(at.raw(whole))
        await arrived.acquire()
        writers = []
        for data in crowd:
            _, writer = await asyncio.open_connection(HOST, at.port)
            writer.write(data)
            writers.append(writer)
        # Connections are let in one after the other: now all of them have been.
        assert status(await at.raw(post("/x"))) == 404
        goes_on.set()
        assert (await first)[:12] == (b"HTTP/1.1 204" if is_answered else b"")
        for writer in writers:
            writer.close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        await reader.read()
    except ConnectionError:
        return True
    return reader.at_eof()


class Generous(asyncio.Protocol):
    """Answers anything with more than the buffers between two sockets hold."""

    GIFT = b"x" * 32 * 1024 * 1024

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, _data: bytes) -> None:
        self.transport.write(self.GIFT)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.over.set()


async def test_who_does_not_read_the_answer_is_dropped() -> None:
    """F-130: a window that stays shut would hold its connection for ever."""
    generous = Generous()
    make = Connections(lambda: generous, limit=8, unread_timeout_s=0.1)
    async with await asyncio.get_running_loop().create_server(make, HOST, 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"?")
        async with asyncio.timeout(10):
            await generous.over.wait()
        writer.close()


async def test_who_reads_late_gets_everything() -> None:
    """Full buffers are no fault as long as they empty again."""
    make = Connections(Generous, limit=8, unread_timeout_s=20.0)
    async with await asyncio.get_running_loop().create_server(make, HOST, 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(2):
            writer.write(b"?")
            async with asyncio.timeout(10):
                await reader.readexactly(len(Generous.GIFT))
        writer.close()


async def test_a_server_that_never_started_can_be_closed() -> None:
    """The way down must not depend on how far the way up went."""
    await WebServer(Site(), host=HOST, port=0).close()


MALFORMED = {
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no version": b"GET /\r\n\r\n",
    "a future version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "long path": b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a nul in a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "two lengths": post(genuine(), "Content-Length: 2", "Content-Length: 3", body=b"{}"),
    "two framings": post(
        genuine(), "Content-Length: 2", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "a negative length": post(genuine(), "Content-Length: -1"),
    "a length in words": post(genuine(), "Content-Length: two"),
    "an unknown framing": post(genuine(), "Transfer-Encoding: gzip, x", body=b"{}"),
    "no path at all": b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "another host's path": b"GET http://evil.example/callbacks HTTP/1.0\r\n\r\n",
    "a nul in the path": b"GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_requests_are_refused_without_a_trace(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """F-135: 4xx or the end of the connection, and not a stack trace each in our log."""
    async with listening(idle_timeout_s=0.3) as at:
        answer = await at.raw(data)
        assert answer == b"" or 400 <= status(answer) < 500
        assert b"Traceback" not in answer
        assert b"server:" not in answer.lower()  # C-11: nor what answers them
        assert at.inbox.calls == 0
    assert "Traceback" not in caplog.text


async def test_pipelined_requests_are_answered_one_by_one() -> None:
    """F-135: a second request behind the first is its own request, with its own judgement."""
    first = post(genuine(), "Content-Type: application/json", "Content-Length: 2", body=b"{}")
    first = first.replace(b"Connection: close\r\n", b"")
    async with listening() as at:
        answer = await at.raw(first + post("/callbacks/1/1/x"))
        assert answer.startswith(b"HTTP/1.1 204")
        assert b"HTTP/1.1 404" in answer
        assert at.inbox.calls == 1


async def test_a_stranger_who_resets_leaves_no_trouble() -> None:
    """The next one is served as ever."""
    async with listening() as at:
        for data in SLOW.values():
            with socket.socket() as stranger:
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                stranger.connect((HOST, at.port))
                stranger.sendall(data)
        assert status(await at.raw(post("/x", "Content-Length: 0"))) == 404


# --- Who is refused how often ------------------------------------------------------------------


def test_a_bucket_refills_with_time_and_only_to_its_rim() -> None:
    """Twenty a second after the first hundred."""
    clock = StillClock()
    buckets = Buckets(clock, per_s=20, burst=100)
    assert sum(buckets.take("a") for _ in range(300)) == 100
    clock.now_s += 0.5
    assert sum(buckets.take("a") for _ in range(300)) == 10
    clock.now_s += 3_600
    assert sum(buckets.take("a") for _ in range(300)) == 100
    assert buckets.take("b")


def test_the_number_of_networks_is_bounded() -> None:
    """The one that was quiet for longest is forgotten; a busy one is not."""
    buckets = Buckets(StillClock(), burst=2, networks_max=3)
    assert [buckets.take("busy") for _ in range(3)] == [True, True, False]
    for number in range(10):
        buckets.take(f"network {number}")
        assert not buckets.take("busy")
    assert len(buckets) == 3


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("/run/socket", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_one_subscriber_is_one_network(remote: str | None, network: str) -> None:
    """IPv6 gives each of them 2⁶⁴ addresses."""
    assert network_of(remote) == network


WELL_FORMED = told(b'{"id": "task-1"}')
MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, len(WELL_FORMED) - 1),
        st.sampled_from([b"", b"\r\n", b"\0", b" ", b":", b"/", b"%", b"\xff", b"9", b"\r\n\r\n"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(mutations=MUTATIONS)
async def test_a_spoilt_request_is_never_a_trouble_of_ours(
    mutations: list[tuple[int, bytes, bool]],
) -> None:
    """F-135: bytes of a genuine callback replaced, cut out and put in: no 5xx, no false storing."""
    spoilt = bytearray(WELL_FORMED)
    for position, piece, replaces in mutations:
        spoilt[position : position + replaces] = piece
    async with listening(idle_timeout_s=0.05, body_timeout_s=0.05) as at:
        answer = await at.raw(bytes(spoilt))
        assert answer == b"" or status(answer) < 500
        assert b"Traceback" not in answer
        if at.inbox.calls:
            # Where it still passed, its address was untouched.
            assert bytes(spoilt).split(b" ")[1].partition(b"?")[0].decode() == genuine(1)
