"""The way of every bot request: log, faults, token, rate limits, handler, answer."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from aiohttp import BodyPartReader, web

from sandbox.discord.attachments import Upload
from sandbox.discord.compression import dumps
from sandbox.discord.core import Core
from sandbox.discord.errors import (
    ApiError,
    Json,
    form_error,
    not_found,
    too_large,
    unauthorized,
)
from sandbox.discord.faults import Fault
from sandbox.discord.ratelimits import ORDINARY, Rule
from sandbox.discord.requestlog import Entry

# --- limits ------------------------------------------------------------------------------------
REQUEST_BYTES_MAX: Final = 25 * 1024 * 1024
"""Discord's limit for a whole request (reliability.md 1.4)."""
PARTS_MAX: Final = 20
"""Ten files, `payload_json`, and room for a client that sends fields one by one."""

API: Final = "/api/v10"
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie"})
_log = logging.getLogger(__name__)


class Auth(Enum):
    """What a route asks for."""

    BOT = "bot"  # the bot token in the Authorization header
    PATH = "path"  # a token in the path; exempt from the global limit
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One parsed request. `body` is None, an object or a list."""

    method: str
    params: dict[str, str]
    query: dict[str, str]
    body: Any
    uploads: tuple[Upload, ...] = ()

    def id(self, name: str) -> int:
        """A snowflake of the path, or 50035."""
        return snowflake(self.params[name], (name,))

    @property
    def data(self) -> Json:
        """The body as an object; 50035 when it is none."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise form_error((), "MODEL_TYPE_CONVERT", "Only dictionaries may be used.")
        return self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a handler answers; without a body the status is 204."""

    body: Any = None
    status: int = 200


Handler = Callable[[Core, Call], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method and path below /api/v10.

    `known` are the body's properties, `known_data` those of its `data`, or of each element when
    the body is a list.
    """

    method: str
    path: str
    handler: Handler
    rule: Rule | None = ORDINARY
    auth: Auth = Auth.BOT
    known: frozenset[str] | None = None
    known_data: frozenset[str] | None = None


