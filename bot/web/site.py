"""Which handler answers what, and what all others are told (reliability.md 3.5, C-10, C-11).

aiohttp's server calls this directly: its router and its middlewares cost three times what telling
a forgery does (F-134).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

from aiohttp import web

from bot.clock import Clock, SystemClock
from bot.web.refusals import Buckets, RefusalLog, network_of

GET = frozenset({"GET", "HEAD"})
POST = frozenset({"POST"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler wants to be said. `reason` is counted in the log; it is a word of ours.

    Without `text` an error says its own name. After `closes` nothing more is read.
    """

    status: int
    text: str | None = None
    reason: str | None = None
    closes: bool = False


Handler = Callable[[web.BaseRequest], Awaitable[Answer]]

_UNKNOWN_PATH = Answer(status=404, reason="unknown_path")
_METHOD = Answer(status=405, reason="method")
_TOO_MANY = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    methods: frozenset[str]
    handler: Handler


class Site:
    """What is served. A path is told by its first segment and the number of its segments."""

    def __init__(self, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._routes: dict[tuple[str, int], _Route] = {}
        self._buckets = Buckets(clock)
        self._log = RefusalLog(clock)

    def add(self, methods: frozenset[str], path: str, handler: Handler) -> None:
        """Let `handler` answer `path`, such as `/healthz` or `/callbacks/{job}/{mac}`."""
        key = _key(path)
        assert key not in self._routes
        self._routes[key] = _Route(methods=methods, handler=handler)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request; 429 to a network whose refusals have become too many."""
        route = self._routes.get(_key(request.rel_url.raw_path))
        allow = None
        if route is None:
            answer = _UNKNOWN_PATH
        elif request.method not in route.methods:
            answer = _METHOD
            allow = ", ".join(sorted(route.methods))
        else:
            answer = await route.handler(request)
        if answer.reason is not None:
            self._log.note(answer.reason)
        status = answer.status
        # A trouble of ours is not counted against who told us something.
        if 400 <= status < 500 and not self._buckets.take(network_of(request.remote)):
            status = _TOO_MANY
        return _response(status, answer, allow=allow)


def _key(raw_path: str) -> tuple[str, int]:
    # The segments as they were sent: an escaped slash or digit is another spelling.
    segments = raw_path.split("/")
    if segments[0] or len(segments) == 1:
        return "", 0  # `*`, or an authority
    return segments[1], len(segments)


@cache
def _error_text(status: int) -> str:
    return f"{status}: {HTTPStatus(status).phrase}"


def _response(status: int, answer: Answer, *, allow: str | None) -> web.Response:
    text = answer.text
    if text is None and status >= 400:
        text = _error_text(status)
    if text is None:
        response = web.Response(status=status)
    else:
        response = web.Response(
            status=status,
            body=text.encode(),
            headers={"Content-Type": "text/plain; charset=utf-8"},
        )
    if allow is not None:
        response.headers["Allow"] = allow
    if answer.closes:
        response.force_close()
    return response
