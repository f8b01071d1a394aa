"""What a member has, what it costs, and what staff change about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.catalogue.media import MediaModel
from bot.catalogue.pricing import charge_ucr
from bot.clock import Clock
from bot.errors import (
    AmountInvalid,
    GiftTooLarge,
    GiftToSelf,
    SelfGrant,
    TakeTooLarge,
    TimeZoneUnknown,
)
from bot.limits import (
    BUDGET_CREDITS_MAX,
    GRANT_CREDITS_MAX,
    HISTORY_LINES_MAX,
    TIME_ZONE_CHARS_MAX,
)
from storage import budgets, jobs, ledger
from storage.budgets import BudgetChange
from storage.database import Connection, Store
from storage.errors import InsufficientCredits
from storage.types import UCR_PER_CREDIT, Allowance, Balance, Budget, BudgetWindow, HistoryLine, Job

PER_MILLION = 1_000_000
TYPICAL_INPUT_TOKENS = 1_000
"""Our instructions, a question and a little history."""
TYPICAL_OUTPUT_TOKENS = 400
"""Some 300 words, a little thinking included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """What members pay: µcr per million tokens; `typical_ucr` is an everyday answer."""

    model: ChatModel
    input_ucr: int
    output_ucr: int
    typical_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaModelPrice:
    """What members pay: µcr per `model.price.per`, by choice of `model.price.by` ("" if none)."""

    model: MediaModel
    amounts_ucr: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffAct:
    """Who acts, where, why; `reference` (the interaction's id) makes it happen once."""

    actor_id: int
    actor_owns_guild: bool
    guild_id: int | None
    reason: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What staff set for a server, None if nothing; the running windows under its ceilings."""

    budget: Budget | None
    windows: tuple[BudgetWindow, ...]


class CreditsService:
    """The wallet. The permission (*Manage Server*) is checked by the caller.

    Every method may raise `StoreUnavailable`; then nothing has changed.
    """

    def __init__(
        self, *, database: Store, catalogue: Catalogue, allowance: Allowance, clock: Clock
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._allowance = allowance
        self._clock = clock

    async def balance(self, user_id: int) -> Balance:
        """What the member has now. Starts the day's allowance when it is due, so it writes."""
        return await self._database.transact(
            ledger.balance,
            user_id=user_id,
            allowance=self._allowance,
            now_us=self._clock.now_us(),
        )

    async def history(
        self, user_id: int, *, before_id: int | None = None
    ) -> tuple[HistoryLine, ...]:
        """At most `HISTORY_LINES_MAX` lines, newest first, older than `before_id`."""
        return await self._database.read(
            ledger.history, user_id=user_id, limit=HISTORY_LINES_MAX, before_id=before_id
        )

    async def jobs_of(self, history: Iterable[HistoryLine]) -> Mapping[str, Job]:
        """The pictures and videos among these lines' causes, by reference; the rest are answers."""
        references = tuple(line.reference for line in history)
        return await self._database.read(_jobs_of, references=references)

    def prices(self) -> tuple[ModelPrice, ...]:
        """Every chat model with the multiplier in it, in the catalogue's order."""
        return tuple(self._price(model) for model in self._catalogue.chat_models.values())

    def media_prices(self, models: Iterable[MediaModel]) -> tuple[MediaModelPrice, ...]:
        """Each of these models of pictures and videos with the multiplier in its amounts."""
        multiplier_ppm = self._catalogue.multiplier_ppm
        return tuple(
            MediaModelPrice(
                model=model,
                amounts_ucr=tuple(
                    (choice, charge_ucr(amount_ucr, multiplier_ppm))
                    for choice, amount_ucr in model.price.amounts_ucr.items()
                ),
            )
            for model in models
        )

    def _price(self, model: ChatModel) -> ModelPrice:
        price, multiplier_ppm = model.price, self._catalogue.multiplier_ppm
        typical_ucr = (
            TYPICAL_INPUT_TOKENS * price.input_ucr + TYPICAL_OUTPUT_TOKENS * price.output_ucr
        )
        return ModelPrice(
            model=model,
            input_ucr=charge_ucr(PER_MILLION * price.input_ucr, multiplier_ppm),
            output_ucr=charge_ucr(PER_MILLION * price.output_ucr, multiplier_ppm),
            typical_ucr=charge_ucr(typical_ucr, multiplier_ppm),
        )

    async def gift(
        self, giver_id: int, receiver_id: int, amount_credits: int, *, reference: str
    ) -> Balance:
        """Give another member whole credits, once per `reference`; what the giver has left.

        Raises `GiftToSelf`, `AmountInvalid`, `GiftTooLarge`: the allowance is not one's to give.
        """
        if giver_id == receiver_id:
            raise GiftToSelf
        amount_ucr = _whole_ucr(amount_credits, low=1)
        try:
            return await self._database.transact(
                ledger.gift,
                giver_id=giver_id,
                receiver_id=receiver_id,
                amount_ucr=amount_ucr,
                reference=reference,
                allowance=self._allowance,
                now_us=self._clock.now_us(),
            )
        except InsufficientCredits as error:  # its words are for whoever wants to spend
            raise GiftTooLarge(
                needed_ucr=error.needed_ucr, available_ucr=error.available_ucr
            ) from error

    async def budget(self, guild_id: int) -> BudgetState:
        """A server's ceilings and how far they are used. Begins windows that are due."""
        return await self._database.transact(
            _budget_state, guild_id=guild_id, now_us=self._clock.now_us()
        )

    async def set_budget(
        self,
        guild_id: int,
        *,
        day_credits: int | None,
        month_credits: int | None,
        timezone: str | None,
        actor_id: int,
        reference: str,
    ) -> BudgetState:
        """Change ceilings of a server; None leaves one as it is, 0 lifts it. Once per reference.

        Raises `AmountInvalid` above `BUDGET_CREDITS_MAX`, `TimeZoneUnknown`.
        """
        if timezone is not None:
            _check_zone(timezone)
        change = BudgetChange(
            day_ucr=_ceiling_ucr(day_credits),
            month_ucr=_ceiling_ucr(month_credits),
            timezone=timezone,
        )
        return await self._database.transact(
            _change_budget,
            guild_id=guild_id,
            change=change,
            timezone=self._allowance.timezone,
            actor_id=actor_id,
            reference=reference,
            now_us=self._clock.now_us(),
        )

    async def grant(self, user_id: int, amount_credits: int, act: StaffAct) -> Balance:
        """Give 1 … `GRANT_CREDITS_MAX` whole credits; a repeated reference changes nothing.

        Raises `AmountInvalid`, `SelfGrant`.
        """
        amount_ucr = _checked_ucr(user_id, amount_credits, act, low=1)
        return await self._database.transact(
            ledger.grant, user_id=user_id, amount_ucr=amount_ucr, **self._facts(act)
        )

    async def take(self, user_id: int, amount_credits: int, act: StaffAct) -> Balance:
        """Take back whole credits. Raises also `TakeTooLarge` above what is available."""
        amount_ucr = _checked_ucr(user_id, amount_credits, act, low=1)
        try:
            return await self._database.transact(
                ledger.take, user_id=user_id, amount_ucr=amount_ucr, **self._facts(act)
            )
        except InsufficientCredits as error:  # its words are for whoever wants to spend
            raise TakeTooLarge(
                needed_ucr=error.needed_ucr, available_ucr=error.available_ucr
            ) from error

    async def set(self, user_id: int, target_credits: int, act: StaffAct) -> Balance:
        """Make the spendable amount exactly `target_credits` (0 … `GRANT_CREDITS_MAX`)."""
        target_ucr = _checked_ucr(user_id, target_credits, act, low=0)
        return await self._database.transact(
            ledger.set_balance, user_id=user_id, target_ucr=target_ucr, **self._facts(act)
        )

    def _facts(self, act: StaffAct) -> ledger.StaffFacts:
        return {
            "actor_id": act.actor_id,
            "guild_id": act.guild_id,
            "reason": act.reason,
            "reference": act.reference,
            "allowance": self._allowance,
            "now_us": self._clock.now_us(),
        }


