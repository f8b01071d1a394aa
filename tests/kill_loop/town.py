"""The world that outlives the bot: Discord and the provider in this loop, with hands and eyes.

One sandbox serves all lives of the bot, so that a restart costs the bot's own start and no more.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.discord.clock import SystemClock
from sandbox.discord.interactions import Interaction
from sandbox.discord.seed import seeded_world
from sandbox.discord.server import DiscordSandbox
from sandbox.discord.world import Member, Message, User
from sandbox.discord.world import World as DiscordWorld
from sandbox.launcher import ROOT, reserve_port
from sandbox.mode import LOOPBACK, sandbox_environment
from sandbox.provider.account import Entry
from sandbox.provider.delivery import Pace
from sandbox.provider.faults import parse_script
from sandbox.provider.server import ProviderSandbox
from sandbox.provider.tasks.pace import TasksPace
from sandbox.provider.tasks.task import Task
from tests.e2e.process import clean_environment
from tests.e2e.world import World
from tests.kill_loop.secrets import CANARY

MEMBERS: Final = 8
"""Each may have ten open jobs and three answers: enough that nobody is ever refused."""
CHANNELS: Final = 10
"""Discord takes five edits per channel in five seconds; so many channels are never the brake."""
IDENTIFIES_OF_A_DAY: Final = 500
"""Then another day begins: a kill loop makes more starts than Discord allows in one."""
TOKENS_PER_S: Final = 300
ANSWER: Final = "The tide comes in and the tide goes out, and nobody is asked. " * 6
"""Some 100 tokens: a third of a second in which a kill may fall."""
CALLBACK_DELAYS_S: Final = (0.0, 0.7, 1.5, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0)
"""A callback that finds nobody comes again soon; the real provider waits minutes (F-64)."""
TASK_S: Final = (0.05, 0.3, 1.0)
"""A task ends within the life that ordered it, or in one of the next."""
DAILY_ALLOWANCE: Final = "50000"
"""Nobody runs out of credits in a thousand lives."""
EVENTS: Final = ("ack", "card", "words", "delivery", "create", "poll", "file", "chat", "callback")
"""What can be aimed at: an acknowledged command, a card, a page of an answer, a result uploaded;
a create, a look at a task, a download, a question asked; a callback that was answered 2xx."""


@dataclass(slots=True)
class Tripwire:
    """What happens when the bot does one of `EVENTS`.

    Without a delay the deed is done and the bot never hears of it.
    """

    event: str
    delay_s: float
    act: Callable[[], None]
    is_touched: bool = False

    def touch(self, event: str) -> None:
        if event != self.event or self.is_touched:
            return
        self.is_touched = True
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self.act)
        else:
            self.act()


@dataclass(slots=True, kw_only=True)
class Town:
    """`hands` act over HTTP as people do; everything else here is the truth itself."""

    discord: DiscordSandbox
    provider: ProviderSandbox
    hands: World
    environment: dict[str, str]
    members: list[str]
    channels: list[str] = field(default_factory=list)
    tripwire: Tripwire | None = None

    @property
    def online(self) -> bool:
        """Whether the bot would hear a command now."""
        return self.discord.core.gateway.online

    async def offline(self) -> None:
        """Wait until Discord has noticed that the bot is gone."""
        while self.online:  # noqa: ASYNC110 - a look each 5 ms is what a moment is here.
            await asyncio.sleep(0.005)

    def another_day(self) -> None:
        """Discord's daily count of session starts begins anew."""
        if self.discord.core.gateway.identifies > IDENTIFIES_OF_A_DAY:
            self.discord.core.gateway.identifies = 0

    def change_pace(self, rng: random.Random) -> None:
        """New tasks take another time from now on."""
        book, image_s = self.provider._tasks._book, rng.choice(TASK_S)
        book.pace = replace(book.pace, image_s=image_s, video_s=2 * image_s)

    def watch_callbacks(self) -> None:
        """Touch the tripwire when the newest callback was answered."""
        wire = self.tripwire
        if wire is None or wire.event != "callback":
            return
        if any(is_accepted(note) for task in self.tasks()[-20:] for note in task.callbacks[-1:]):
            wire.touch("callback")

    async def call_back(self) -> None:
        """The provider tells once more of what nobody has listened to."""
        for task in self.tasks():
            if task.finished and not any(map(is_accepted, task.callbacks)):
                await self.provider._tasks._book.announce_again(task)

    async def page(self, name: str) -> str:
        """What the bot tells of itself to everybody."""
        url = f"{self.environment['PUBLIC_URL']}/{name}"
        async with self.hands.http.get(url) as answer:
            return f"{answer.headers} {await answer.text()}"

    # --- the truth --------------------------------------------------------------------------------

    def tasks(self) -> list[Task]:
        """Every task that the provider still remembers, oldest first."""
        return list(self.provider._tasks._book._tasks.values())

    def entries(self) -> list[Entry]:
        """The latest requests to the provider, oldest first."""
        return list(self.provider._journal._entries)

    def messages(self) -> list[Message]:
        """Every message of the bot, deleted and private ones too."""
        world = self.discord.world
        return [
            message
            for channel in world.channels.values()
            for message in channel.messages.values()
            if message.author_id == world.bot_id
        ]

    def interaction(self, interaction_id: int) -> Interaction | None:
        return self.discord.core.interactions.get(interaction_id)


