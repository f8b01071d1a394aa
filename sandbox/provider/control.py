"""`/control` of the provider: faults, scripts, pace, account and the list of requests."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.provider.account import Account, Journal, credits_of
from sandbox.provider.delivery import Pace
from sandbox.provider.faults import KINDS, Switches, SwitchInvalid, parse_fault, parse_script
from sandbox.provider.media import LOOPBACK
from sandbox.provider.tasks.control import TaskControl, read_object
from sandbox.provider.tasks.switches import KINDS as TASK_KINDS
from sandbox.provider.tasks.switches import parse_switch
from sandbox.provider.wire import Json

FIRST_TOKEN_DELAY_S_MAX: Final = 60.0
"""A first word later than this is a fault: use `slow`."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The switches of one provider. `pace` may be changed while it runs."""

    def __init__(
        self, *, account: Account, journal: Journal, switches: Switches, pace: Pace
    ) -> None:
        self._account = account
        self._journal = journal
        self._switches = switches
        self.pace = pace

    def add_routes(self, app: web.Application, tasks: TaskControl) -> None:
        self._tasks = tasks
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "requests", self._requests),
            ("GET", "account", self._get_account),
            ("PUT", "account", self._put_account),
            ("GET", "pace", self._get_pace),
            ("PUT", "pace", self._put_pace),
            ("GET", "faults", self._get_faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
            ("POST", "script", self._add_script),
            ("DELETE", "script", self._clear_scripts),
            *tasks.routes(),
        )
        for method, name, handler in routes:
            app.router.add_route(method, f"/control/{name}", guarded(handler))

    async def _requests(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise SwitchInvalid("since must be a number")
        return web.json_response({"requests": self._journal.since(int(since[:18]))})

    async def _get_account(self, _request: web.Request) -> web.Response:
        return web.json_response(self._account_json())

    async def _put_account(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        try:
            self._account.set_balance(Decimal(str(body.get("balance"))))
        except (InvalidOperation, ValueError) as error:
            raise SwitchInvalid(f"balance: {error}") from error
        return web.json_response(self._account_json())

    def _account_json(self) -> Json:
        return {
            "balance": f"{credits_of(self._account.balance_ucr):f}",
            "consumed": f"{credits_of(self._account.consumed_ucr):f}",
        }

    async def _get_pace(self, _request: web.Request) -> web.Response:
        return web.json_response(self._pace_json())

    async def _put_pace(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        if unknown := set(body) - set(self._pace_json()):
            raise SwitchInvalid(f"unknown: {', '.join(sorted(unknown))}")
        for name, value in body.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SwitchInvalid(f"{name} must be a number")
            if not (math.isfinite(value) and value >= 0):
                raise SwitchInvalid(f"{name} must not be negative")
        if body.get("first_token_delay_s", 0) > FIRST_TOKEN_DELAY_S_MAX:
            raise SwitchInvalid(f"first_token_delay_s must be at most {FIRST_TOKEN_DELAY_S_MAX}")
        self.pace = replace(self.pace, **body)
        return web.json_response(self._pace_json())

    def _pace_json(self) -> Json:
        return {
            "tokens_per_s": self.pace.tokens_per_s,
            "first_token_delay_s": self.pace.first_token_delay_s,
        }

    async def _get_faults(self, _request: web.Request) -> web.Response:
        kinds = {**KINDS, **{name: kind.does for name, kind in TASK_KINDS.items()}}
        return web.json_response({"faults": self._waiting(), "kinds": kinds})

    async def _add_fault(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        if body.get("kind") in TASK_KINDS:
            self._tasks.switches.add(parse_switch(body))
        else:
            self._switches.add(parse_fault(body))
        return web.json_response({"faults": self._waiting()})

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._switches.clear_faults()
        self._tasks.switches.clear()
        return web.json_response({"faults": []})

    def _waiting(self) -> list[Json]:
        return self._switches.waiting() + self._tasks.switches.waiting()

    async def _add_script(self, request: web.Request) -> web.Response:
        self._switches.add(parse_script(await read_object(request)))
        return web.json_response({})

    async def _clear_scripts(self, _request: web.Request) -> web.Response:
        self._switches.clear_scripts()
        return web.json_response({})


def guarded(handler: Handler) -> Handler:
    """Answer mistakes with 400, and refuse requests that came by a foreign host name."""

    async def guard(request: web.Request) -> web.StreamResponse:
        # A foreign name that resolves to loopback would make a foreign page same-origin.
        if urlsplit(f"//{request.host}").hostname not in LOOPBACK:
            return web.json_response({"error": "only for this machine"}, status=403)
        try:
            return await handler(request)
        except SwitchInvalid as error:
            return web.json_response({"error": str(error)}, status=400)

    return guard
