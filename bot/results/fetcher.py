"""The one way to files that others keep (C-12): results of tasks, and members' pictures (C-15).

Whatever a host answers ends as a file of a known kind, or as one of two errors: it cannot be had
now (`ResultUnavailable`), or it will never be what we want (`ResultUnusable`). Only the host is
logged; the rest of a presigned address is a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from bot import limits
from bot.errors import (
    AttachmentTooLarge,
    AttachmentUnsupported,
    PictureGone,
    ResultUnavailable,
    ResultUnusable,
)
from bot.results.folder import BYTES_MAX, ResultFolder
from bot.results.gate import Gate, guarded_session
from bot.results.guard import DISCORD_HOSTS, Forbidden, Guard, Target
from bot.results.magic import file_type
from bot.results.records import Fetched, Picture
from storage.types import JobKind

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "Accept": "image/*, video/*, */*;q=0.1",
    "Accept-Encoding": "identity",
    "User-Agent": "Atelier",
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long we wait, in seconds. Tests shorten it; production never does."""

    connect_s: float = limits.CONNECT_TIMEOUT_S
    stall_s: float = limits.RESULT_STALL_TIMEOUT_S
    image_s: float = limits.RESULT_IMAGE_TIMEOUT_S
    video_s: float = limits.RESULT_VIDEO_TIMEOUT_S
    picture_s: float = limits.PICTURE_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An answer whose head was good. `size_bytes` is what it declared, if anything."""

    chunks: AsyncIterator[bytes]
    size_bytes: int


class ResultFetcher:
    """Fetches into `folder`. `resolver` replaces the system's where a test needs another DNS."""

    def __init__(
        self,
        folder: ResultFolder,
        *,
        allowed_private_hosts: Iterable[str] = (),
        resolver: AbstractResolver | None = None,
        patience: Patience | None = None,
    ) -> None:
        hosts = frozenset(allowed_private_hosts)
        self._folder = folder
        self._anywhere = Guard(allowed_private_hosts=hosts)
        self._discord = Guard(allowed_private_hosts=hosts, only_hosts=DISCORD_HOSTS)
        self._resolver = resolver
        self._patience = patience or Patience()

    async def secure(self, url: str, *, kind: JobKind) -> Fetched:
        """Fetch a result, as a task that we read ourselves named it, into the folder.

        Raises `ResultUnavailable` for what may pass (F-53, F-56) and `ResultUnusable` for what
        will not: a forbidden address, a file of another kind or too large (F-54, F-55).
        """
        patience = self._patience
        total_s = patience.image_s if kind is JobKind.IMAGE else patience.video_s
        async with self._opened(url, self._anywhere, total_s=total_s) as body:
            if body.size_bytes > BYTES_MAX[kind]:
                raise ResultUnusable("too_large")
            return await self._folder.keep(body.chunks, kind=kind)

    async def fetch_image(self, url: str) -> Picture:
        """Fetch a member's picture from Discord's CDN into memory (C-15).

        Raises `PictureGone`, `AttachmentTooLarge`, `AttachmentUnsupported`.
        """
        try:
            async with self._opened(url, self._discord, total_s=self._patience.picture_s) as body:
                data = await _in_memory(body)
        except (ResultUnavailable, ResultUnusable) as error:
            raise PictureGone from error
        found = file_type(data)
        if found is None or found.kind is not JobKind.IMAGE:
            raise AttachmentUnsupported(
                filename="picture",
                content_type="unknown",
                model="The model",
                accepted=("PNG", "JPEG", "WebP", "GIF"),
            )
        return Picture(
            data=data, content_type=found.content_type, filename=f"picture{found.extension}"
        )

    @asynccontextmanager
    async def _opened(self, url: str, guard: Guard, *, total_s: float) -> AsyncIterator[Body]:
        """Follow `url` to an answer with a body; each hop is judged and connected to anew."""
        deadline_s = asyncio.get_running_loop().time() + total_s
        target: Target | None = None
        for _ in range(limits.RESULT_REDIRECTS_MAX + 1):
            target = _checked(guard, url, target)
            gate = Gate(target)
            async with guarded_session(
                gate, resolver=self._resolver, connect_timeout_s=self._patience.connect_s
            ) as session:
                response = await self._ask(session, gate, target, deadline_s)
                try:
                    if response.status not in _REDIRECTS:
                        yield self._body(response, deadline_s)
                        return
                    url = _location(response)
                finally:
                    response.close()
        raise ResultUnusable("redirects")

    async def _ask(
        self, session: aiohttp.ClientSession, gate: Gate, target: Target, deadline_s: float
    ) -> aiohttp.ClientResponse:
        stall_s = asyncio.get_running_loop().time() + self._patience.stall_s
        try:
            async with asyncio.timeout_at(min(stall_s, deadline_s)):
                return await session.get(target.url, headers=_HEADERS, allow_redirects=False)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            if gate.refused is None:
                raise ResultUnavailable(type(error).__name__) from error
        _log.warning("result_refused", host=target.host, reason=gate.refused.reason, fault="C-12")
        raise ResultUnusable(gate.refused.reason) from gate.refused

    def _body(self, response: aiohttp.ClientResponse, deadline_s: float) -> Body:
        if response.status != 200:
            raise ResultUnavailable(str(response.status))
        encodings = response.headers.getall("Content-Encoding", [])
        if any(encoding.lower() != "identity" for encoding in encodings):
            # We asked for none; what unpacks to gigabytes is not unpacked here (F-132).
            raise ResultUnusable("encoding")
        return Body(
            chunks=self._chunks(response, deadline_s), size_bytes=response.content_length or 0
        )

    async def _chunks(
        self, response: aiohttp.ClientResponse, deadline_s: float
    ) -> AsyncIterator[bytes]:
        """Yield the body; a stall, a late end and a cut are all `ResultUnavailable` (F-56)."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                stall_s = loop.time() + self._patience.stall_s
                async with asyncio.timeout_at(min(stall_s, deadline_s)):
                    chunk = await response.content.readany()
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                raise ResultUnavailable(type(error).__name__) from error
            if not chunk:
                return
            yield chunk


def _checked(guard: Guard, url: str, came_from: Target | None) -> Target:
    try:
        return guard.check_url(url, came_from=came_from)
    except Forbidden as error:
        host = came_from.host if came_from is not None else None
        _log.warning("result_refused", came_from=host, reason=error.reason, fault="C-12")
        raise ResultUnusable(error.reason) from error


def _location(response: aiohttp.ClientResponse) -> str:
    """Where a redirect leads, as text: the guard parses it anew."""
    try:
        location = response.headers["Location"]
        return str(response.url.join(URL(location, encoded=location.isascii())))
    except (KeyError, ValueError) as error:
        raise ResultUnusable("redirect") from error


async def _in_memory(body: Body) -> bytes:
    bytes_max = limits.ATTACHMENT_BYTES_MAX
    data = bytearray()
    size_bytes = body.size_bytes
    if size_bytes <= bytes_max:
        async for chunk in body.chunks:
            data += chunk
            if len(data) > bytes_max:
                break
        size_bytes = max(size_bytes, len(data))
    if size_bytes > bytes_max:
        raise AttachmentTooLarge(filename="picture", size_bytes=size_bytes, limit_bytes=bytes_max)
    return bytes(data)