def snowflake(value: Any, path: tuple[str | int, ...]) -> int:
    """An id from the wire: a string or an integer."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise form_error(path, "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
    return int(text)


def mount(app: web.Application, core: Core, routes: list[Route]) -> None:
    """Add the routes and the answer for everything else below /api/v10."""
    for route in routes:
        app.router.add_route(route.method, API + route.path, _endpoint(core, route))
    rest = Route(method="*", path="/{tail:.*}", handler=_unknown, rule=None, auth=Auth.NONE)
    app.router.add_route("*", API + rest.path, _endpoint(core, rest))


def _unknown(_core: Core, _call: Call) -> Reply:
    raise not_found()


def _endpoint(core: Core, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(API)
        entry = core.log.open(
            method=request.method,
            path=path,
            query=dict(request.query),
            headers={
                key: value
                for key, value in request.headers.items()
                if key.lower() not in _SECRET_HEADERS
            },
            at_ms=core.clock.now_ms(),
        )
        entry.route = None if route.handler is _unknown else route.path
        fault = core.faults.take(request.method, path)
        response: web.Response | None = None
        if fault is not None and fault.delay_s:
            await core.clock.sleep(fault.delay_s)
        if fault is not None and not fault.after_effect and fault.answers:
            await _log_body(request, entry)
            response = _spoil(request, fault)
        if response is None:
            response = await _answer(core, route, request, entry)
            if fault is not None and fault.after_effect:
                response = _spoil(request, fault) or response
        entry.status = response.status
        if response.status in {401, 403, 429}:
            core.limiter.note_invalid()
        return response

    return endpoint


def _spoil(request: web.Request, fault: Fault) -> web.Response | None:
    if fault.drop:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=fault.status or 500)
    return fault.answer() if fault.status is not None else None


async def _log_body(request: web.Request, entry: Entry) -> None:
    try:
        await _read(request, entry)
    except (ApiError, ConnectionError):
        entry.body = None


async def _answer(core: Core, route: Route, request: web.Request, entry: Entry) -> web.Response:
    headers: dict[str, str] = {}
    try:
        uploads = await _read(request, entry)
        _note_unknown(route, entry)
        _authorize(core, route, request)
        if route.auth is Auth.BOT:
            core.limiter.take_global()
        if route.rule is not None:
            headers = core.limiter.take(
                route=f"{route.method} {route.path}", major=_major(request), rule=route.rule
            )
        call = Call(
            method=request.method,
            params=dict(request.match_info),
            query=dict(request.query),
            body=entry.body,
            uploads=uploads,
        )
        reply = route.handler(core, call)
    except ApiError as error:
        entry.code = error.code
        return _json(error.status, error.body(), headers | error.headers)
    except Exception:  # noqa: BLE001 -- a mistake of ours must reach the log that tests read
        entry.error = traceback.format_exc()
        _log.exception("the sandbox failed on %s %s", request.method, entry.path)
        return _json(500, {"message": "500: Internal Server Error", "code": 0}, headers)
    if reply.body is None:
        return web.Response(status=204, headers=headers)
    return _json(reply.status, reply.body, headers)


def _json(status: int, body: Any, headers: dict[str, str]) -> web.Response:
    # discord.py parses JSON only under exactly this type, without a charset (discord.md).
    return web.Response(
        status=status,
        body=dumps(body).encode(),
        headers=headers | {"Content-Type": "application/json"},
    )


def _authorize(core: Core, route: Route, request: web.Request) -> None:
    if route.auth is Auth.BOT and request.headers.get("Authorization") != f"Bot {core.token}":
        raise unauthorized()


def _major(request: web.Request) -> str:
    names = ("channel_id", "guild_id", "webhook_id", "webhook_token")
    return "+".join(request.match_info[name] for name in names if name in request.match_info)


async def _read(request: web.Request, entry: Entry) -> tuple[Upload, ...]:
    """Read the body into `entry.body` and return the uploaded files."""
    if (request.content_length or 0) > REQUEST_BYTES_MAX:
        raise too_large()
    if request.content_type == "multipart/form-data":
        return await _read_multipart(request, entry)
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > REQUEST_BYTES_MAX:
            raise too_large()
    if raw:
        entry.body = _parse(bytes(raw))
    return ()


async def _read_multipart(request: web.Request, entry: Entry) -> tuple[Upload, ...]:
    uploads: list[Upload] = []
    left = REQUEST_BYTES_MAX
    reader = await request.multipart()
    for _ in range(PARTS_MAX):
        part = await reader.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            continue
        data = bytearray()
        while chunk := await part.read_chunk():
            data += chunk
            if len(data) > left:
                raise too_large()
        left -= len(data)
        if part.name == "payload_json":
            entry.body = _parse(bytes(data))
        elif part.filename is not None:
            upload = Upload(
                name=part.name or "",
                filename=part.filename,
                data=bytes(data),
                content_type=part.headers.get("Content-Type"),
            )
            uploads.append(upload)
            entry.files.append(
                {"name": upload.name, "filename": upload.filename, "size": len(upload.data)}
            )
    return tuple(uploads)


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError as error:
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from error


def _note_unknown(route: Route, entry: Entry) -> None:
    body = entry.body
    if route.known is not None and isinstance(body, dict):
        entry.unknown = sorted(set(body) - route.known)
    if route.known_data is None:
        return
    if isinstance(body, list):
        inner = [(f"[{index}]", one) for index, one in enumerate(body)]
    else:
        inner = [("data", body.get("data"))] if isinstance(body, dict) else []
    for place, one in inner:
        if isinstance(one, dict):
            entry.unknown += [f"{place}.{key}" for key in sorted(set(one) - route.known_data)]
