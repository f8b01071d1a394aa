"""What comes back over HTTP: broken bytes, strange bodies, silence."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    InvalidApiKey,
    ProviderError,
    ProviderInternalError,
    StreamCut,
    StreamStalled,
)
from bot.providers.http import ProviderHttp, Timeouts
from tests.unit.providers.conftest import MakeHttp
from tests.unit.providers.support import (
    Host,
    PlainHost,
    answers,
    post,
    streams,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", AnswerMalformed),
        (b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", AnswerMalformed),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Le", AnswerLost),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{}",
            AnswerLost,
        ),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", AnswerMalformed),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", StreamCut),
    ],
)
async def test_bytes_that_are_no_http_are_typed(
    make_http: MakeHttp, raw: bytes, expected: type[ProviderError]
) -> None:
    """No foreign exception leaves this module (style habit 4)."""
    async with PlainHost(raw) as port:
        with pytest.raises(expected):
            await post(make_http(f"http://127.0.0.1:{port}/v1"))


async def test_a_broken_chunk_ends_the_stream(make_http: MakeHttp, host: Host) -> None:
    """HTTP's framing breaks within a body; aiohttp 3.14 tells nobody, so the idle bound ends it."""
    began = asyncio.Event()

    async def garble(request: web.Request) -> None:
        await began.wait()
        assert request.transport is not None
        request.transport.write(b"zz\r\n")

    host.script = [streams(b": hello\n\n", then=garble)]
    http = make_http(timeouts=Timeouts(idle_s=0.1))
    async with http.post("responses", {"stream": True}) as reply:
        await reply.read()
        began.set()
        with pytest.raises((StreamCut, StreamStalled)):
            await reply.read()


@pytest.mark.parametrize(
    "kind", ["text/html", "text/plain", "application/octet-stream", "video/mp4"]
)
async def test_a_success_of_another_type_is_no_answer(
    http: ProviderHttp, host: Host, kind: str
) -> None:
    """F-41: a page of something in between."""
    host.script = [answers(b"<html>", headers={"Content-Type": kind})]
    with pytest.raises(AnswerMalformed):
        await post(http)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_malformed(
    http: ProviderHttp, host: Host, raw: bytes
) -> None:
    """F-41: empty, truncated, of another shape, or nested without end."""
    host.script = [answers(raw)]
    with pytest.raises(AnswerMalformed):
        await http.get("credits")


async def test_a_body_has_a_bound(
    http: ProviderHttp, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound counts bytes while they come."""
    monkeypatch.setattr("bot.limits.JSON_BODY_BYTES_MAX", 1_000)
    host.script = [answers(b'{"a": "' + b"x" * 1_000 + b'"}')]
    with pytest.raises(AnswerMalformed):
        await http.get("credits")


async def test_an_error_body_without_end_does_not_hold_us(make_http: MakeHttp, host: Host) -> None:
    """The status names the error when its body does not come."""
    gate = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=401)
        await response.prepare(request)
        await response.write(b'{"error":')
        await gate.wait()
        return response

    host.script = [endless]
    with pytest.raises(InvalidApiKey):
        await post(make_http(timeouts=Timeouts(error_body_s=0.05)))
    gate.set()


async def test_a_huge_error_body_is_read_in_part(http: ProviderHttp, host: Host) -> None:
    """F-67: a megabyte of error text costs its first 64 KiB."""
    host.script = [answers(b" " * 1_000_000 + b"{}", status=500)]
    with pytest.raises(ProviderInternalError):
        await post(http)


# --- Silence -----------------------------------------------------------------------------------


async def test_a_stream_without_bytes_is_stalled(make_http: MakeHttp, host: Host) -> None:
    """F-60, with a short bound; what came before it was delivered."""
    gate = asyncio.Event()

    async def hang(_request: web.Request) -> None:
        await gate.wait()

    host.script = [streams(b": hello\n\n", then=hang)]
    http = make_http(timeouts=Timeouts(idle_s=0.05))
    async with http.post("responses", {"stream": True}) as reply:
        assert await reply.read() == b": hello\n\n"
        with pytest.raises(StreamStalled) as caught:
            await reply.read()
    assert caught.value.idle_s == 0.05
    gate.set()


async def test_an_answer_without_end_is_cut(make_http: MakeHttp, host: Host) -> None:
    """The whole answer has a bound as well as each silence."""
    gate = asyncio.Event()

    async def hang(_request: web.Request) -> None:
        await gate.wait()

    host.script = [streams(b": hello\n\n", then=hang)]
    with pytest.raises(StreamCut):
        await post(make_http(timeouts=Timeouts(total_s=0.05)))
    gate.set()


async def test_a_host_that_never_answers_loses_the_answer(make_http: MakeHttp, host: Host) -> None:
    """F-46: the request has left, so its fate is unknown and it is not repeated."""
    gate = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response()

    host.script = [silent]
    with pytest.raises(AnswerLost):
        await post(make_http(timeouts=Timeouts(head_s=0.05)))
    assert len(host.seen) == 1
    gate.set()


async def test_a_cancelled_reader_closes_its_connection(http: ProviderHttp, host: Host) -> None:
    """A stopped turn leaves nothing open."""
    gate, gone = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.Request) -> None:
        try:
            await gate.wait()
        finally:
            gone.set()

    host.script = [streams(b": hello\n\n", then=hang)]
    began = asyncio.Event()

    async def read() -> None:
        async with http.post("responses", {"stream": True}) as reply:
            await reply.read()
            began.set()
            await reply.read()

    task = asyncio.create_task(read())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await gone.wait()
