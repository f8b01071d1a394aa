"""The real client and the real cogs in a simulated Discord on loopback, with a scripted model."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.catalogue.loader import load
from bot.chat.service import ChatService
from bot.clock import Clock, SystemClock
from bot.credits.service import CreditsService
from bot.discordio import endpoints
from bot.discordio.client import AtelierBot
from bot.discordio.pacing import ChannelPacer
from bot.discordio.reception import Reception
from bot.discordio.services import Services, StoredCommandMemory
from bot.discordio.start_guard import StartGuard
from bot.jobs.ports import Messages
from bot.jobs.sinks import Sinks
from bot.providers.base import (
    ChatAnswer,
    ChatEvent,
    ChatProvider,
    ChatRequest,
    Finished,
    FinishReason,
    TextDelta,
    Usage,
)
from bot.providers.breaker import Breakers
from sandbox.discord.faults import parse_fault
from sandbox.discord.posting import Draft
from sandbox.discord.seed import BOT_ID, GENERAL_ID, GUILD_ID, MIRA_ID, OLIVE_ID, SAM_ID, TOM_ID
from sandbox.discord.server import DiscordSandbox
from sandbox.discord.world import MessageType
from storage.inline import InlineDatabase
from storage.types import UCR_PER_CREDIT, Allowance
from tests.cogs.foreman import Foreman

USERS = {"mira": MIRA_ID, "tom": TOM_ID, "sam": SAM_ID, "olive": OLIVE_ID, "bot": BOT_ID}
PATIENCE_S = 20.0
"""What has not happened by then will not."""
POLL_S = 0.03
"""The control surface is asked again after this."""
Json = Any
Step = ChatEvent | BaseException | asyncio.Event


class Model:
    """A chat provider that says what a test tells it to; an `Event` among the steps is awaited."""

    def __init__(self) -> None:
        self.scripts: list[Sequence[Step]] = []
        self.requests: list[ChatRequest] = []

    def says(self, *texts: str, cost: str = "0.08", then: Step | None = None) -> None:
        """Queue one answer; `then` stands between the words and the end."""
        ending = Finished(
            reason=FinishReason.STOP,
            usage=Usage(input_tokens=20, output_tokens=30),
            credits_consumed=Decimal(cost),
        )
        words = [TextDelta(text=text) for text in texts]
        self.scripts.append([*words, *([then] if then is not None else []), ending])

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.requests.append(request)
        for step in self.scripts.pop(0):
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        raise NotImplementedError  # The chat always streams.

    def for_model(self, model: ChatModel) -> ChatProvider:
        del model
        return self


class EagerClock(SystemClock):
    """The real time, but nobody waits for it."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        await asyncio.sleep(0)


