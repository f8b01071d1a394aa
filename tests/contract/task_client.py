"""Hands for the simulated provider's tasks, and an ear for its callbacks, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer

from sandbox.provider.tasks.pace import TasksPace
from tests.contract.provider_client import KEY, Json, Provider, running_provider

IMAGES = "/v1/images/generations"
VIDEOS = "/v1/videos/generations"
FORMAT = "/openai/v1/videos"
IMAGE = "gpt-image-2"
VIDEO = "grok-imagine-text-to-video"
QUICK = TasksPace(image_s=0, video_s=0, callback_delays_s=(0, 0.02, 0.02))
WAIT_S = 20.0
LOOK_EVERY_S = 0.02


@dataclass(slots=True)
class Tasks:
    """A client with a key."""

    provider: Provider

    async def post(self, body: Json, path: str = IMAGES) -> ClientResponse:
        return await self.provider.post(path, body)

    async def create(self, prompt: str = "bees", **facts: Any) -> str:
        """The name of a new task; `facts` beside path, model and callback_url are its input."""
        path = facts.pop("path", IMAGES)
        body: Json = {"model": facts.pop("model", IMAGE if path == IMAGES else VIDEO)}
        if (url := facts.pop("callback_url", None)) is not None:
            body["callback_url"] = url
        answer = await self.post({**body, "input": {"prompt": prompt, **facts}}, path)
        assert answer.status == 200, await answer.text()
        created = await answer.json()
        assert (created["code"], created["msg"]) == (200, "success")
        name: str = created["data"]["taskId"]
        return name

    async def form(self, *, picture: bytes | None = None, **fields: str) -> ClientResponse:
        """A create in the OpenAI format."""
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            form.add_field(name, value)
        if picture is not None:
            form.add_field(
                "input_reference", picture, filename="first.png", content_type="image/png"
            )
        return await self.provider.client.post(FORMAT, data=form, headers=KEY)

    async def look(self, task_id: str) -> Json:
        """The task object of whichever protocol."""
        path = FORMAT if task_id.startswith("video_") else "/v1/tasks"
        answer = await self.provider.client.get(f"{path}/{task_id}", headers=KEY)
        assert answer.status == 200, await answer.text()
        body: Json = await answer.json()
        return body

    async def end(self, task_id: str) -> Json:
        """The task object as soon as it says that it is over."""
        return await self.until(task_id, lambda task: task["status"] in {"completed", "failed"})

    async def until(self, task_id: str, wanted: Callable[[Json], bool]) -> Json:
        """The task object as soon as it is as wanted."""
        async with asyncio.timeout(WAIT_S):
            while True:
                task = await self.look(task_id)
                if wanted(task):
                    return task
                await asyncio.sleep(LOOK_EVERY_S)

    async def made(self, prompt: str = "bees", **facts: Any) -> bytes:
        """The file of a new task."""
        task = await self.end(await self.create(prompt, **facts))
        return await self.file(task["output"]["urls"][0])

    async def file(self, url: str) -> bytes:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def facts(self, task_id: str) -> Json:
        """What control knows of it."""
        tasks = (await self.provider.control("GET", "tasks"))["tasks"]
        found: Json = next(task for task in tasks if task["task_id"] == task_id)
        return found

    async def pace(self, **facts: Any) -> None:
        await self.provider.control("PUT", "tasks_pace", facts)

    async def fault(self, kind: str, **facts: Any) -> None:
        await self.provider.fault(kind, **facts)


@dataclass(slots=True)
class Ear:
    """Receives callbacks; `statuses` are its next answers, then 204."""

    url: str = ""
    heard: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name[0] == "X"}
        self.heard.append((request.path, headers, await request.json()))
        self._news.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)

    async def count(self, number: int) -> None:
        """Wait until it has heard so many."""
        async with asyncio.timeout(WAIT_S):
            while len(self.heard) < number:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def running_tasks(pace: TasksPace = QUICK, **options: Any) -> AsyncIterator[Tasks]:
    async with running_provider(tasks_pace=pace, **options) as provider:
        yield Tasks(provider)


@asynccontextmanager
async def listening() -> AsyncIterator[Ear]:
    ear = Ear()
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/callbacks/{tail:.*}", ear.take)
    async with TestServer(app) as server:
        ear.url = str(server.make_url("/callbacks/1/secret"))
        yield ear
