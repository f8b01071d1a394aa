"""Files of every kind, and a host on loopback that serves them well or badly."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import BaseTestServer, TestServer

from bot.limits import RESULT_FOLDER_BYTES_MAX
from bot.results.fetcher import Patience, ResultFetcher
from bot.results.folder import ResultFolder

HOST = "127.0.0.1"
QUICK = Patience(connect_s=2.0, stall_s=0.3, image_s=1.0, video_s=1.0, picture_s=1.0)
"""Short waits for hosts that keep us waiting on purpose."""

REST = b"\0" * 200
SAMPLES: dict[str, bytes] = {
    ".png": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + REST,
    ".jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + REST,
    ".webp": b"RIFF\x10\x02\0\0WEBPVP8 " + REST,
    ".gif": b"GIF89a" + REST,
    ".mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + REST,
    ".mov": b"\0\0\0\x14ftypqt  \0\0\2\0qt  " + REST,
    ".webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84webm" + REST,
}
CONTENT_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
}
PNG = SAMPLES[".png"]
MP4 = SAMPLES[".mp4"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FileHost:
    """Answers each path with its handler, and remembers every request it saw."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.requests: list[web.Request] = []
        self._server: BaseTestServer | None = None

    def serve(self, path: str, body: bytes, *, status: int = 200, **headers: str) -> str:
        """Serve `body`; underscores in `headers` are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.Response(body=body, status=status, headers=named)

        return self.on(path, answer)

    def redirect(self, path: str, to: str, *, status: int = 302) -> str:
        return self.serve(path, b"", status=status, Location=to)

    def on(self, path: str, handler: Handler) -> str:
        self.handlers[path] = handler
        return self.url(path)

    def url(self, path: str, *, host: str = HOST) -> str:
        assert self._server is not None
        return f"http://{host}:{self._server.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        handler = self.handlers.get(request.path)
        if handler is None:
            raise web.HTTPNotFound
        return await handler(request)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FileHost]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        # Every loopback address, so that each name of this machine would lead here.
        async with TestServer(app, host="0.0.0.0") as server:
            self._server = server
            yield self


class Zone(AbstractResolver):
    """A name server with a script: each question gets the next of its answers."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - the protocol has it
    ) -> list[ResolveResult]:
        await asyncio.sleep(0)
        self.asked.append(host)
        if not self._answers:
            raise OSError(None, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def raw_host(
    speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A port where `speak` says whatever it likes; every connection is over at the end."""
    spoken: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        spoken.append(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await speak(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, HOST, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        async with asyncio.timeout(5):
            await asyncio.gather(*spoken)


async def folder_in(path: Path, *, folder_bytes_max: int = RESULT_FOLDER_BYTES_MAX) -> ResultFolder:
    directory = path / "results"
    await ResultFolder.open(directory)
    # The machine of a test may have a full disk; `test_folder` looks at that bound.
    return ResultFolder(directory, folder_bytes_max=folder_bytes_max, disk_free_bytes_min=-(10**15))


async def fetcher_in(
    path: Path,
    *,
    allowed: tuple[str, ...] = (HOST,),
    resolver: AbstractResolver | None = None,
    patience: Patience = QUICK,
) -> ResultFetcher:
    return ResultFetcher(
        await folder_in(path), allowed_private_hosts=allowed, resolver=resolver, patience=patience
    )


def left_in(path: Path) -> list[str]:
    """Every name in the folder, hidden ones too."""
    return sorted(entry.name for entry in (path / "results").iterdir())


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
