"""What a member has, what it costs, and what staff change about it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.clock import Clock
from storage.database import Database
from storage.types import Allowance, Balance, HistoryLine


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """What members pay for a model, in µcr per million tokens; `typical_ucr` is one answer."""

    model: ChatModel
    input_ucr: int
    output_ucr: int
    typical_ucr: int


class CreditsService:
    """The wallet. Permission checks (*Manage Server*) are the caller's."""

    def __init__(
        self, *, database: Database, catalogue: Catalogue, allowance: Allowance, clock: Clock
    ) -> None:
        self._database = database

    async def balance(self, user_id: int) -> Balance:
        raise NotImplementedError

    async def history(
        self, user_id: int, *, before_id: int | None = None
    ) -> tuple[HistoryLine, ...]:
        """At most `HISTORY_LINES_MAX` lines, newest first, older than `before_id`."""
        raise NotImplementedError

    def prices(self) -> tuple[ModelPrice, ...]:
        raise NotImplementedError

    async def grant(
        self,
        user_id: int,
        *,
        credits: int,
        actor_id: int,
        actor_owns_guild: bool,
        guild_id: int | None,
        reason: str,
        reference: str,
    ) -> Balance:
        """Give whole credits. Raises `AmountInvalid`, `SelfGrant`; a repeat changes nothing."""
        raise NotImplementedError

    async def take(
        self,
        user_id: int,
        *,
        credits: int,
        actor_id: int,
        actor_owns_guild: bool,
        guild_id: int | None,
        reason: str,
        reference: str,
    ) -> Balance:
        """Take whole credits, at most what is available, else `InsufficientCredits`."""
        raise NotImplementedError

    async def set(
        self,
        user_id: int,
        *,
        credits: int,
        actor_id: int,
        actor_owns_guild: bool,
        guild_id: int | None,
        reason: str,
        reference: str,
    ) -> Balance:
        """Make the spendable amount exactly `credits` (0 allowed)."""
        raise NotImplementedError
