"""`POST /callbacks/{job}/{attempt}/{mac}`: the provider says that something ended (S-4).

Nothing it says is believed: the body is stored, the bell is rung, and the engine reads the task
again with our own key (C-8). `X-Task-Id` is not looked at, for the body names the task as well.
What we did not sign is told from its path, before the database hears of it (C-7).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from aiohttp import ClientError, web

from bot import limits
from bot.web.signatures import CallbackSigner
from bot.web.site import POST, Answer, Site
from storage.errors import StorageError
from storage.inbox import Arrival, Verdict

PATH = "/callbacks/{job}/{attempt}/{mac}"

_FORGED = Answer(status=404, reason="forged")
_ANSWERS = {
    Verdict.NEW: Answer(status=204),
    Verdict.KNOWN: Answer(status=204, reason="duplicate"),
    Verdict.NOT_NEEDED: Answer(status=204, reason="not_needed"),
    Verdict.CROWDED: Answer(status=503, reason="crowded"),
    Verdict.GONE: Answer(status=404, reason="gone"),
}
# The provider comes again after three minutes, and polling goes on meanwhile.
_NOT_STORED = Answer(status=503, reason="not_stored")
# What is left of these bodies is not worth waiting for.
_ENCODING = Answer(status=415, reason="encoding", closes=True)
_CONTENT_TYPE = Answer(status=415, reason="content_type", closes=True)
_TOO_LARGE = Answer(status=413, reason="too_large", closes=True)
_SLOW = Answer(status=408, reason="slow", closes=True)
_CUT = Answer(status=400, reason="cut", closes=True)


class Record(Protocol):
    """Stores a body durably before it returns. Raises `StorageError` when it did not."""

    async def __call__(self, arrival: Arrival, /) -> Verdict: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRoute:
    """One provider's callbacks."""

    signer: CallbackSigner
    provider: str
    record: Record
    body_timeout_s: float = limits.WEB_BODY_TIMEOUT_S

    async def handle(self, request: web.BaseRequest) -> Answer:
        """Answer 204 for what is stored, now or before; 404, 408, 413, 415 or 503 else."""
        # The segments as they were sent: an escaped digit is another spelling of the number.
        job, attempt, mac = request.rel_url.raw_path.split("/")[-3:]
        address = self.signer.verify(job, attempt, self.provider, mac)
        if address is None:
            return _FORGED
        refusal = _judged_by_head(request)
        if refusal is not None:
            return refusal
        body = await self._read(request)
        if isinstance(body, Answer):
            return body
        arrival = Arrival(
            job_id=address[0],
            attempt=address[1],
            digest=sha256(body).hexdigest(),
            # JSON is UTF-8. What is not will be found out by the engine, not here.
            body=body.decode("utf-8", "replace"),
        )
        try:
            return _ANSWERS[await self.record(arrival)]
        except StorageError:
            return _NOT_STORED

    async def _read(self, request: web.BaseRequest) -> bytes | Answer:
        body = bytearray()
        try:
            # F-131: aiohttp itself would wait for ever.
            async with asyncio.timeout(self.body_timeout_s):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > limits.WEB_BODY_BYTES_MAX:
                        return _TOO_LARGE
        except TimeoutError:
            return _SLOW
        except (ClientError, web.RequestPayloadError, ConnectionError):
            return _CUT
        return bytes(body)


def add_callback_routes(site: Site, route: CallbackRoute) -> None:
    """Listen for the callbacks of one provider; other methods than POST are answered 405."""
    site.add(POST, PATH, route.handle)


def _judged_by_head(request: web.BaseRequest) -> Answer | None:
    """F-132: judge what the headers promise before any byte of the body."""
    if any(word.lower() != "identity" for word in request.headers.getall("Content-Encoding", [])):
        return _ENCODING
    kind = request.content_type.lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return _CONTENT_TYPE
    if (request.content_length or 0) > limits.WEB_BODY_BYTES_MAX:
        return _TOO_LARGE
    return None
