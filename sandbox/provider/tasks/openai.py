"""Videos in the OpenAI format, as a gateway serves them (provider-docs 004).

A host, a key and a balance of its own; here a path of its own, `/openai/v1`.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Final

from aiohttp import web

from sandbox.provider.account import Account, Entry
from sandbox.provider.delivery import raw_credits
from sandbox.provider.desk import Desk, authorise
from sandbox.provider.errors import ApiError
from sandbox.provider.tasks.bending import Bender, Protocol
from sandbox.provider.tasks.book import Book, NoCredit, TooManyTasks
from sandbox.provider.tasks.files import FileServer
from sandbox.provider.tasks.forms import FORMAT_ROWS, FormatError, read_form, read_parts
from sandbox.provider.tasks.switches import Switch, TaskSwitches
from sandbox.provider.tasks.task import Task, video_json
from sandbox.provider.wire import Json, dumps

PREFIX: Final = "/openai/v1"
ENDPOINT: Final = "openai"


class OpenAIVideos:
    """`POST /videos`, `GET /videos/{id}`, `GET /videos/{id}/content`."""

    def __init__(
        self,
        *,
        account: Account,
        book: Book,
        switches: TaskSwitches,
        desk: Desk,
        bender: Bender,
        files: FileServer,
    ) -> None:
        self._account = account
        self._book = book
        self._switches = switches
        self._desk = desk
        self._bender = bender
        self._files = files

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(f"{PREFIX}/videos", self._on_create)
        app.router.add_get(f"{PREFIX}/videos/{{video_id}}", self._on_get, allow_head=False)
        app.router.add_get(f"{PREFIX}/videos/{{video_id}}/content", self._on_content)

    async def _on_create(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(request, lambda entry: self._create(request, entry))

    async def _on_get(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(request, lambda entry: self._get(request, entry))

    async def _on_content(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(request, lambda entry: self._content(request, entry))

    async def _create(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        _authorise(request)
        parts = await read_parts(request)
        entry.body = parts.shown()
        order = read_form(parts)
        switch = self._take("create", entry, order.model)
        if switch and not switch.facts.get("after_effect", True):
            return await self._bender.bend(request, switch, dict, PROTOCOL)
        try:
            task = self._book.create(
                order,
                endpoint=ENDPOINT,
                account=self._account,
                base_url=f"{request.scheme}://{request.host}",
                task_id=f"video_{uuid.uuid4().hex}",
            )
        except NoCredit as error:
            raise FormatError("insufficient_credits") from error
        except TooManyTasks as error:
            raise FormatError("rate_limit_exceeded") from error
        entry.charged_ucr = task.charged_ucr
        before = self._book.before(task)

        def named(video_id: Any) -> Json:
            body = {**_shown(task), "id": video_id}
            return body if video_id is not None else {k: v for k, v in body.items() if k != "id"}

        return await self._bender.bend(
            request,
            switch,
            lambda: _shown(task),
            Protocol(error=PROTOCOL.error, named=named),
            other_id=before.id if before else task.id,
        )

    async def _get(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        _authorise(request)
        task = self._find(request)
        if not task.look():
            raise _missing(task.id)
        switch = self._take("get", entry, task.order.model)

        def good() -> Json | str:
            body = _shown(task)
            if "credits_consumed" in body and task.credits and task.credits["raw"] is not None:
                return raw_credits(body, task.credits["raw"])
            return body

        return await self._bender.bend(request, switch, good, PROTOCOL)

    async def _content(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        _authorise(request)
        task = self._find(request)
        if request.query.get("variant", "video") != "video":
            raise FormatError("invalid_parameter", "Only the variant video exists here")
        if task.result is None:
            state = "failed" if task.error else "not completed"
            raise FormatError("invalid_parameter", f"Video '{task.id}' is {state}")
        task.downloads += 1
        switch = self._take("file", entry, task.order.model)
        name = f'attachment; filename="{task.id}.mp4"'
        return await self._files.serve(request, task.result, switch, {"Content-Disposition": name})

    def _take(self, family: str, entry: Entry, model: str) -> Switch | None:
        switch = self._switches.take(family, endpoint=ENDPOINT, model=model)
        entry.fault = switch.kind if switch else None
        return switch

    def _find(self, request: web.Request) -> Task:
        video_id = request.match_info["video_id"]
        task = self._book.find(video_id)
        if task is None or task.endpoint != ENDPOINT:
            raise _missing(video_id)
        return task


def _authorise(request: web.Request) -> None:
    try:
        authorise(request)
    except ApiError as error:
        raise FormatError("invalid_api_key") from error


def _missing(video_id: str) -> FormatError:
    """The document has no row for it; gateways answer 404 (providers.md 3.1)."""
    message = f"Video '{video_id[:100]}' does not exist"
    return FormatError("invalid_parameter", message, status=404)


def _shown(task: Task) -> Json:
    return video_json(task, asyncio.get_running_loop().time())


def _error(switch: Switch) -> web.Response:
    known = switch["code"] in FORMAT_ROWS
    error = FormatError(switch["code"] if known else "internal_error", switch["message"])
    headers = {"Retry-After": f"{switch['retry_after_s']:g}"} if switch["retry_after_s"] else {}
    return web.json_response(
        error.body(), status=switch["status"] or error.status, headers=headers, dumps=dumps
    )


PROTOCOL: Final = Protocol(error=_error, named=lambda video_id: {"id": video_id})
