"""HTTP with one provider: who gets the key, what is tried again, and when an answer is lost.

A POST pays, so it leaves at most once: only a connection that never formed is tried again (F-45,
F-46, trap 49). Reads may be repeated. No redirect is followed and the key goes to the configured
origin only (F-44). Foreign exceptions end here.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from yarl import URL

from bot import limits
from bot.clock import Clock, SystemClock
from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    ProviderError,
    ProviderInternalError,
    ProviderUnreachable,
    RateLimited,
    StreamCut,
    StreamStalled,
    UpstreamError,
)
from bot.providers.failures import from_answer, hidden_failure, retry_after_s
from bot.providers.wire import parse_json

_READ_AGAIN = (
    ProviderUnreachable,
    AnswerLost,
    ProviderInternalError,
    UpstreamError,
    RateLimited,
)
"""What a read may meet once and not the next time (providers.md 1.3)."""


class _Masked(str):
    """A header value that no repr shows: aiohttp's errors carry the request's headers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Tests shorten these; production never does."""

    head_s: float = limits.ANSWER_HEAD_TIMEOUT_S
    idle_s: float = limits.STREAM_IDLE_TIMEOUT_S
    total_s: float = limits.STREAM_TOTAL_TIMEOUT_S
    get_s: float = limits.GET_TIMEOUT_S
    drain_s: float = limits.DRAIN_TIMEOUT_S
    error_body_s: float = limits.ERROR_BODY_TIMEOUT_S
    create_s: float = limits.CREATE_TIMEOUT_S
    content_idle_s: float = limits.CONTENT_IDLE_TIMEOUT_S
    content_s: float = limits.CONTENT_TIMEOUT_S


def make_session() -> aiohttp.ClientSession:
    """Open the one session of the process; call it inside the running loop, and close it.

    No proxy or netrc from the environment, no cookies; `Timeouts` bound what follows the connect.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limits.PROVIDER_CONNECTIONS_MAX),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=limits.CONNECT_TIMEOUT_S, sock_connect=limits.CONNECT_TIMEOUT_S
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