@asynccontextmanager
async def open_town(data: Path) -> AsyncIterator[Town]:
    """Both servers on loopback; the bot's database goes into `data`."""
    world, members = _peopled()
    discord = DiscordSandbox(world=world)
    provider = ProviderSandbox(
        pace=Pace(tokens_per_s=TOKENS_PER_S, first_token_delay_s=0.05),
        tasks_pace=TasksPace(callback_delays_s=CALLBACK_DELAYS_S, callback_timeout_s=2.0),
        balance=Decimal(10_000_000),
    )
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        hands = World(base="", http=http)
        town = Town(
            discord=discord, provider=provider, hands=hands, environment={}, members=members
        )
        discord.app.middlewares.append(_watching(town, _discord_event))
        provider.app.middlewares.append(_watching(town, _provider_event))
        provider_url = await _serve(stack, provider.app)
        hands.base = discord.base_url = await _serve(stack, discord.app)
        town.environment = {
            **sandbox_environment(
                clean_environment(),
                root=ROOT,
                token=discord.token,
                api_url=discord.api_url,
                provider_url=provider_url,
                data=data,
                web_port=reserve_port(stack),
            ),
            "DAILY_ALLOWANCE": DAILY_ALLOWANCE,
            "CALLBACK_SECRET": CANARY,
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "debug",  # C-1: where libraries talk most
        }
        provider._switches.add(parse_script({"text": ANSWER, "times": 1_000}))
        await hands.look_around()
        town.channels = [await hands.new_channel(f"kill-{n}") for n in range(CHANNELS)]
        yield town


async def _serve(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, LOOPBACK, 0).start()
    return f"http://{LOOPBACK}:{runner.addresses[0][1]}"


def _peopled() -> tuple[DiscordWorld, list[str]]:
    """The seeded world, and more members; their names."""
    world = seeded_world(SystemClock())
    names = [f"member{n}" for n in range(MEMBERS)]
    for name in names:
        user_id = world.new_id()
        world.users[user_id] = User(
            id=user_id, name=name, display_name=name.title(), avatar_color="#334155"
        )
        world.members[user_id] = Member(user_id=user_id, joined_ms=world.clock.now_ms())
    return world, names


# --- what the bot does ----------------------------------------------------------------------------


def _watching(town: Town, event_of: Callable[[web.Request], str | None]) -> Middleware:
    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        event = event_of(request)
        if event == "chat" and town.tripwire is not None:
            town.tripwire.touch(event)  # before the stream, whose handler returns at its end
        response = await handler(request)
        if event is not None and town.tripwire is not None and response.status < 400:
            town.tripwire.touch(event)
        return response

    return watch


def _discord_event(request: web.Request) -> str | None:
    method, path = request.method, request.path
    if path.endswith("/callback") and "/interactions/" in path:
        return "ack"
    if method not in {"POST", "PATCH"} or "/messages" not in path or "/control" in path:
        return None
    if request.content_type == "multipart/form-data":
        return "delivery"
    return "card" if "/webhooks/" in path else "words"


def _provider_event(request: web.Request) -> str | None:
    method, path = request.method, request.path
    if method == "POST" and path.endswith("/generations"):
        return "create"
    if method == "POST" and path.endswith(("/responses", "/completions")):
        return "chat"
    if method == "GET" and "/tasks/" in path and "/control" not in path:
        return "poll"
    return "file" if path.startswith("/files/") else None


def is_accepted(note: dict[str, object]) -> bool:
    """Whether a callback was answered 2xx."""
    status = note["status"]
    return isinstance(status, int) and 200 <= status < 300
