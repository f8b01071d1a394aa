"""All parts of the tasks, put together for one provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final

import aiohttp
from aiohttp import web

from sandbox.provider.account import Account, Entry
from sandbox.provider.desk import Desk
from sandbox.provider.studio.studio import Studio
from sandbox.provider.tasks.bending import Bender
from sandbox.provider.tasks.book import Book
from sandbox.provider.tasks.callbacks import Caller
from sandbox.provider.tasks.control import TaskControl
from sandbox.provider.tasks.files import FileServer
from sandbox.provider.tasks.generations import Generations
from sandbox.provider.tasks.openai import OpenAIVideos
from sandbox.provider.tasks.pace import TasksPace
from sandbox.provider.tasks.switches import TaskSwitches

GATEWAY_CREDITS: Final = Decimal(10_000)
"""The balance of the OpenAI format's host at the start."""


class TaskService:
    """`label` is written on every result; `closing` ends whatever waits."""

    def __init__(
        self,
        *,
        account: Account,
        desk: Desk,
        label: str,
        pace: TasksPace,
        closing: asyncio.Event,
        now: Callable[[], float],
    ) -> None:
        self._desk = desk
        self._switches = TaskSwitches()
        self._studio = Studio(label)
        self._caller = Caller()
        self._files = FileServer(closing)
        self._book = Book(
            switches=self._switches,
            studio=self._studio,
            caller=self._caller,
            pace=pace,
            now=now,
        )
        gateway = Account(GATEWAY_CREDITS)
        bender = Bender(closing)
        self._generations = Generations(
            account=account,
            book=self._book,
            switches=self._switches,
            desk=desk,
            bender=bender,
        )
        self._videos = OpenAIVideos(
            account=gateway,
            book=self._book,
            switches=self._switches,
            desk=desk,
            bender=bender,
            files=self._files,
        )
        self.control = TaskControl(book=self._book, switches=self._switches, gateway=gateway)

    def add_routes(self, app: web.Application) -> None:
        self._generations.add_routes(app)
        self._videos.add_routes(app)
        app.router.add_get("/files/{name:.+}", self._on_file)

    @asynccontextmanager
    async def open(self, session: aiohttp.ClientSession) -> AsyncIterator[None]:
        """Work while the application runs; `session` reaches loopback only by our own checks."""
        self._caller.use(session)
        async with self._studio.open(session):
            try:
                yield
            finally:
                await self._book.close()

    async def _on_file(self, request: web.Request) -> web.StreamResponse:
        return await self._desk.journalled(request, lambda entry: self._file(request, entry))

    async def _file(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        name = request.match_info["name"]
        rendered = self._studio.find(name)
        task = self._book.of_file(name)
        if rendered is None or task is None:
            return web.Response(status=404, text="<Error>NoSuchKey</Error>")
        task.downloads += 1
        switch = self._switches.take("file", endpoint=task.endpoint, model=task.order.model)
        entry.fault = switch.kind if switch else None
        return await self._files.serve(request, rendered, switch, {})