class Town:
    """A guild with the bot in it, and hands to use it like a member."""

    def __init__(
        self, sandbox: DiscordSandbox, bot: AtelierBot, model: Model, http: aiohttp.ClientSession
    ) -> None:
        self.sandbox = sandbox
        self.bot = bot
        self.model = model
        self._http = http

    async def call(self, method: str, path: str, body: Json = None) -> Json:
        url = f"{self.sandbox.base_url}/control/{path}"
        async with self._http.request(method, url, json=body) as answer:
            data = await answer.json(content_type=None)
            assert answer.status < 300, data
            return data

    async def say(
        self,
        user: str,
        text: str,
        *,
        channel: int = GENERAL_ID,
        reply_to: str | None = None,
        files: Mapping[str, tuple[str | None, bytes]] | None = None,
    ) -> str:
        """Write a message, in which `{bot}` is the mention; its id.

        `files`: name → (type, bytes).
        """
        body: Json = {
            "user_id": str(USERS[user]),
            "channel_id": str(channel),
            "content": text.replace("{bot}", f"<@{BOT_ID}>"),
        }
        if reply_to is not None:
            body["reply_to"] = reply_to
        if files:
            body["attachments"] = [_file(name, *content) for name, content in files.items()]
        return str((await self.call("POST", "messages", body))["message_id"])

    def bot_writes(self, text: str) -> None:
        """Put a message of the bot into the channel."""
        draft = Draft(author_id=BOT_ID, channel_id=GENERAL_ID, body={"content": text})
        self.sandbox.core.posting.create(draft)

    def write_raw(self, user: str, body: Json, *, reply_to: str) -> None:
        """Write a reply with fields that the control surface does not offer."""
        self.sandbox.core.posting.create(
            Draft(
                author_id=USERS[user],
                channel_id=GENERAL_ID,
                body=body,
                reference=(GENERAL_ID, int(reply_to)),
                type=MessageType.REPLY,
            )
        )

    async def use(
        self, user: str, command: str, *, channel: int = GENERAL_ID, **options: Json
    ) -> str:
        """Use a slash command; the interaction's id."""
        body = {
            "user_id": str(USERS[user]),
            "channel_id": str(channel),
            "name": command,
            "options": options,
            "override": True,  # staff may have shown the command to everybody
        }
        return str((await self.call("POST", "commands", body))["interaction_id"])

    async def card(self, user: str, command: str, **options: Json) -> Json:
        """Use a command and wait for its answer."""
        interaction_id = await self.use(user, command, **options)
        told = await self.settled(interaction_id)
        async with asyncio.timeout(PATIENCE_S):
            while told["state"] == "deferred":
                await asyncio.sleep(POLL_S)
                told = await self.settled(interaction_id)
        assert told["state"] == "answered", told
        shown = await self.messages(channel=options.get("channel", GENERAL_ID), user=user)
        return next(one for one in shown if one["id"] == told["message_id"])

    async def press(self, user: str, message: Json) -> str:
        """Press the first button under a message; the interaction's id."""
        button = message["components"][0]["components"][0]
        body = {
            "user_id": str(USERS[user]),
            "message_id": message["id"],
            "custom_id": button["custom_id"],
        }
        return str((await self.call("POST", "components", body))["interaction_id"])

    async def settled(self, interaction_id: str) -> Json:
        """The interaction, once the bot has answered it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = await self.call("GET", f"interactions/{interaction_id}")
                if told["state"] != "pending":
                    return told
                await asyncio.sleep(POLL_S)

    async def dm(self, user: str) -> int:
        """The channel between a user and the bot."""
        return int((await self.call("POST", "dm", {"user_id": str(USERS[user])}))["channel_id"])

    async def messages(self, *, channel: int = GENERAL_ID, user: str = "mira") -> list[Json]:
        path = f"channels/{channel}/messages?user_id={USERS[user]}&limit=100"
        return list((await self.call("GET", path))["messages"])

    async def from_bot(self, *, channel: int = GENERAL_ID, user: str = "mira") -> list[Json]:
        """What the bot wrote there and what still stands."""
        return [
            message
            for message in await self.messages(channel=channel, user=user)
            if message["author"]["id"] == str(BOT_ID) and not message.get("deleted")
        ]

    async def until(
        self,
        condition: Callable[[list[Json]], bool],
        *,
        channel: int = GENERAL_ID,
        user: str = "mira",
    ) -> list[Json]:
        """The bot's messages, once they are as awaited."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    found = await self.from_bot(channel=channel, user=user)
                    if condition(found):
                        return found
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            shown = [words(message) for message in found]
            raise AssertionError(f"never came; the bot wrote {shown}") from None

    async def finished(
        self, count: int = 1, *, channel: int = GENERAL_ID, user: str = "mira"
    ) -> list[Json]:
        """At least `count` messages of the bot, none of which is still being written."""
        return await self.until(
            lambda found: len(found) >= count and all(is_finished(one) for one in found),
            channel=channel,
            user=user,
        )

    async def requests(self) -> list[Json]:
        """Every REST request of the bot."""
        return list((await self.call("GET", "requests?since=0"))["requests"])

    async def fault(self, **fault: Json) -> None:
        """Let the simulated Discord fail."""
        await self.call("POST", "faults", fault)


