"""The one HTTP listener of the bot."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.clock import Clock, SystemClock
from bot.errors import SettingsInvalid
from bot.limits import (
    WEB_BODY_BYTES_MAX,
    WEB_CONNECTIONS_MAX,
    WEB_IDLE_TIMEOUT_S,
    WEB_LINGER_S,
    WEB_SHUTDOWN_TIMEOUT_S,
)
from bot.web.connections import Connections
from bot.web.refusals import limiting


class _OwnFaults(logging.Filter):
    """Lets bugs of ours through, and not each stranger who speaks no HTTP: those come in floods."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_logger = logging.getLogger(__name__)
_logger.addFilter(_OwnFaults())


class WebServer:
    """Serves `app` on `host:port`; port 0 takes a free one."""

    def __init__(
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        idle_timeout_s: float = WEB_IDLE_TIMEOUT_S,
        connections_max: int = WEB_CONNECTIONS_MAX,
    ) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,  # C-3: paths carry the secrets of callbacks.
            logger=_logger,
            # F-130: aiohttp would keep an idle or half-sent request for an hour.
            keepalive_timeout=idle_timeout_s,
            lingering_time=WEB_LINGER_S,
            auto_decompress=False,  # F-132: nobody unpacks a bomb here.
            shutdown_timeout=WEB_SHUTDOWN_TIMEOUT_S,
        )
        self._host = host
        self._port = port
        self._idle_timeout_s = idle_timeout_s
        self._connections_max = connections_max
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; return the port. Raises `SettingsInvalid` when the address cannot be had."""
        await self._runner.setup()
        assert self._runner.server is not None
        connections = Connections(
            self._runner.server,
            limit=self._connections_max,
            unread_timeout_s=self._idle_timeout_s,
        )
        loop = asyncio.get_running_loop()
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
        await self._runner.cleanup()


def make_web_app(*, clock: Clock | None = None) -> web.Application:
    """An application with our bounds for bodies (F-132) and refusals (C-10), and without a name."""
    app = web.Application(
        client_max_size=WEB_BODY_BYTES_MAX, middlewares=[limiting(clock or SystemClock())]
    )
    app.on_response_prepare.append(_hide_versions)
    return app


async def _hide_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """C-11: strangers need not know what answers them."""
    response.headers.popall("Server", None)
