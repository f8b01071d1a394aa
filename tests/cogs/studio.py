"""A town in which pictures and videos are made: its foreman, and hands for cards and forms."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from bot.jobs.sinks import Sinks
from sandbox.discord.seed import GENERAL_ID
from storage.types import Job
from tests.cogs.foreman import PNG, Foreman
from tests.cogs.town import USERS, Inhabited, Json, Town

GALLERY, BUTTON, TEXT = 12, 2, 10


class Studio:
    """The town and the foreman. Jobs are Mira's unless told otherwise."""

    def __init__(self, town: Town, inhabited: Inhabited) -> None:
        self.town = town
        self.inhabited = inhabited
        self.foreman: Foreman = inhabited.foreman

    @property
    def delivery(self) -> Sinks:
        return self.town.bot.delivery

    # --- As a member --------------------------------------------------------------------------

    async def order(
        self,
        user: str = "mira",
        *,
        command: str = "imagine",
        channel: int = GENERAL_ID,
        images: tuple[str, ...] = (),
        **options: Json,
    ) -> Job:
        """Order by a slash command, and return the job once its card stands there."""
        count = len(self.foreman.jobs_of(USERS[user]))
        options = {"prompt": "a red fox"} | options
        interaction_id = await self.use(
            user, command, channel=channel, files=images, options=options
        )
        told = await self.answered(interaction_id)
        assert told["state"] == "answered", told
        found = self.foreman.jobs_of(USERS[user])
        assert len(found) == count + 1, await self.town.messages(channel=channel, user=user)
        return await self.recorded(found[-1])

    async def use(
        self,
        user: str,
        command: str,
        *,
        channel: int = GENERAL_ID,
        files: tuple[str, ...] = (),
        options: Json = None,
    ) -> str:
        """Use a command; `files` are options filled with a picture. The interaction's id."""
        body = {
            "user_id": str(USERS[user]),
            "channel_id": str(channel),
            "name": command,
            "options": options or {},
            "attachments": {name: picture(f"{name}.png") for name in files},
            "override": True,
        }
        return str((await self.town.call("POST", "commands", body))["interaction_id"])

    async def menu(
        self, user: str, name: str, message_id: str, *, channel: int = GENERAL_ID
    ) -> str:
        """Right click a message."""
        body = {
            "user_id": str(USERS[user]),
            "channel_id": str(channel),
            "name": name,
            "type": 3,
            "target_id": message_id,
        }
        return str((await self.town.call("POST", "commands", body))["interaction_id"])

    async def complete(self, user: str, command: str, focused: str, **options: Json) -> list[Json]:
        """What Discord offers while an option is typed."""
        body = {
            "user_id": str(USERS[user]),
            "channel_id": str(GENERAL_ID),
            "name": command,
            "options": options,
            "focused": focused,
        }
        return list((await self.town.call("POST", "autocomplete", body))["choices"])

    async def press(self, user: str, message: Json, label: str) -> str:
        """Press the button that says so; the interaction's id."""
        button = next(one for one in parts(message, BUTTON) if one["label"] == label)
        body = {
            "user_id": str(USERS[user]),
            "message_id": message["id"],
            "custom_id": button["custom_id"],
        }
        return str((await self.town.call("POST", "components", body))["interaction_id"])

    async def fill(self, user: str, interaction_id: str, prompt: str) -> str:
        """Fill in the form that an interaction was answered with."""
        body = {
            "user_id": str(USERS[user]),
            "interaction_id": interaction_id,
            "values": {"prompt": prompt},
        }
        return str((await self.town.call("POST", "modals", body))["interaction_id"])

    async def answered(self, interaction_id: str) -> Json:
        """The interaction, once "thinking…" has become something or was taken back."""
        told: Json = await self.town.settled(interaction_id)
        if told["state"] == "deferred" and told["response_type"] == 5:
            sandbox = self.town.sandbox

            def is_through(_: list[Json]) -> bool:
                message = sandbox.world.find_message(int(told["message_id"]))
                return message is None or message.deleted or not message.flags & 128

            await self.town.until(is_through)
            told = await self.town.call("GET", f"interactions/{interaction_id}")
        return told

    async def recorded(self, job: Job) -> Job:
        """The job, once its card is written down."""
        await self.town.until(lambda _: self.foreman.fresh(job).card_message_id is not None)
        return self.foreman.fresh(job)

    # --- Looking ------------------------------------------------------------------------------

    async def card(self, job: Job, *, channel: int = GENERAL_ID) -> Json:
        """The message that is the job's card."""
        message_id = (await self.recorded(job)).card_message_id
        return await self.message(str(message_id), channel=channel)

    async def message(
        self, message_id: str, *, channel: int = GENERAL_ID, user: str = "mira"
    ) -> Json:
        found = await self.town.messages(channel=channel, user=user)
        return next(one for one in found if one["id"] == message_id)

    async def private(self, user: str = "mira", *, channel: int = GENERAL_ID) -> list[Json]:
        """What only this member sees."""
        found = await self.town.messages(channel=channel, user=user)
        return [
            one
            for one in found
            if one["ephemeral_for"] == str(USERS[user]) and not one.get("deleted")
        ]

    async def until_private(
        self, condition: Callable[[list[Json]], bool], *, user: str = "mira"
    ) -> list[Json]:
        """The member's private messages, once they are as awaited."""
        own = str(USERS[user])

        def mine(found: list[Json]) -> list[Json]:
            return [one for one in found if one["ephemeral_for"] == own]

        found = await self.town.until(lambda all_: condition(mine(all_)), user=user)
        return mine(found)


def picture(filename: str, data: bytes = PNG) -> Json:
    return {
        "filename": filename,
        "content_type": "image/png",
        "data_base64": base64.b64encode(data).decode(),
    }


def parts(message: Json, kind: int) -> list[Json]:
    """Components of one kind, top to bottom."""

    def walk(components: list[Json]) -> Iterator[Json]:
        for one in components:
            if one["type"] == kind:
                yield one
            yield from walk(one.get("components") or [])

    return list(walk(message.get("components") or []))


def labels(message: Json) -> list[str]:
    return [str(one["label"]) for one in parts(message, BUTTON)]


def gallery(message: Json) -> list[Json]:
    """The media that a card shows."""
    return [item for one in parts(message, GALLERY) for item in one["items"]]


@asynccontextmanager
async def opened(**options: Any) -> AsyncGenerator[Studio]:
    """A studio with the bot online."""
    inhabited = Inhabited(**options)
    async with inhabited.open() as town:
        yield Studio(town, inhabited)
