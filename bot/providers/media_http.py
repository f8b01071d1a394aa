"""The two requests of media that `ProviderHttp` has no form for: a create, and a film's bytes.

A create pays, nobody can ask afterwards whether it did, and no key makes it repeatable. So it is
one request on a connection of its own: no pooled one that may be stale, no retry, no redirect
(decision 2 of reliability.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from bot import limits
from bot.errors import AnswerLost, AnswerMalformed, ProviderUnreachable
from bot.providers.base import Content
from bot.providers.classify import CreateAnswer
from bot.providers.http import ProviderHttp

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FILM_HEAD_BYTES = 12
"""Enough to see the marks below."""


async def send_create(
    http: ProviderHttp,
    path: str,
    body: bytes | aiohttp.FormData,
    *,
    content_type: str | None = None,
) -> CreateAnswer:
    """Send once, and return whatever came of it; raises nothing of the wire.

    `content_type` is None for a form, which names its own boundary (trap 42).
    """
    url, headers = http.target(path, accept="application/json")
    if content_type is not None:
        headers["Content-Type"] = content_type
    connected = False

    async def on_connected(*_: object) -> None:
        nonlocal connected
        connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(on_connected)
    status: int | None = None
    kind = ""
    retry_after_s: float | None = None
    received = bytearray()
    try:
        async with asyncio.timeout(http.timeouts.create_s), _fresh_session(trace) as session:
            request = session.post(url, data=body, headers=headers, allow_redirects=False)
            async with request as response:
                status = response.status
                kind = response.headers.get("Content-Type", "")
                retry_after_s = http.asked_delay_s(response.headers.get("Retry-After"))
                while len(received) <= limits.CREATE_BODY_BYTES_MAX and (
                    chunk := await response.content.readany()
                ):
                    received += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        # What was read so far is the evidence; `connected` says whether anything left.
        pass
    return CreateAnswer(
        connected=connected,
        status=status,
        content_type=kind,
        body=bytes(received[: limits.CREATE_BODY_BYTES_MAX]),
        retry_after_s=retry_after_s,
    )


def _fresh_session(trace: aiohttp.TraceConfig) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=1),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=limits.CONNECT_TIMEOUT_S, sock_connect=limits.CONNECT_TIMEOUT_S
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[trace],
    )


@asynccontextmanager
async def open_content(http: ProviderHttp, path: str) -> AsyncIterator[Content]:
    """Open a film that only our key can read. Raises `ProviderError`.

    Redirects are followed within the key's own origin only (rule 4 of providers.md 3.2); one that
    leads elsewhere comes back as `Content.redirect_url`.
    """
    response, elsewhere = await _follow(http, path)
    try:
        if elsewhere is not None:
            yield Content(redirect_url=str(elsewhere), chunks=_Nothing())
        else:
            deadline_s = asyncio.get_running_loop().time() + http.timeouts.content_s
            yield await _content(http, response, deadline_s)
    finally:
        response.close()


async def _follow(http: ProviderHttp, path: str) -> tuple[aiohttp.ClientResponse, URL | None]:
    """Return the answer behind the redirects, or the one that leads to another origin."""
    url, headers = http.target(path, accept="video/*")
    origin = url.origin()
    for _ in range(limits.CONTENT_REDIRECTS_MAX + 1):
        try:
            async with asyncio.timeout(http.timeouts.get_s):
                response = await http.session.get(url, headers=headers, allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ProviderUnreachable(provider=http.provider) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise AnswerLost(provider=http.provider) from error
        if response.status not in _REDIRECTS:
            return response, None
        response.close()
        url = _next(http, response)
        if url.origin() != origin:
            return response, url
    raise AnswerMalformed(provider=http.provider, code="redirect_loop")


def _next(http: ProviderHttp, response: aiohttp.ClientResponse) -> URL:
    malformed = AnswerMalformed(provider=http.provider, status=response.status, code="redirect")
    try:
        url = response.url.join(URL(response.headers["Location"]))
    except (KeyError, ValueError) as error:
        raise malformed from error
    if url.scheme not in {"http", "https"} or not url.host or url.user is not None:
        raise malformed
    return url


async def _content(
    http: ProviderHttp, response: aiohttp.ClientResponse, deadline_s: float
) -> Content:
    if response.status >= 400:
        raise await http.failure_of(response, model=None)
    kind = response.content_type
    if response.status not in {200, 206} or not (
        kind.startswith("video/") or kind.endswith("/octet-stream")
    ):
        # Rule 8: JSON and HTML come with status 200, too.
        raise AnswerMalformed(provider=http.provider, status=response.status, code="no_video")
    size = response.content_length
    if size is not None and size > limits.CONTENT_BYTES_MAX:
        raise AnswerMalformed(provider=http.provider, status=response.status, code="too_large")
    return Content(content_type=kind, size_bytes=size, chunks=_film(http, response, deadline_s))


async def _film(
    http: ProviderHttp, response: aiohttp.ClientResponse, deadline_s: float
) -> AsyncIterator[bytes]:
    """Yield the bytes once their first ones look like a film."""
    head = b""
    size = 0
    seen = False
    while chunk := await _chunk(http, response, deadline_s):
        size += len(chunk)
        if size > limits.CONTENT_BYTES_MAX:
            raise AnswerMalformed(provider=http.provider, code="too_large")
        if seen:
            yield chunk
            continue
        head += chunk
        if len(head) >= _FILM_HEAD_BYTES:
            seen = True
            if not (head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3")):  # MP4, WebM
                raise AnswerMalformed(provider=http.provider, code="no_video")
            yield head
    if not seen:
        raise AnswerMalformed(provider=http.provider, code="no_video")


async def _chunk(http: ProviderHttp, response: aiohttp.ClientResponse, deadline_s: float) -> bytes:
    idle_s = asyncio.get_running_loop().time() + http.timeouts.content_idle_s
    try:
        async with asyncio.timeout_at(min(idle_s, deadline_s)):
            return await response.content.readany()
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise AnswerLost(provider=http.provider) from error


class _Nothing:
    """No bytes at all."""

    def __aiter__(self) -> _Nothing:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration
