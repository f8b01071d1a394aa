"""`/control` of the tasks: their list, their pace, ends and callbacks on demand, the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from sandbox.provider.account import Account, credits_of
from sandbox.provider.faults import SwitchInvalid
from sandbox.provider.tasks.book import Book
from sandbox.provider.tasks.pace import changed
from sandbox.provider.tasks.switches import TaskSwitches
from sandbox.provider.tasks.task import Task
from sandbox.provider.wire import Json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TaskControl:
    """The switches of the tasks; `gateway` is the balance of the OpenAI format."""

    def __init__(self, *, book: Book, switches: TaskSwitches, gateway: Account) -> None:
        self.switches = switches
        self._book = book
        self._gateway = gateway

    def routes(self) -> tuple[tuple[str, str, Handler], ...]:
        """Method, name below `/control/`, handler."""
        return (
            ("GET", "tasks", self._list),
            ("POST", "tasks/finish", self._finish),
            ("POST", "tasks/callback", self._callback),
            ("GET", "tasks_pace", self._get_pace),
            ("PUT", "tasks_pace", self._put_pace),
            ("GET", "gateway", self._get_gateway),
            ("PUT", "gateway", self._put_gateway),
        )

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response(self._book.json())

    async def _finish(self, request: web.Request) -> web.Response:
        """{task_id}: it need not wait any longer, not even one that would never end."""
        task = self._task(await read_object(request))
        task.release.set()
        return web.json_response({})

    async def _callback(self, request: web.Request) -> web.Response:
        """{task_id}: one more callback, now; a duplicate, or a late one."""
        task = self._task(await read_object(request))
        if not task.finished or task.order.callback_url is None:
            raise SwitchInvalid("the task has not ended, or has no callback_url")
        await self._book.announce_again(task)
        return web.json_response({"callbacks": task.callbacks})

    def _task(self, body: Json) -> Task:
        task = self._book.find(str(body.get("task_id")))
        if task is None:
            raise SwitchInvalid("there is no such task")
        return task

    async def _get_pace(self, _request: web.Request) -> web.Response:
        return web.json_response(asdict(self._book.pace))

    async def _put_pace(self, request: web.Request) -> web.Response:
        self._book.pace = changed(self._book.pace, await read_object(request))
        return web.json_response(asdict(self._book.pace))

    async def _get_gateway(self, _request: web.Request) -> web.Response:
        return web.json_response(self._gateway_json())

    async def _put_gateway(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        try:
            self._gateway.set_balance(Decimal(str(body.get("balance"))))
        except (InvalidOperation, ValueError) as error:
            raise SwitchInvalid(f"balance: {error}") from error
        return web.json_response(self._gateway_json())

    def _gateway_json(self) -> Json:
        return {
            "balance": f"{credits_of(self._gateway.balance_ucr):f}",
            "consumed": f"{credits_of(self._gateway.consumed_ucr):f}",
        }


async def read_object(request: web.Request) -> Json:
    """The JSON object of a control request; raises `SwitchInvalid`."""
    # A page of another origin cannot send this type without asking first, and is never allowed to.
    if request.content_type != "application/json":
        raise SwitchInvalid("Content-Type must be application/json")
    try:
        body: Any = await request.json()
    except ValueError as error:
        raise SwitchInvalid("the body is not JSON") from error
    if not isinstance(body, dict):
        raise SwitchInvalid("the body must be an object")
    return body
