"""`POST /callbacks/{job}/{attempt}/{mac}`: the provider says that something ended (S-4).

Nothing it says is believed: the body is stored, the bell is rung, and the engine reads the task
again with our own key (C-8). `X-Task-Id` is not looked at, for the body names the task as well.
What we did not sign is told from its path, before the database hears of it (C-7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from aiohttp import ClientError, web

from bot import limits
from bot.web.refusals import REASON
from bot.web.signatures import CallbackSigner
from storage.errors import StorageError, UnknownReference

PATH = "/callbacks/{job}/{attempt}/{mac}"


class Record(Protocol):
    """Stores a body durably: True when it is new. Raises `StorageError`.

    `digest` is the SHA-256 of the bytes as they came, in hex. `UnknownReference` says that there
    is no such job any more.
    """

    async def __call__(self, *, job_id: int, attempt: int, digest: str, body: str) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRoute:
    """One provider's callbacks. `wake` is called after a new one was stored."""

    signer: CallbackSigner
    provider: str
    record: Record
    wake: Callable[[], None]
    body_timeout_s: float = limits.WEB_BODY_TIMEOUT_S

    async def handle(self, request: web.Request) -> web.Response:
        """Answer 204 for what is stored, now or before; 404, 408, 413, 415 or 503 else."""
        job_id, attempt = self._verified(request)
        _check_head(request)
        body = await self._read(request)
        try:
            is_new = await self.record(
                job_id=job_id,
                attempt=attempt,
                digest=sha256(body).hexdigest(),
                # JSON is UTF-8. What is not will be found out by the engine, not here.
                body=body.decode("utf-8", "replace"),
            )
        except UnknownReference:
            raise _refused(request, "unknown_job", web.HTTPNotFound()) from None
        except StorageError:
            # The provider comes again after three minutes, and polling goes on meanwhile.
            raise _refused(request, "not_stored", web.HTTPServiceUnavailable()) from None
        if is_new:
            self.wake()
        return web.Response(status=204)

    def _verified(self, request: web.Request) -> tuple[int, int]:
        # The segments as they were sent: an escaped digit is another spelling of the number.
        job, attempt, mac = request.rel_url.raw_path.split("/")[-3:]
        verified = self.signer.verify(job, attempt, self.provider, mac)
        if verified is not None:
            return verified
        raise _refused(request, "forged", web.HTTPNotFound())

    async def _read(self, request: web.Request) -> bytes:
        body = bytearray()
        try:
            # F-131: aiohttp itself would wait for ever.
            async with asyncio.timeout(self.body_timeout_s):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > limits.WEB_BODY_BYTES_MAX:
                        raise _too_large(request)
        except TimeoutError:
            raise _refused(request, "slow", web.HTTPRequestTimeout()) from None
        except (ClientError, web.RequestPayloadError, ConnectionError):
            raise _refused(request, "cut", web.HTTPBadRequest()) from None
        return bytes(body)


def add_callback_routes(app: web.Application, route: CallbackRoute) -> None:
    """Listen for the callbacks of one provider; other methods than POST are answered 405."""
    app.router.add_post(PATH, route.handle)


def _check_head(request: web.Request) -> None:
    """F-132: judge what the headers promise before any byte of the body."""
    if any(word.lower() != "identity" for word in request.headers.getall("Content-Encoding", [])):
        raise _refused(request, "encoding", web.HTTPUnsupportedMediaType())
    kind = request.content_type.lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise _refused(request, "content_type", web.HTTPUnsupportedMediaType())
    if (request.content_length or 0) > limits.WEB_BODY_BYTES_MAX:
        raise _too_large(request)


def _too_large(request: web.Request) -> web.HTTPException:
    size = request.content_length or limits.WEB_BODY_BYTES_MAX + 1
    answer = web.HTTPRequestEntityTooLarge(limits.WEB_BODY_BYTES_MAX, size)
    return _refused(request, "too_large", answer)


def _refused(request: web.Request, reason: str, answer: web.HTTPException) -> web.HTTPException:
    request[REASON] = reason
    if answer.status not in {404, 503}:
        # The rest of the body is not worth waiting for.
        answer.force_close()
    return answer
