"""Serve the page and pass its provider switches on to the provider's own port.

The page is static: plain ES modules and style sheets that speak to `/control`. It stands under
one origin, so that its Content-Security-Policy can forbid every other one; the provider listens
on another port, hence `/control/provider/*`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

# How long the provider's control may take: it only flips switches in memory.
PROXY_TIMEOUT_S: Final = 10.0
# The provider's list of requests is the largest answer that passes through.
PROXY_BODY_BYTES_MAX: Final = 8 * 1024 * 1024

# Names under which a page of this machine may call the switches; any other name that resolves to
# loopback would make a foreign page same-origin.
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

STATIC: Final = Path(__file__).parent / "static"

#: The types are written down here because the machine's own table may differ, and a browser
#: refuses a module that is not served as JavaScript.
CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

DIRECTIVES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "media-src": "'self'",
    "connect-src": "'self'",
    # default-src does not cover these three.
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
POLICY: Final = "; ".join(f"{name} {value}" for name, value in DIRECTIVES.items())

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A new version of the page must not meet modules of the old one.
    "Cache-Control": "no-cache",
}

type_of = CONTENT_TYPES.__getitem__


def page_files() -> dict[str, Path]:
    """The files of the page by their name below `static/`, always with forward slashes."""
    return {
        path.relative_to(STATIC).as_posix(): path
        for path in sorted(STATIC.rglob("*"))
        if path.is_file() and path.suffix in CONTENT_TYPES
    }


def add_page(app: web.Application, provider_url: str | None = None) -> None:
    """Add `/`, `/page/*` and, given the provider's base URL, `/control/provider/*` to `app`.

    `provider_url` is scheme, host and port, such as `http://127.0.0.1:8701`; a request to
    `/control/provider/pace` goes to `/control/pace` there.
    """
    files = page_files()

    def serve(name: str) -> web.FileResponse:
        path = files.get(name)
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={**HEADERS, "Content-Type": type_of(path.suffix)})

    async def index(_request: web.Request) -> web.FileResponse:
        return serve("index.html")

    async def static(request: web.Request) -> web.FileResponse:
        return serve(request.match_info["name"])

    async def config(request: web.Request) -> web.Response:
        return web.json_response(_features(request.app), headers=HEADERS)

    app.router.add_get("/", index)
    app.router.add_get("/page/config.json", config)
    app.router.add_get("/page/{name:.+}", static)
    if provider_url is not None:
        _add_provider_proxy(app, provider_url.rstrip("/"))


def _features(app: web.Application) -> dict[str, bool]:
    """Which switches the page may show: those whose routes exist here."""
    known = {resource.canonical for resource in app.router.resources()}
    return {"provider": PROXY_ROUTE in known, "bot": "/control/bot" in known}


PROXY_ROUTE: Final = "/control/provider/{tail}"
Handler = Callable[[web.Request], Awaitable[web.Response]]


def _add_provider_proxy(app: web.Application, provider_url: str) -> None:
    session_key = web.AppKey("provider_session", aiohttp.ClientSession)

    async def open_session(app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=PROXY_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            app[session_key] = session
            yield

    async def forward(request: web.Request) -> web.Response:
        if request.url.host not in LOOPBACK:
            return web.json_response({"error": "only for this machine"}, status=403)
        target = f"{provider_url}/control/{request.match_info['tail']}"
        body = await request.read()
        headers = {"Content-Type": request.content_type} if body else {}
        try:
            async with request.app[session_key].request(
                request.method, target, params=request.query, data=body or None, headers=headers
            ) as response:
                return web.Response(
                    body=await _bounded(response),
                    status=response.status,
                    headers={"Content-Type": response.headers.get("Content-Type", "text/plain")},
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            facts = {"error": "provider_unreachable", "cause": type(error).__name__}
            return web.json_response(facts, status=502)

    app.cleanup_ctx.append(open_session)
    for method in ("GET", "POST", "PUT", "DELETE"):
        app.router.add_route(method, "/control/provider/{tail:[a-z_/]+}", forward)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, at most `PROXY_BODY_BYTES_MAX` of it; raises HTTPBadGateway above that."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > PROXY_BODY_BYTES_MAX:
            raise web.HTTPBadGateway
    return bytes(body)
