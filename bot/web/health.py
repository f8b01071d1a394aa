"""`/healthz`: the process turns. `/readyz`: it can serve members. Neither says more (C-11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from bot.web.site import GET, Answer, Site

Readiness = Callable[[], Awaitable[bool]]

_OK = Answer(status=200, text="ok\n")
_NOT_READY = Answer(status=503, text="not ready\n")


def add_health_routes(site: Site, *, ready: Readiness) -> None:
    """Both answer 200 `ok` or 503 `not ready` as plain text."""

    async def healthz(_request: web.BaseRequest) -> Answer:
        return _OK

    async def readyz(_request: web.BaseRequest) -> Answer:
        return _OK if await ready() else _NOT_READY

    site.add(GET, "/healthz", healthz)
    site.add(GET, "/readyz", readyz)
