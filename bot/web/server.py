"""The one HTTP listener of the bot."""

from __future__ import annotations

from aiohttp import web

from bot.errors import SettingsInvalid
from bot.limits import WEB_BODY_BYTES_MAX, WEB_IDLE_TIMEOUT_S, WEB_SHUTDOWN_TIMEOUT_S


class WebServer:
    """Serves `app` on `host:port`; port 0 takes a free one."""

    def __init__(self, app: web.Application, *, host: str, port: int) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,  # C-3: paths will carry callback secrets.
            # F-130: aiohttp would keep an idle or half-sent request for an hour.
            keepalive_timeout=WEB_IDLE_TIMEOUT_S,
            shutdown_timeout=WEB_SHUTDOWN_TIMEOUT_S,
        )
        self._host = host
        self._port = port

    async def start(self) -> int:
        """Listen; return the port. Raises `SettingsInvalid` when the address cannot be had."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            what = f"cannot listen on {self._host}:{self._port}: {error.strerror or error}"
            raise SettingsInvalid(problems=[{"where": "WEB_PORT", "what": what}]) from error
        port: int = self._runner.addresses[0][1]
        return port

    async def close(self) -> None:
        await self._runner.cleanup()


def make_web_app() -> web.Application:
    """An application with our body bound (F-132)."""
    return web.Application(client_max_size=WEB_BODY_BYTES_MAX)
