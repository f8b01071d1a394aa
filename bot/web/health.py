"""`/healthz`: the process turns. `/readyz`: it can serve members. Neither says more (C-11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

Readiness = Callable[[], Awaitable[bool]]


def add_health_routes(app: web.Application, *, ready: Readiness) -> None:
    """Both answer 200 `ok` or 503 `not ready` as plain text."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        if await ready():
            return web.Response(text="ok\n")
        return web.Response(text="not ready\n", status=503)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
