"""One answer on one connection: streamed or whole, paced, bent by a fault, and charged once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web

from sandbox.provider import check_chat, check_responses
from sandbox.provider.account import Account, Entry, Usage, credits_of
from sandbox.provider.ask import Ask
from sandbox.provider.delivery import (
    RAW,
    STALL_S_DEFAULT,
    ClientLeft,
    Delivery,
    Pace,
    raw_credits,
    steps_of,
    with_raw_credits,
)
from sandbox.provider.faults import Fault
from sandbox.provider.reply import Ending, Reply, charge_ucr
from sandbox.provider.wire import Ids, Json, dumps
from sandbox.provider.wire_chat import ChatWire
from sandbox.provider.wire_responses import ResponsesWire

UNBILLED: Final = frozenset({"error_event", "error_event_nested", "failed"})
"""Endings that the provider itself calls a failure; it refunds those."""
BROKEN: Final = frozenset({"stall", "reset", "cut"})
"""The provider's own breakdowns: a client that leaves then pays nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One protocol: its name for faults, its rules, its wire form."""

    name: str
    check: Callable[[Json], Ask]
    wire: type[ResponsesWire | ChatWire]


RESPONSES: Final = Endpoint(name="responses", check=check_responses.check, wire=ResponsesWire)
CHAT: Final = Endpoint(name="chat", check=check_chat.check, wire=ChatWire)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that one answer needs."""

    request: web.Request
    entry: Entry
    endpoint: Endpoint
    ask: Ask
    fault: Fault | None
    reply: Reply
    ending: Ending
    usage: Usage
    streamed: bool
    charge_ucr: int

    @property
    def kind(self) -> str:
        return self.fault.kind if self.fault else ""


STREAM_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
}


class Exchange:
    """Serves one job. `now` is Unix seconds."""

    def __init__(
        self,
        job: Job,
        *,
        account: Account,
        pace: Callable[[], Pace],
        closing: asyncio.Event,
        ids: Ids,
        now: int,
    ) -> None:
        self._job = job
        self._account = account
        self._wire = job.endpoint.wire(job.ask, job.reply, job.usage, ids=ids, now=now)
        self._pace = pace
        self._delivery = Delivery(job.request, self._pace_now, closing)

    def _pace_now(self) -> Pace:
        fault = self._job.fault
        if fault is None or fault.tokens_per_s is None:
            return self._pace()
        return replace(self._pace(), tokens_per_s=fault.tokens_per_s)

    async def serve(self) -> web.StreamResponse:
        """Raises `ClientLeft` when there is nobody, or nothing, left to answer."""
        return await (self._stream() if self._job.streamed else self._whole())

    def _charge(self) -> None:
        job = self._job
        if job.kind not in UNBILLED:
            self._account.charge(job.charge_ucr)
            job.entry.charged_ucr = job.charge_ucr

    def _leave(self) -> None:
        """The words that were made before the client left are paid; a breakdown of ours is not."""
        job = self._job
        job.entry.outcome = "client_left"
        if job.entry.charged_ucr or job.kind in BROKEN | UNBILLED:
            return
        tokens = min(self._delivery.tokens, job.usage.output_tokens)
        amount = charge_ucr(job.ask.model, replace(job.usage, output_tokens=tokens), streamed=True)
        self._account.charge(amount)
        job.entry.charged_ucr = amount

    async def _stream(self) -> web.StreamResponse:
        job = self._job
        events = self._wire.stream(job.ending, reported(job), failure_of(job))
        for event in events:
            bend_usage(event.data, job.kind)
        if job.kind == "credits":
            events = with_raw_credits(events, raw_value(job))
        response = web.StreamResponse(headers=STREAM_HEADERS)
        await response.prepare(job.request)
        job.entry.status = 200
        try:
            await self._delivery.start()
            steps = steps_of(events, job.fault, chat=job.endpoint is CHAT)
            job.entry.outcome = "streaming"
            await self._delivery.send(response, steps, self._charge)
            await response.write_eof()
        except asyncio.CancelledError:
            # A server with handler cancellation tells us so that the client has gone.
            self._leave()
            raise
        except (ClientLeft, ConnectionError):
            self._leave()
            return response
        job.entry.outcome = job.kind or "sent"
        return response

    async def _whole(self) -> web.StreamResponse:
        job = self._job
        body: Json = self._wire.whole(job.ending, reported(job), failure_of(job))
        bend_usage(body, job.kind)
        await self._delivery.start()
        await self._delivery.think(job.usage.output_tokens)
        job.entry.outcome = job.kind or "sent"
        if job.kind in {"reset", "stall"}:
            await self._break_down()
        if job.kind in {"error_event", "error_event_nested"}:
            return json_response({"error": error_facts(job, "api_error")})
        self._charge()
        text = raw_credits(body, raw_value(job)) if job.kind == "credits" else dumps(body)
        data = broken(text.encode(), job.kind)
        return web.Response(body=data, content_type="application/json")

    async def _break_down(self) -> None:
        fault = self._job.fault
        assert fault is not None, "only a fault breaks down"
        if fault.kind == "stall":
            await self._delivery.wait(STALL_S_DEFAULT if fault.delay_s is None else fault.delay_s)
        self._delivery.abort()
        raise ClientLeft


def number(amount_ucr: int) -> int | float:
    """Credits as a JSON number; the balance's bound keeps it exact."""
    value = credits_of(amount_ucr)
    return int(value) if value == value.to_integral_value() else float(value)


def reported(job: Job) -> Any:
    """The value of `credits_consumed`; None leaves the field out."""
    if job.kind == "credits":
        return RAW
    model = job.ask.model
    reports = model.reports_credits_in_stream if job.streamed else model.reports_credits
    if not reports or job.kind == "no_credits_field" or job.ending is Ending.FAILED:
        return None
    return number(job.charge_ucr)


def raw_value(job: Job) -> str:
    """The text that stands for `credits_consumed` under the fault `credits`."""
    assert job.fault is not None
    return dumps(job.fault.value) if job.fault.raw is None else job.fault.raw


def error_facts(job: Job, kind: str) -> Json:
    fault = job.fault
    code = str(fault.code) if fault and fault.code else "server_error"
    message = (fault.message if fault else None) or "The model failed to answer."
    return {"code": code, "message": message, "type": kind}


def failure_of(job: Job) -> Json | None:
    """The error of a failed answer, as its protocol writes it."""
    if job.ending is not Ending.FAILED:
        return None
    facts = error_facts(job, "api_error")
    if job.endpoint is RESPONSES:
        del facts["type"]
    return facts


def bend_usage(data: Json | str, kind: str) -> None:
    """Leave out, or falsify, the usage wherever it stands."""
    if kind not in {"no_usage", "zero_usage"} or not isinstance(data, dict):
        return
    holder = data.get("response", data)
    if not holder.get("usage"):
        return
    if kind == "no_usage":
        holder["usage"] = None
        return
    name = "input_tokens" if "input_tokens" in holder["usage"] else "prompt_tokens"
    holder["usage"][name] = 0


def broken(data: bytes, kind: str) -> bytes:
    """A JSON body under the faults that bend bytes."""
    if kind == "cut":
        return data[: len(data) // 2]
    if kind == "malformed":
        return data.replace(b":", b";", 1)
    if kind == "malformed_utf8":
        return data[:-1] + b',"noise":"\xff\xfe"}'
    return data


def json_response(body: Json, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, dumps=dumps)
