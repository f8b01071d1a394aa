"""What every endpoint does first and last: the key, the body, the journal, documented refusals."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from sandbox.provider.account import Entry, Journal
from sandbox.provider.delivery import ClientLeft
from sandbox.provider.errors import ApiError, Refusal
from sandbox.provider.wire import Json, dumps

SECRET_CHARS_SHOWN: Final = 3
"""Of a key in the journal: `sk-`."""

HTML_502: Final = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>"
)


class Desk:
    """Notes each request, and gives refusals their documented form."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def journalled(
        self, request: web.Request, serve: Callable[[Entry], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        entry = self._journal.open(request.method, request.path, shown_headers(request.headers))
        try:
            response = await serve(entry)
        except Refusal as error:
            entry.status = error.status
            entry.outcome = "refused"
            return error_response(error)
        except ClientLeft:
            entry.outcome = "client_left"
            return web.Response(status=499)
        except Exception:
            entry.status = 500
            entry.outcome = "bug"
            raise
        entry.status = response.status
        if entry.outcome == "running":
            entry.outcome = "sent"
        return response


def authorise(request: web.Request) -> None:
    """Any key that starts with `sk-` is good; raises 401 otherwise."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.startswith("sk-") or len(key) <= len("sk-"):
        raise ApiError("invalid_api_key")


async def read_json(request: web.Request, entry: Entry) -> Json:
    """The body, which must be a JSON object labelled as such; raises 400."""
    if request.content_type != "application/json":
        raise ApiError("invalid_request", "Content-Type must be application/json.")
    raw = await request.read()
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ApiError("invalid_request", "The body is not valid JSON.") from error
    entry.keep_body(raw, body)
    if not isinstance(body, dict):
        raise ApiError("invalid_request", "The body must be a JSON object.")
    return body


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """All headers, the key hidden."""
    shown = dict(headers)
    if key := shown.get("Authorization"):
        scheme, _, secret = key.partition(" ")
        shown["Authorization"] = f"{scheme} {secret[:SECRET_CHARS_SHOWN]}…"
    return shown


def error_response(error: Refusal, *, status: int | None = None) -> web.Response:
    return web.json_response(
        error.body(), status=status or error.status, headers=error.headers(), dumps=dumps
    )
