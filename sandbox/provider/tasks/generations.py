"""AI Video API's own task endpoints (provider-docs 001; providers.md 1.2 to 1.8)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from aiohttp import web

from sandbox.provider.account import Account, Entry
from sandbox.provider.delivery import raw_credits
from sandbox.provider.desk import Desk, authorise, error_response, read_json
from sandbox.provider.errors import BY_CODE, ApiError
from sandbox.provider.tasks.bending import Bender, Protocol
from sandbox.provider.tasks.book import Book, NoCredit, TooManyTasks
from sandbox.provider.tasks.models import Kind
from sandbox.provider.tasks.orders import read_order
from sandbox.provider.tasks.switches import Switch, TaskSwitches
from sandbox.provider.tasks.task import Task, task_json
from sandbox.provider.wire import Json

EARLY_S: Final = 30.0
"""How long the answer to a create waits for its early callback."""


class Generations:
    """`POST /v1/{images,videos}/generations` and `GET /v1/tasks/{id}`."""

    def __init__(
        self,
        *,
        account: Account,
        book: Book,
        switches: TaskSwitches,
        desk: Desk,
        bender: Bender,
    ) -> None:
        self._account = account
        self._book = book
        self._switches = switches
        self._desk = desk
        self._bender = bender

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/images/generations", self._on_image)
        app.router.add_post("/v1/videos/generations", self._on_video)
        app.router.add_get("/v1/tasks/{task_id}", self._on_task, allow_head=False)

    async def _on_image(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(
            request, lambda entry: self._create(request, entry, Kind.IMAGE)
        )

    async def _on_video(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(
            request, lambda entry: self._create(request, entry, Kind.VIDEO)
        )

    async def _on_task(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(request, lambda entry: self._get(request, entry))

    async def _create(self, request: web.Request, entry: Entry, kind: Kind) -> web.StreamResponse:
        authorise(request)
        order = read_order(await read_json(request, entry), kind)
        endpoint = f"{kind}s"
        switch = self._switches.take("create", endpoint=endpoint, model=order.model)
        entry.fault = switch.kind if switch else None
        if switch and not switch.facts.get("after_effect", True):
            return await self._bender.bend(request, switch, dict, PROTOCOL)
        try:
            task = self._book.create(
                order,
                endpoint=endpoint,
                account=self._account,
                base_url=f"{request.scheme}://{request.host}",
                task_id=None,
            )
        except NoCredit as error:
            raise ApiError(
                "insufficient_credits", "Your credit balance is too low. Please top up."
            ) from error
        except TooManyTasks as error:
            raise ApiError("rate_limit_exceeded", retry_after_s=5) from error
        entry.charged_ucr = task.charged_ucr
        await early_callback(task)
        before = self._book.before(task)
        return await self._bender.bend(
            request,
            switch,
            lambda: envelope(task.id),
            PROTOCOL,
            other_id=before.id if before else task.id,
        )

    async def _get(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        authorise(request)
        task = self._book.find(request.match_info["task_id"])
        if task is None or task.endpoint == "openai" or not task.look():
            raise ApiError("task_not_found")
        switch = self._switches.take("get", endpoint=task.endpoint, model=task.order.model)
        entry.fault = switch.kind if switch else None
        return await self._bender.bend(request, switch, lambda: written(task), PROTOCOL)


async def early_callback(task: Task) -> None:
    """Hold the create's answer back until the callback was sent (F-62)."""
    if task.callback is None or task.callback.kind != "callback_early":
        return
    if task.order.callback_url is not None and task.pace.callback_delays_s:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EARLY_S):
                await task.called.wait()


def written(task: Task) -> Json | str:
    """The task object; as text when its credits are none that JSON can hold."""
    body = task_json(task, asyncio.get_running_loop().time())
    if "credits_consumed" in body and task.credits and task.credits["raw"] is not None:
        return raw_credits(body, task.credits["raw"])
    return body


def envelope(task_id: Any) -> Json:
    """providers.md 1.2; None leaves the name out."""
    data = {} if task_id is None else {"taskId": task_id}
    return {"code": 200, "msg": "success", "data": data}


def _error(switch: Switch) -> web.Response:
    row = BY_CODE.get(switch["code"], BY_CODE["internal_error"])
    wait_s = switch["retry_after_s"] or None
    error = ApiError(row.code, switch["message"], retry_after_s=wait_s)
    return error_response(error, status=switch["status"] or None)


PROTOCOL: Final = Protocol(error=_error, named=envelope)