def _file(name: str, content_type: str | None, data: bytes) -> Json:
    described = {"filename": name, "data_base64": base64.b64encode(data).decode()}
    return described if content_type is None else described | {"content_type": content_type}


def words(message: Json) -> str:
    """All text of a message, plain or on a card."""
    found = [message.get("content") or ""]
    stack = list(message.get("components") or [])
    while stack:
        component = stack.pop(0)
        found.append(component.get("content") or "")
        stack = list(component.get("components") or []) + stack
    return "\n".join(part for part in found if part)


def has_button(message: Json) -> bool:
    return any(row.get("type") == 1 for row in message.get("components") or [])


def is_finished(message: Json) -> bool:
    text = words(message)
    return not has_button(message) and "…*" not in text


class Inhabited:
    """Starts and stops a town."""

    def __init__(
        self,
        *,
        allowance_credits: int = 20,
        demo: bool = False,
        clock: Clock | None = None,
        sandbox: DiscordSandbox | None = None,
        faults: Sequence[Json] = (),
        database: InlineDatabase | None = None,
    ) -> None:
        self.sandbox = sandbox or DiscordSandbox()
        for fault in faults:
            self.sandbox.core.faults.add(parse_fault(fault))
        self.clock = clock or SystemClock()
        self.model = Model()
        self.database = database or InlineDatabase()
        self._demo = demo
        self._allowance = Allowance(amount_ucr=allowance_credits * UCR_PER_CREDIT)
        self.catalogue: Catalogue = load(None)
        self.breakers = Breakers(self.clock, probed=("aivideo",))
        self.foreman = Foreman(
            self.database,
            self.catalogue,
            allowance=self._allowance,
            clock=self.clock,
            breakers=self.breakers,
        )

    def services(self) -> Services:
        clock = self.clock
        return Services(
            chat=ChatService(
                database=self.database,
                providers=self.model,
                breakers=self.breakers,
                catalogue=self.catalogue,
                allowance=self._allowance,
                clock=clock,
            ),
            credits=CreditsService(
                database=self.database,
                catalogue=self.catalogue,
                allowance=self._allowance,
                clock=clock,
            ),
            jobs=self.foreman.service(),
            sinks=self.sinks,
            catalogue=self.catalogue,
            pacer=ChannelPacer(clock),
            clock=clock,
            demo=self._demo,
        )

    def sinks(self, messages: Messages) -> Sinks:
        """A new process's way of cards into a client's messages."""
        return Sinks(messages=messages, database=self.database, clock=self.clock)

    def client(self, *, message_content: bool = False) -> AtelierBot:
        """A client of its own, on the same books."""
        memory = StoredCommandMemory(self.database, self.clock)
        return AtelierBot(
            services=self.services(),
            memory=memory,
            reception=Reception(self.database, self.clock),
            guard=StartGuard(self.database, self.clock),
            message_content=message_content,
        )

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[None]:
        """Discord alone, and our client pointed at it."""
        async with TestServer(self.sandbox.app) as server:
            self.sandbox.base_url = str(server.make_url("")).rstrip("/")
            endpoints.use_api(self.sandbox.api_url)
            yield
        await self.database.close()
        self.foreman.folder.close()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Town]:
        """The town, with the bot online."""
        async with (
            self.served(),
            self.client() as bot,
            aiohttp.ClientSession() as http,
            self.online(bot),
        ):
            yield Town(self.sandbox, bot, self.model, http)

    @asynccontextmanager
    async def online(self, bot: AtelierBot) -> AsyncGenerator[None]:
        """Connect a client for as long."""
        running = asyncio.create_task(bot.start(self.sandbox.token))
        await _arrival(bot, running)
        yield
        await bot.services.chat.close()
        await bot.close()
        await running


async def _arrival(bot: AtelierBot, running: asyncio.Task[None]) -> None:
    """Until the guild came in; `on_ready` would wait two more seconds."""
    async with asyncio.timeout(PATIENCE_S):
        while bot.get_guild(GUILD_ID) is None:
            if running.done():
                running.result()
            await asyncio.sleep(0.02)
