"""Hands and eyes in a running sandbox, to use the bot like a member."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from bot.providers.sse import SseReader
from tests.e2e.process import START_TIMEOUT_S, TOKENS_PER_S

ANSWER_TIMEOUT_S = 45.0
"""Long enough for 9,000 characters at Discord's pace of edits."""
LOOK_S = 0.5
"""What the provider does makes no event in Discord."""
WORDS_CHARS = 40
"""More than a placeholder has."""

Json = Any

BUSY = "My memory is busy"
BUSY_TRIES = 3
"""S-2: a disk that stands still for half a second is told, and asked again by who reads it."""


@dataclass(slots=True)
class World:
    """The control surface of the sandbox, as one member's hands and eyes."""

    base: str
    http: aiohttp.ClientSession
    users: dict[str, str] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    bot_id: str = ""

    async def get(self, path: str, **query: str) -> Json:
        async with self.http.get(f"{self.base}/control/{path}", params=query) as answer:
            assert answer.status < 300, f"{path}: {answer.status} {await answer.text()}"
            return await answer.json()

    async def send(self, path: str, body: Json, *, method: str = "POST") -> Json:
        url = f"{self.base}/control/{path}"
        async with self.http.request(method, url, json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{path}: {answer.status} {text}"
            return json.loads(text) if text else {}

    async def look_around(self) -> None:
        """Learn the names of the seeded world."""
        state = await self.get("state")
        self.users = {user["name"].lower(): user["id"] for user in state["users"]}
        self.channels = {channel["name"]: channel["id"] for channel in state["channels"]}
        self.bot_id = state["bot"]["id"]

    async def bot_online(self) -> None:
        """Wait until the bot is connected and its commands are registered."""

        async def there() -> bool:
            state = await self.get("state")
            return bool(state["bot_online"] and state["commands"])

        await self.until(there, "the bot is online", timeout_s=START_TIMEOUT_S)

    async def bot_offline(self) -> None:
        async def gone() -> bool:
            return not (await self.get("state"))["bot_online"]

        await self.until(gone, "the bot is offline")

    async def new_channel(self, name: str) -> str:
        """A text channel of this test's own; its id."""
        return str((await self.send("channels", {"name": name}))["channel_id"])

    async def close_channel(self, channel: str) -> None:
        """Take the bot's right to see and write in a channel (View Channel, Send Messages)."""
        body = {"target_id": self.bot_id, "allow": "0", "deny": str((1 << 10) | (1 << 11))}
        await self.send(f"channels/{channel}/overwrites", body, method="PUT")

    # --- a member's hands ---------------------------------------------------------------------

    async def say(
        self,
        user: str,
        channel: str,
        text: str,
        *,
        files: dict[str, tuple[str, bytes]] | None = None,
        reply_to: str | None = None,
    ) -> str:
        """Write a message (`{bot}` becomes the mention); its id. `files`: name → (type, bytes)."""
        body: dict[str, Json] = {
            "user_id": self.users[user],
            "channel_id": self.channels.get(channel, channel),
            "content": text.replace("{bot}", f"<@{self.bot_id}>"),
            "attachments": [_file(name, *content) for name, content in (files or {}).items()],
        }
        if reply_to:
            body["reply_to"] = reply_to
        return str((await self.send("messages", body))["message_id"])

    async def open_dm(self, user: str) -> str:
        return str((await self.send("dm", {"user_id": self.users[user]}))["channel_id"])

    async def command(self, user: str, channel: str, name: str, **options: Json) -> str:
        body = {
            "user_id": self.users[user],
            "channel_id": self.channels.get(channel, channel),
            "name": name,
            "options": options,
            # Discord would hide staff commands from a member; our own check must hold, too.
            "override": True,
        }
        return str((await self.send("commands", body))["interaction_id"])

    async def press(self, user: str, message: Json, label: str) -> str:
        button = next(b for b in buttons(message) if b.get("label") == label)
        body = {
            "user_id": self.users[user],
            "message_id": message["id"],
            "custom_id": button["custom_id"],
        }
        return str((await self.send("components", body))["interaction_id"])

    async def fill_in(self, user: str, interaction_id: str, text: str) -> str:
        """Submit the modal that this interaction opened, with `text` in its only field."""
        found: list[Json] = []

        async def opened() -> bool:
            state = await self.get(f"interactions/{interaction_id}")
            found[:] = [state["modal"]] if state.get("modal") else []
            return bool(found)

        await self.until(opened, "the modal is open", user=user)
        fields = [c["custom_id"] for c in components(found[0]) if c["type"] == 4]
        body = {
            "user_id": self.users[user],
            "interaction_id": interaction_id,
            "values": {fields[0]: text},
        }
        return str((await self.send("modals", body))["interaction_id"])

    async def menu(self, user: str, channel: str, name: str, message_id: str) -> str:
        """Right click on a message."""
        body = {
            "user_id": self.users[user],
            "channel_id": self.channels.get(channel, channel),
            "name": name,
            "type": 3,
            "target_id": message_id,
        }
        return str((await self.send("commands", body))["interaction_id"])

    # --- a member's eyes ------------------------------------------------------------------------

    async def messages(self, user: str, channel: str) -> list[Json]:
        cid = self.channels.get(channel, channel)
        answer = await self.get(f"channels/{cid}/messages", user_id=self.users[user], limit="100")
        return list(answer["messages"])

    async def answers_to(self, user: str, channel: str, message_id: str) -> list[Json]:
        """The bot's messages that reply to this one, and those that continue such a reply."""
        replies: list[Json] = []
        family = {message_id}
        for message in await self.messages(user, channel):
            if message["author"]["id"] != self.bot_id:
                continue
            if (message.get("message_reference") or {}).get("message_id") in family:
                family.add(message["id"])
                replies.append(message)
        return [reply for reply in replies if not reply.get("deleted")]

    async def answered(self, user: str, channel: str, message_id: str) -> list[Json]:
        """Wait for the end of the answer: no Stop button, and a word about the money."""
        found: list[Json] = []

        async def over() -> bool:
            found[:] = await self.answers_to(user, channel, message_id)
            return is_over(found) and "charged" in whole_text(found)

        await self.until(over, f"{message_id} is answered", user=user)
        return found

    async def streaming(self, user: str, channel: str, message_id: str) -> Json:
        """Wait until words of the answer are shown while it can still be stopped."""
        found: list[Json] = []

        async def has_words() -> bool:
            answers = await self.answers_to(user, channel, message_id)
            found[:] = [
                answer
                for answer in answers
                if len(visible_text(answer)) > WORDS_CHARS
                and any(button.get("label") == "Stop" for button in buttons(answer))
            ]
            return bool(found)

        await self.until(has_words, f"the answer to {message_id} streams", user=user)
        return found[0]

    async def responded(self, user: str, channel: str, interaction_id: str) -> Json:
        """Wait for the message that answers this interaction, in its final form."""
        found: list[Json] = []

        async def over() -> bool:
            state = await self.get(f"interactions/{interaction_id}")
            if not state.get("message_id"):
                return False
            messages = await self.messages(user, channel)
            found[:] = [m for m in messages if m["id"] == state["message_id"]]
            return state["state"] == "answered" and is_over(found)

        await self.until(over, f"interaction {interaction_id} is answered", user=user)
        return found[0]

    async def ask(self, user: str, channel: str, text: str) -> str:
        """Mention the bot, wait for the end, return the whole text."""
        message_id = await self.say(user, channel, f"{{bot}} {text}")
        return whole_text(await self.answered(user, channel, message_id))

    async def chat(self, user: str, channel: str, prompt: str, **options: Json) -> Json:
        """Use `/chat`; the message that answers it, in its final form."""
        interaction_id = await self.command(user, channel, "chat", prompt=prompt, **options)
        return await self.responded(user, channel, interaction_id)

    async def balance(self, user: str, channel: str = "bot-lab") -> Decimal:
        """The number that `/credits balance` shows first."""
        for _try in range(BUSY_TRIES):
            interaction_id = await self.command(user, channel, "credits balance")
            text = visible_text(await self.responded(user, channel, interaction_id))
            if BUSY not in text:
                break
        found = re.search(r"\*\*([\d,]+(?:\.\d+)?)\*\* to spend", text)
        assert found, text
        return Decimal(found[1].replace(",", ""))

    async def set_balance(self, user: str, credits_left: int) -> None:
        """As staff."""
        member = self.users[user]
        interaction_id = await self.command(
            "sam", "bot-lab", "quota set", member=member, amount=credits_left, reason="a test"
        )
        await self.responded("sam", "bot-lab", interaction_id)

    async def until(
        self,
        condition: Callable[[], Any],
        what: str,
        *,
        user: str | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """Look again whenever something happened in Discord, and now and then for the rest."""
        user_id = self.users.get(user or "", "")
        try:
            async with asyncio.timeout(timeout_s), self.events(user_id) as events:
                news = asyncio.ensure_future(anext(events))
                try:
                    while not await condition():
                        if (await asyncio.wait({news}, timeout=LOOK_S))[0]:
                            news = asyncio.ensure_future(anext(events))
                finally:
                    news.cancel()
        except TimeoutError as error:
            raise AssertionError(f"never came true within {timeout_s} s: {what}") from error

    @asynccontextmanager
    async def events(self, user_id: str) -> AsyncIterator[AsyncIterator[str]]:
        """Names of what happens, as the page sees it; one also comes at once."""
        url = f"{self.base}/control/events"
        timeout = aiohttp.ClientTimeout(total=None)
        query = {"user_id": user_id} if user_id else {}
        async with self.http.get(url, params=query, timeout=timeout) as answer:
            yield self._read(answer)

    @staticmethod
    async def _read(answer: aiohttp.ClientResponse) -> AsyncIterator[str]:
        reader = SseReader()
        async for chunk in answer.content.iter_any():
            for event in reader.feed(chunk):
                yield event.event

    # --- the provider's switches --------------------------------------------------------------

    async def provider_fault(self, kind: str, **facts: Json) -> None:
        await self.send("provider/faults", {"kind": kind, "times": 1, **facts})

    async def provider_script(self, text: str, **facts: Json) -> None:
        await self.send("provider/script", {"text": text, "times": 1, **facts})

    async def consumed(self) -> Decimal:
        """What the provider has charged so far, in its credits."""
        return Decimal((await self.get("provider/account"))["consumed"])

    async def pace(self, *, tokens_per_s: int) -> None:
        """How fast the model writes from now on."""
        body = {"tokens_per_s": tokens_per_s, "first_token_delay_s": 0.1}
        await self.send("provider/pace", body, method="PUT")

    async def clear_switches(self) -> None:
        """No fault, script or pace of a former test is left."""
        await self.pace(tokens_per_s=TOKENS_PER_S)
        for path in ("faults", "provider/faults", "provider/script"):
            await self.send(path, {}, method="DELETE")

    # --- what the bot did ---------------------------------------------------------------------

    async def requests(self, since: int = 0) -> list[Json]:
        """Every REST request of the bot after number `since`."""
        return list((await self.get("requests", since=str(since)))["requests"])

    async def requests_so_far(self) -> int:
        return max((request["n"] for request in await self.requests()), default=0)


def _file(name: str, content_type: str, data: bytes) -> Json:
    encoded = base64.b64encode(data).decode()
    return {"filename": name, "content_type": content_type, "data_base64": encoded}


def components(message: Json) -> list[Json]:
    """All components of a message, flat."""
    found: list[Json] = []
    pending = list(message.get("components") or [])
    while pending:
        component = pending.pop(0)
        found.append(component)
        pending[:0] = component.get("components") or []
        for single in ("accessory", "component"):
            if component.get(single):
                pending.insert(0, component[single])
    return found


def buttons(message: Json) -> list[Json]:
    return [component for component in components(message) if component["type"] == 2]


def visible_text(message: Json) -> str:
    """Content and text displays, as a person reads them."""
    texts = [message.get("content") or ""]
    texts += [c["content"] for c in components(message) if c["type"] == 10]
    return "\n".join(text for text in texts if text)


def whole_text(messages: list[Json]) -> str:
    return "\n".join(visible_text(message) for message in messages)


def is_over(messages: list[Json]) -> bool:
    """An answer is over when it has words and no Stop button is left."""
    if not messages or any(b.get("label") == "Stop" for m in messages for b in buttons(m)):
        return False
    return bool(visible_text(messages[-1]))
