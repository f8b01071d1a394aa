"""What the cogs are handed at start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.catalogue.catalogue import Catalogue
from bot.chat.service import ChatService
from bot.clock import Clock
from bot.credits.service import CreditsService
from bot.discordio.pacing import ChannelPacer


class CommandMemory(Protocol):
    """Remembers which command tree Discord was last given."""

    async def last_digest(self) -> str | None:
        """The digest given to `remember`, or None at the first start."""
        ...

    async def remember(self, digest: str) -> None:
        """Keep `digest` over restarts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a cog may be given; `setup(bot)` passes each only what it needs.

    `demo` marks every answer when a simulated provider stands behind a real Discord.
    """

    chat: ChatService
    credits: CreditsService
    catalogue: Catalogue
    pacer: ChannelPacer
    clock: Clock
    demo: bool = False
