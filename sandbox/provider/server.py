"""The provider as one aiohttp application: strict requests in, answers and tasks out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

import aiohttp
from aiohttp import web

from sandbox.provider.account import Account, Entry, Journal
from sandbox.provider.answers import answer
from sandbox.provider.ask import Ask
from sandbox.provider.control import Control
from sandbox.provider.delivery import ClientLeft, Delivery, Pace
from sandbox.provider.desk import HTML_502, Desk, authorise, error_response, read_json
from sandbox.provider.errors import BY_CODE, ApiError
from sandbox.provider.exchange import (
    CHAT,
    RESPONSES,
    Endpoint,
    Exchange,
    Job,
    json_response,
    number,
)
from sandbox.provider.faults import Fault, Switches
from sandbox.provider.media import FETCH_TIMEOUT_S, look_at
from sandbox.provider.reply import Ending, Reply, charge_ucr, shorten, usage_of
from sandbox.provider.tasks.pace import TasksPace
from sandbox.provider.tasks.service import TaskService
from sandbox.provider.wire import Ids

BODY_BYTES_MAX: Final = 8 * 1024 * 1024
"""A request at the context limit of a million tokens is about half of that."""
LABEL_CHARS_MAX: Final = 32
log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProviderSandbox:
    """A simulated account of AI Video API. Mount `app` on loopback.

    `label` is said in every answer, such as *demo*; `now` gives Unix seconds.
    """

    def __init__(
        self,
        *,
        pace: Pace | None = None,
        tasks_pace: TasksPace | None = None,
        balance: Decimal = Decimal(10_000),
        label: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        assert label is None or 0 < len(label) <= LABEL_CHARS_MAX
        self._label = label
        self._now = now
        self._ids = Ids()
        self._account = Account(balance)
        self._journal = Journal()
        self._desk = Desk(self._journal)
        self._switches = Switches()
        self._control = Control(
            account=self._account,
            journal=self._journal,
            switches=self._switches,
            pace=pace or Pace(),
        )
        self._closing = asyncio.Event()
        self._tasks = TaskService(
            account=self._account,
            desk=self._desk,
            label=f"simulated · {label}" if label else "simulated",
            pace=tasks_pace or TasksPace(),
            closing=self._closing,
            now=now,
        )
        self._session: aiohttp.ClientSession | None = None
        self.app = self._make_app()

    def _make_app(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[documented_errors])
        app.router.add_post("/v1/responses", self._on_responses)
        app.router.add_post("/v1/chat/completions", self._on_chat)
        app.router.add_get("/v1/credits", self._on_credits)
        self._control.add_routes(app, self._tasks.control)
        self._tasks.add_routes(app)
        app.cleanup_ctx.append(self._open_session)
        app.on_shutdown.append(self._close_streams)
        return app

    async def _open_session(self, _app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            self._session = session
            async with self._tasks.open(session):
                yield

    async def _close_streams(self, _app: web.Application) -> None:
        self._closing.set()

    # --- the chat endpoints -----------------------------------------------------------------------

    async def _on_responses(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(
            request, lambda entry: self._chat(request, entry, RESPONSES)
        )

    async def _on_chat(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(request, lambda entry: self._chat(request, entry, CHAT))

    async def _on_credits(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(request, lambda entry: self._credits(request, entry))

    async def _credits(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        authorise(request)
        fault = self._switches.take_fault(endpoint="credits", model=None)
        if fault and (response := await self._instead(request, entry, fault)):
            return response
        data = {
            "balance": number(self._account.balance_ucr),
            "total_purchased": number(self._account.purchased_ucr),
            "total_consumed": number(self._account.consumed_ucr),
        }
        return json_response({"code": 200, "msg": "success", "data": data})

    async def _chat(
        self, request: web.Request, entry: Entry, endpoint: Endpoint
    ) -> web.StreamResponse:
        authorise(request)
        ask = endpoint.check(await read_json(request, entry))
        fault = self._switches.take_fault(endpoint=endpoint.name, model=ask.model.id)
        if fault and (response := await self._instead(request, entry, fault)):
            return response
        self._account.require_credit()
        reply, ending = await self._compose(ask, fault)
        streamed = ask.stream != (fault is not None and fault.kind == "swapped")
        usage = usage_of(ask, reply)
        entry.usage = usage
        job = Job(
            request=request,
            entry=entry,
            endpoint=endpoint,
            ask=ask,
            fault=fault,
            reply=reply,
            ending=ending,
            usage=usage,
            streamed=streamed,
            charge_ucr=charge_ucr(ask.model, usage, streamed=streamed),
        )
        exchange = Exchange(
            job,
            account=self._account,
            pace=lambda: self._control.pace,
            closing=self._closing,
            ids=self._ids,
            now=int(self._now()),
        )
        return await exchange.serve()

    async def _instead(
        self, request: web.Request, entry: Entry, fault: Fault
    ) -> web.StreamResponse | None:
        """Faults that take the place of any answer."""
        entry.fault = fault.kind
        delivery = Delivery(request, lambda: self._control.pace, self._closing)
        if fault.kind != "stall":
            await delivery.wait(fault.delay_s or 0)
        match fault.kind:
            case "error":
                row = BY_CODE[str(fault.code)]
                error = ApiError(row.code, fault.message, retry_after_s=fault.retry_after_s)
                return error_response(error, status=fault.status)
            case "html":
                return web.Response(status=502, text=HTML_502, content_type="text/html")
            case "empty":
                return web.Response(status=200)
            case "envelope":
                code = 402 if fault.code is None else fault.code
                msg = fault.message or "insufficient credits"
                return json_response({"code": code, "msg": msg, "data": None})
            case "redirect":
                return web.Response(status=307, headers={"Location": fault.location})
            case "reset" if fault.after_events is None:
                delivery.abort()
                raise ClientLeft
        return None

    async def _compose(self, ask: Ask, fault: Fault | None) -> tuple[Reply, Ending]:
        """The answer: scripted, or thought of."""
        script = self._switches.take_script(model=ask.model.id, question=ask.question)
        if script is not None:
            reply = Reply(text=script.text, thoughts=script.thoughts, calls=script.calls)
        else:
            reply = answer(ask, await self._look(ask), self._label or "")
        if self._label and ask.schema is None:
            reply = labelled(reply, self._label)
        if fault is None or fault.kind not in {"incomplete", "failed"}:
            return reply, Ending.COMPLETED
        if fault.kind == "failed":
            return reply, Ending.FAILED
        kept = usage_of(ask, reply).output_tokens // 2
        kept = kept if fault.after_events is None else fault.after_events
        return shorten(reply, kept), Ending(fault.reason)

    async def _look(self, ask: Ask) -> Mapping[str, str]:
        assert self._session is not None, "the application has started"
        files = tuple(file for turn in ask.turns for file in turn.media)
        return await look_at(self._session, files)


def labelled(reply: Reply, label: str) -> Reply:
    """Say the label on a line of its own before the text."""
    if not reply.text:
        return reply
    head = f"*{label}*\n\n"
    moved = tuple(
        replace(source, start=source.start + len(head), end=source.end + len(head))
        for source in reply.citations
    )
    return replace(reply, text=head + reply.text, citations=moved)


@web.middleware
async def documented_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the framework's refusals, and our bugs, the form of the documents."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return error_response(ApiError("invalid_request", "The body is too large."))
    except web.HTTPException as error:
        message = f"{request.method} {request.path} is not available."
        return error_response(ApiError("invalid_request", message), status=error.status)
    except Exception:
        log.exception("a bug of the sandbox: %s %s", request.method, request.path)
        return error_response(ApiError("internal_error"))