class Reply:
    """One answer whose head said success; whether it streams is its own word (F-59)."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        *,
        provider: str,
        timeouts: Timeouts,
        deadline_s: float,
        clock: Clock,
    ) -> None:
        self._response = response
        self._provider = provider
        self._timeouts = timeouts
        self._deadline_s = deadline_s
        self._clock = clock
        kind = response.content_type
        self.is_stream = kind == "text/event-stream"
        if not (self.is_stream or kind == "application/json" or kind.endswith("+json")):
            # F-41: an HTML page with status 200 comes from something between us and the provider.
            raise AnswerMalformed(provider=provider, status=response.status)

    async def read(self) -> bytes:
        """Return the next bytes as they come, b"" at the end of the body.

        Raises `StreamStalled` or `StreamCut`; for a body that is no stream `AnswerLost`.
        """
        left_s = self._deadline_s - self._clock.monotonic_s()
        lost = StreamCut if self.is_stream else AnswerLost
        try:
            async with asyncio.timeout(max(0.0, min(self._timeouts.idle_s, left_s))):
                # Chunks, not lines: aiohttp's line iteration has a length cap (trap 21).
                return await self._response.content.readany()
        except TimeoutError as error:
            if self.is_stream and self._timeouts.idle_s <= left_s:
                raise StreamStalled(
                    provider=self._provider, idle_s=self._timeouts.idle_s
                ) from error
            raise lost(provider=self._provider) from error
        except (aiohttp.ClientError, OSError) as error:
            raise lost(provider=self._provider) from error

    async def json(self, *, model: str | None = None, enveloped: bool = True) -> Mapping[str, Any]:
        """Read the whole body as an object, with an envelope's failure raised (traps 18, 26).

        A task is no envelope: its `error` is a fact of its own (providers.md 1.2).
        Raises `AnswerMalformed` unless it is a JSON object within the bound.
        """
        malformed = AnswerMalformed(provider=self._provider, status=self._response.status)
        body = bytearray()
        while chunk := await self.read():
            body += chunk
            if len(body) > limits.JSON_BODY_BYTES_MAX:
                raise malformed
        try:
            document = parse_json(bytes(body))
        except ValueError as error:
            raise malformed from error
        if not isinstance(document, dict):
            raise malformed
        if not enveloped:
            return document
        refused = hidden_failure(provider=self._provider, document=document, model=model)
        if refused is not None:
            raise refused
        return document

    async def drain(self) -> None:
        """Read on to the end for a moment: a body left before it costs the connection (trap 20)."""
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(self._timeouts.drain_s):
                while await self._response.content.readany():
                    pass


class ProviderHttp:
    """One host with its key. `base_url` includes the version, such as `https://host/v1`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        provider: str,
        base_url: str,
        api_key: str,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._session = session
        self.provider = provider
        self._base = URL(base_url.rstrip("/") + "/")
        self._authorization = _Masked(f"Bearer {api_key}")
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._timeouts = timeouts or Timeouts()

    def __repr__(self) -> str:
        return f"ProviderHttp({self.provider!r}, {str(self._base.origin())!r})"

    @property
    def timeouts(self) -> Timeouts:
        return self._timeouts

    @property
    def session(self) -> aiohttp.ClientSession:
        return self._session

    def target(self, path: str, *, accept: str) -> tuple[URL, dict[str, str]]:
        """Return where a request goes, and the headers that carry the key there."""
        url = self._base.join(URL(path))
        assert url.origin() == self._base.origin(), "the key stays with its origin"
        return url, {
            "Authorization": self._authorization,
            "Accept": accept,
            # A compressing proxy would hold small events back.
            "Accept-Encoding": "identity",
        }

    def asked_delay_s(self, retry_after: str | None) -> float | None:
        """Read a `Retry-After`."""
        return retry_after_s(retry_after, now_s=self._clock.now_us() / 1_000_000)

    async def get(self, path: str, *, enveloped: bool = True) -> Mapping[str, Any]:
        """Read a JSON object, trying again where that helps. Raises `ProviderError`."""
        tries = self._tries(limits.GET_ATTEMPTS_MAX, _READ_AGAIN)
        return await tries(self._get_once, path, enveloped=enveloped)

    @asynccontextmanager
    async def post(
        self, path: str, body: Mapping[str, Any], *, model: str | None = None
    ) -> AsyncIterator[Reply]:
        """Send one request and hand over its answer. Raises `ProviderError`."""
        # Half a surrogate pair, which Discord lets through, becomes "?": UTF-8 cannot carry it.
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        streams = body.get("stream") is True
        head_s = self._timeouts.head_s if streams else self._timeouts.total_s
        deadline_s = self._clock.monotonic_s() + self._timeouts.total_s
        tries = self._tries(limits.CONNECT_ATTEMPTS_MAX, (ProviderUnreachable,))
        response: aiohttp.ClientResponse = await tries(
            self._send,
            "POST",
            path,
            data=data,
            accept="text/event-stream" if streams else "application/json",
            head_s=head_s,
        )
        async with self._answer(response, deadline_s=deadline_s, model=model) as reply:
            yield reply

    async def _get_once(self, path: str, *, enveloped: bool) -> Mapping[str, Any]:
        deadline_s = self._clock.monotonic_s() + self._timeouts.get_s
        response = await self._send(
            "GET", path, data=None, accept="application/json", head_s=self._timeouts.get_s
        )
        async with self._answer(response, deadline_s=deadline_s, model=None) as reply:
            return await reply.json(enveloped=enveloped)

    async def _send(
        self, method: str, path: str, *, data: bytes | None, accept: str, head_s: float
    ) -> aiohttp.ClientResponse:
        """Send once and wait for the head of the answer."""
        url, headers = self.target(path, accept=accept)
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(head_s):
                return await self._session.request(
                    method, url, data=data, headers=headers, allow_redirects=False
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ProviderUnreachable(provider=self.provider) from error
        except aiohttp.ClientResponseError as error:  # bytes that are no HTTP
            raise AnswerMalformed(provider=self.provider) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise AnswerLost(provider=self.provider) from error

    @asynccontextmanager
    async def _answer(
        self, response: aiohttp.ClientResponse, *, deadline_s: float, model: str | None
    ) -> AsyncIterator[Reply]:
        """Judge the head, then lend the body; a body read to its end keeps its connection."""
        try:
            if response.status >= 400:
                raise await self.failure_of(response, model=model)
            if not 200 <= response.status < 300:  # F-44: a redirect is not followed
                raise AnswerMalformed(provider=self.provider, status=response.status)
            yield Reply(
                response,
                provider=self.provider,
                timeouts=self._timeouts,
                deadline_s=deadline_s,
                clock=self._clock,
            )
        finally:
            response.close()

    async def failure_of(
        self, response: aiohttp.ClientResponse, *, model: str | None
    ) -> ProviderError:
        """Name the error; without a readable body its status must do."""
        raw = b""
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(self._timeouts.error_body_s):
                while len(raw) < limits.ERROR_BODY_BYTES_MAX and (
                    chunk := await response.content.readany()
                ):
                    raw += chunk
        body = None
        with suppress(ValueError):
            body = parse_json(raw[: limits.ERROR_BODY_BYTES_MAX])
        return from_answer(
            provider=self.provider,
            status=response.status,
            body=body,
            model=model,
            retry_after_s=self.asked_delay_s(response.headers.get("Retry-After")),
        )

    def _tries(self, attempts_max: int, errors: tuple[type[ProviderError], ...]) -> AsyncRetrying:
        def worth_it(error: BaseException) -> bool:
            too_late = (
                isinstance(error, RateLimited)
                and (error.retry_after_s or 0.0) > limits.RETRY_DELAY_S_MAX
            )
            return isinstance(error, errors) and not too_late

        return AsyncRetrying(
            stop=stop_after_attempt(attempts_max),
            wait=self._pause_s,
            retry=retry_if_exception(worth_it),
            sleep=self._clock.sleep,
            reraise=True,
        )

    def _pause_s(self, state: RetryCallState) -> float:
        """Exponential with jitter, and never before the provider's own `Retry-After`."""
        delay_s = limits.RETRY_DELAY_S * float(2 ** (state.attempt_number - 1))
        delay_s = min(delay_s, limits.RETRY_DELAY_S_MAX) * self._rng.uniform(0.5, 1.0)
        error = state.outcome.exception() if state.outcome is not None else None
        asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
        return max(delay_s, asked_s or 0.0)
