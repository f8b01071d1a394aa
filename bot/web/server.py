"""The one HTTP listener of the bot."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.errors import SettingsInvalid
from bot.limits import (
    WEB_CONNECTIONS_MAX,
    WEB_IDLE_TIMEOUT_S,
    WEB_LINGER_S,
    WEB_SHUTDOWN_TIMEOUT_S,
)
from bot.web.connections import Connections
from bot.web.site import Site


class _OwnFaults(logging.Filter):
    """Lets bugs of ours through, and not each stranger who speaks no HTTP: those come in floods."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


class _Request(web.BaseRequest):
    """One whose answer does not tell strangers what answers them (C-11)."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.popall("Server", None)


# A private name of aiohttp's: its low-level server has no public way to drop a header.
assert hasattr(web.BaseRequest, "_prepare_hook")

_logger = logging.getLogger(__name__)
_logger.addFilter(_OwnFaults())


class WebServer:
    """Serves `site` on `host:port`; port 0 takes a free one."""

    def __init__(
        self,
        site: Site,
        *,
        host: str,
        port: int,
        idle_timeout_s: float = WEB_IDLE_TIMEOUT_S,
        connections_max: int = WEB_CONNECTIONS_MAX,
    ) -> None:
        self._site = site
        self._host = host
        self._port = port
        self._idle_timeout_s = idle_timeout_s
        self._connections_max = connections_max
        self._runner: web.ServerRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; return the port. Raises `SettingsInvalid` when the address cannot be had."""
        loop = asyncio.get_running_loop()

        def request(
            message: Any, payload: Any, protocol: Any, writer: Any, task: Any
        ) -> web.BaseRequest:
            return _Request(message, payload, protocol, writer, task, loop)

        async def handle(request: web.BaseRequest) -> web.Response:
            with connections.answering(request.transport, request.content.is_eof):
                return await self._site.handle(request)

        server = web.Server(
            handle,
            request_factory=request,
            access_log=None,  # C-3: paths carry the secrets of callbacks.
            logger=_logger,
            # F-130: aiohttp would keep an idle or half-sent request for an hour.
            keepalive_timeout=self._idle_timeout_s,
            lingering_time=WEB_LINGER_S,
            auto_decompress=False,  # F-132: nobody unpacks a bomb here.
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=WEB_SHUTDOWN_TIMEOUT_S)
        await self._runner.setup()
        connections = Connections(
            server, limit=self._connections_max, unread_timeout_s=self._idle_timeout_s
        )
        try:
            self._listener = await loop.create_server(
                connections, self._host, self._port, backlog=self._connections_max
            )
        except OSError as error:
            await self._runner.cleanup()
            what = f"cannot listen on {self._host}:{self._port}: {error.strerror or error}"
            raise SettingsInvalid(problems=[{"where": "WEB_PORT", "what": what}]) from error
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
