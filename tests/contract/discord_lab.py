"""A running sandbox, and the real, unmodified discord.py client connected to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import discord
import yarl
from aiohttp.test_utils import TestServer
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from sandbox.discord.gateway import GatewayOptions
from sandbox.discord.seed import GENERAL_ID, MIRA_ID
from sandbox.discord.server import DiscordSandbox
from sandbox.discord.world import World

WAIT_S = 10.0
"""No step of these tests takes a tenth of it; it only ends a test that hangs."""
READY_DELAY_S = 0.02
"""discord.py waits this long for further guilds; there is one."""

Json = Any


class ManualClock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self._now_s = 1_800_000_000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now_ms(self) -> int:
        return int(self._now_s * 1000)

    def monotonic_s(self) -> float:
        return self._now_s

    async def sleep(self, delay_s: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self._now_s + delay_s, woken))
        await woken.wait()

    async def advance(self, delay_s: float) -> None:
        """Let time pass and everyone act who waited for it."""
        self._now_s += delay_s
        for due_s, woken in list(self._sleepers):
            if due_s <= self._now_s:
                woken.set()
        self._sleepers = [one for one in self._sleepers if not one[1].is_set()]
        for _ in range(5):
            await asyncio.sleep(0)


@dataclass(slots=True)
class Lab:
    """The sandbox and hands on its control surface, by default Mira's in #general."""

    sandbox: DiscordSandbox
    http: aiohttp.ClientSession

    @property
    def world(self) -> World:
        return self.sandbox.world

    async def call(self, method: str, path: str, body: Json = None, *, status: int = 200) -> Json:
        """One request to /control, whose status must be as told."""
        url = f"{self.sandbox.base_url}/control/{path}"
        async with self.http.request(method, url, json=body) as response:
            text = await response.text()
            assert response.status == status, f"{path}: {response.status} {text}"
            return json.loads(text)

    async def rest(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        """One request to the API with the bot's token."""
        headers = {"Authorization": f"Bot {self.sandbox.token}"}
        url = self.sandbox.api_url + path
        async with self.http.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def write(self, content: str, **more: Json) -> str:
        """Write as a user and return the message's id."""
        body = {"user_id": str(MIRA_ID), "channel_id": str(GENERAL_ID), "content": content}
        told = await self.call("POST", "messages", body | more)
        return str(told["message_id"])

    async def invoke(self, name: str, options: Json = None, **more: Json) -> str:
        """Use a slash command and return the interaction's id."""
        body = {
            "user_id": str(MIRA_ID),
            "channel_id": str(GENERAL_ID),
            "name": name,
            "options": options or {},
        }
        told = await self.call("POST", "commands", body | more)
        return str(told["interaction_id"])

    async def read(self, channel_id: int = GENERAL_ID, user_id: int | None = MIRA_ID) -> Json:
        """The channel's messages as a user sees them, oldest first."""
        query = "" if user_id is None else f"?user_id={user_id}"
        return (await self.call("GET", f"channels/{channel_id}/messages{query}"))["messages"]

    async def requests(self) -> Json:
        """What the bot asked for."""
        return (await self.call("GET", "requests"))["requests"]

    async def until(self, look: Callable[[], Awaitable[Any]]) -> Any:
        """Look again after each event of the sandbox until there is something to see."""
        async with asyncio.timeout(WAIT_S), self.events() as events:
            while not (found := await look()):
                await anext(events)
            return found

    async def interaction(self, interaction_id: str, *states: str) -> Json:
        """The interaction once it is in one of the states."""

        async def reached() -> Json:
            told = await self.call("GET", f"interactions/{interaction_id}")
            return told if told["state"] in states else None

        return await self.until(reached)

    @asynccontextmanager
    async def events(
        self, user_id: int | None = None
    ) -> AsyncIterator[AsyncIterator[tuple[str, Json]]]:
        """The open stream of events."""
        query = "" if user_id is None else f"?user_id={user_id}"
        url = f"{self.sandbox.base_url}/control/events{query}"
        async with self.http.get(url) as response:
            assert await response.content.readline() == b": connected\n"
            yield _parsed(response)


async def _parsed(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Json]]:
    kind = ""
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            kind = text.removeprefix("event: ")
        elif text.startswith("data: "):
            yield kind, json.loads(text.removeprefix("data: "))


class Robot(discord.Client):
    """discord.py's own client with a command tree; tests add handlers to it."""

    def __init__(self, intents: discord.Intents | None = None) -> None:
        super().__init__(
            intents=intents or discord.Intents.default(),
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.tree = app_commands.CommandTree(self)
        self.errors: list[BaseException] = []
        self.seen: asyncio.Queue[discord.Message] = asyncio.Queue()
        self.resumed = asyncio.Event()
        self.is_online = asyncio.Event()
        self._connection.guild_ready_timeout = READY_DELAY_S

    async def on_ready(self) -> None:
        self.is_online.set()

    async def on_resumed(self) -> None:
        self.resumed.set()

    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            await self.seen.put(message)

    async def next_message(self) -> discord.Message:
        """The next message of somebody else."""
        async with asyncio.timeout(WAIT_S):
            return await self.seen.get()

    def general(self) -> discord.TextChannel:
        """#general from the client's own cache."""
        channel = self.get_channel(GENERAL_ID)
        assert isinstance(channel, discord.TextChannel)
        return channel

    @asynccontextmanager
    async def online(self, lab: Lab) -> AsyncIterator[Self]:
        """Log in, sync the commands when there are any, and be ready."""
        running = asyncio.create_task(self.start(lab.sandbox.token))
        try:
            waiting = asyncio.create_task(self.is_online.wait())
            done, _ = await asyncio.wait(
                {running, waiting}, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED
            )
            waiting.cancel()
            if running in done:
                running.result()
            assert waiting in done
            if self.tree.get_commands():
                await self.tree.sync()
            yield self
        finally:
            await self.close()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@asynccontextmanager
async def running_lab(
    *, clock: ManualClock | None = None, options: GatewayOptions | None = None
) -> AsyncIterator[Lab]:
    """Start the sandbox on a free port and point discord.py at it for as long."""
    sandbox = DiscordSandbox(clock=clock, options=options)
    server = TestServer(sandbox.app)
    await server.start_server()
    sandbox.base_url = str(server.make_url("")).rstrip("/")
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE = sandbox.api_url
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sandbox.core.gateway.url)
    try:
        async with aiohttp.ClientSession() as http:
            yield Lab(sandbox, http)
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before
        await server.close()
