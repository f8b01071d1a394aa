"""Keeps us far from Discord's ban: counts refused requests, and stops sending (S-13; F-85, F-88).

Discord bans an address for a while after 10,000 answers of 401, 403 or 429 in ten minutes; those
with scope `shared` do not count (reliability.md 1.4). At a fifth of it only results are delivered,
at half of it nothing is sent for ten minutes, and an answer of Cloudflare's instead of Discord's
means that the ban is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
import structlog

from bot.clock import Clock
from bot.discordio import endpoints
from bot.limits import (
    BAN_PAUSE_S,
    INVALID_REQUESTS_SPARING,
    INVALID_REQUESTS_STOP,
    INVALID_WINDOW_S,
)

_INVALID = frozenset({401, 403, 429})

_delivering: ContextVar[bool] = ContextVar("delivering", default=False)
_tries: ContextVar[Tries | None] = ContextVar("tries", default=None)

_log = structlog.get_logger(__name__)


class RestLevel(StrEnum):
    OPEN = "open"
    SPARING = "sparing"
    """Results only."""
    STOPPED = "stopped"


class RestPaused(aiohttp.ClientConnectionError):
    """Nothing was sent: too many requests were refused before. Raised through discord.py."""

    def __init__(self, *, retry_after_s: float) -> None:
        super().__init__(f"paused for {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class Tries:
    """What discord.py sent during one call: it tries limits, 5xx and resets again by itself."""

    sent: int = 0
    denied: int = 0
    """Those that Discord answered with a 4xx: they had no effect."""

    @property
    def may_be_done(self) -> bool:
        """Whether one had its effect, or may have had it without our hearing of it (F-86)."""
        return self.sent > self.denied


@contextmanager
def counting() -> Iterator[Tries]:
    """What is sent in here is counted apart."""
    tries = Tries()
    counted = _tries.set(tries)
    try:
        yield tries
    finally:
        _tries.reset(counted)


@contextmanager
def delivering(*, is_result: bool) -> Iterator[Tries]:
    """Whatever is sent in here brings a result to its member; yields the count of it."""
    token = _delivering.set(is_result)
    try:
        with counting() as tries:
            yield tries
    finally:
        _delivering.reset(token)


class RestBreaker:
    """The count of one process, and what follows from it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._invalid_s: deque[float] = deque(maxlen=INVALID_REQUESTS_STOP)
        self._stopped_until_s = 0.0
        self._said = RestLevel.OPEN

    @property
    def level(self) -> RestLevel:
        now_s = self._clock.monotonic_s()
        while self._invalid_s and self._invalid_s[0] <= now_s - INVALID_WINDOW_S:
            self._invalid_s.popleft()
        if now_s < self._stopped_until_s:
            return RestLevel.STOPPED
        if len(self._invalid_s) >= INVALID_REQUESTS_SPARING:
            return RestLevel.SPARING
        return RestLevel.OPEN

    def check(self, *, is_result: bool) -> None:
        """Raise `RestPaused` where a request must not leave."""
        level = self.level
        if level is RestLevel.STOPPED:
            raise RestPaused(retry_after_s=self._stopped_until_s - self._clock.monotonic_s())
        if level is RestLevel.SPARING and not is_result:
            freed_s = self._invalid_s[-INVALID_REQUESTS_SPARING] + INVALID_WINDOW_S
            raise RestPaused(retry_after_s=max(freed_s - self._clock.monotonic_s(), 1.0))

    def note(self, status: int, *, is_shared: bool = False, is_ban: bool = False) -> None:
        """Learn from the status of an answer; `is_ban` where Discord itself did not write it."""
        if status not in _INVALID or is_shared:
            return
        self._invalid_s.append(self._clock.monotonic_s())
        if is_ban:
            self._stop("ban")
        elif self.level is not RestLevel.STOPPED and len(self._invalid_s) == INVALID_REQUESTS_STOP:
            self._stop("invalid_requests")
        level = self.level
        if level is not self._said and level is RestLevel.SPARING:
            _log.error("discord_results_only", fault="F-85", invalid=len(self._invalid_s))
        self._said = level

    def _stop(self, cause: str) -> None:
        self._stopped_until_s = self._clock.monotonic_s() + BAN_PAUSE_S
        _log.error("discord_stopped", fault="F-85", cause=cause, pause_s=BAN_PAUSE_S)


def trace(breaker: RestBreaker, *, on_refused: Callable[[], None]) -> aiohttp.TraceConfig:
    """Ask and tell `breaker` around every request of discord.py to the API.

    `on_refused` is called when the bot's own token was refused (F-88): an interaction's token,
    which ends after a quarter of an hour, is no reason.
    """

    async def starts(
        _session: object, _context: object, sent: aiohttp.TraceRequestStartParams
    ) -> None:
        if endpoints.is_api(sent.url):
            breaker.check(is_result=_delivering.get())
            if (tries := _tries.get()) is not None:
                tries.sent += 1

    async def ends(_session: object, _context: object, got: aiohttp.TraceRequestEndParams) -> None:
        if not endpoints.is_api(got.url):
            return
        answer = got.response
        if (tries := _tries.get()) is not None and 400 <= answer.status < 500:
            tries.denied += 1
        breaker.note(
            answer.status,
            is_shared=answer.headers.get("X-RateLimit-Scope") == "shared",
            is_ban=_is_ban(answer),
        )
        if answer.status == 401 and "Authorization" in got.headers:
            on_refused()

    config = aiohttp.TraceConfig()
    config.on_request_start.append(starts)
    config.on_request_end.append(ends)
    return config


def _is_ban(answer: aiohttp.ClientResponse) -> bool:
    """Cloudflare's own page, or its 429 without Discord's proxy in between."""
    if answer.status == 429 and not answer.headers.get("Via"):
        return True
    return answer.status in {403, 429} and answer.content_type == "text/html"
