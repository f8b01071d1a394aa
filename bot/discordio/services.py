"""What the cogs are handed at start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bot.catalogue.catalogue import Catalogue
from bot.chat.service import ChatService
from bot.clock import Clock
from bot.credits.service import CreditsService
from bot.discordio.pacing import ChannelPacer
from bot.jobs.ports import Messages
from bot.jobs.service import JobService
from bot.jobs.sinks import Sinks
from storage import preferences
from storage.database import Store


class CommandMemory(Protocol):
    """Remembers which command tree Discord was last given."""

    async def last_digest(self) -> str | None:
        """The digest given to `remember`, or None at the first start."""
        ...

    async def remember(self, digest: str) -> None:
        """Keep `digest` over restarts."""
        ...


class StoredCommandMemory:
    """`CommandMemory` in the database."""

    KEY = "discord.commands"

    def __init__(self, database: Store, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def last_digest(self) -> str | None:
        """May raise `StoreUnavailable`."""
        return await self._database.read(preferences.get, key=self.KEY)

    async def remember(self, digest: str) -> None:
        """May raise `StoreUnavailable`."""
        await self._database.transact(
            preferences.put, key=self.KEY, value=digest, now_us=self._clock.now_us()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a cog may be given; `setup(bot)` passes each only what it needs.

    `sinks` makes the way of cards into the messages of a client. `demo` marks every answer when a
    simulated provider stands behind a real Discord.
    """

    chat: ChatService
    credits: CreditsService
    jobs: JobService
    sinks: Callable[[Messages], Sinks]
    catalogue: Catalogue
    pacer: ChannelPacer
    clock: Clock
    demo: bool = False