def _jobs_of(connection: Connection, *, references: Iterable[str]) -> dict[str, Job]:
    found = (jobs.by_reference(connection, reference=reference) for reference in references)
    return {job.reference: job for job in found if job is not None}


def _checked_ucr(user_id: int, amount_credits: int, act: StaffAct, *, low: int) -> int:
    """F-141, F-142. The self check comes first: it holds for every amount."""
    if act.actor_id == user_id and not act.actor_owns_guild:
        raise SelfGrant
    return _whole_ucr(amount_credits, low=low)


def _budget_state(connection: Connection, *, guild_id: int, now_us: int) -> BudgetState:
    return BudgetState(
        budget=budgets.budget_of(connection, guild_id=guild_id),
        windows=budgets.budget_windows(connection, guild_id=guild_id, now_us=now_us),
    )


def _change_budget(
    connection: Connection,
    *,
    guild_id: int,
    change: BudgetChange,
    timezone: str,
    actor_id: int,
    reference: str,
    now_us: int,
) -> BudgetState:
    budgets.set_budget(
        connection,
        guild_id=guild_id,
        change=change,
        timezone=timezone,
        actor_id=actor_id,
        reference=reference,
        now_us=now_us,
    )
    return _budget_state(connection, guild_id=guild_id, now_us=now_us)


def _check_zone(name: str) -> None:
    if name == "UTC":  # needs no zone data, which a bare machine may lack
        return
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeZoneUnknown(given=name[:TIME_ZONE_CHARS_MAX]) from error


def _ceiling_ucr(amount_credits: int | None) -> int | None:
    if amount_credits is None:
        return None
    return _whole_ucr(amount_credits, low=0, high=BUDGET_CREDITS_MAX)


def _whole_ucr(amount_credits: int, *, low: int, high: int = GRANT_CREDITS_MAX) -> int:
    # Not isinstance: True is an int to Python, and nobody's intention.
    if type(amount_credits) is not int or not low <= amount_credits <= high:
        raise AmountInvalid(given=str(amount_credits)[:40], low=low, high=high)
    return amount_credits * UCR_PER_CREDIT
