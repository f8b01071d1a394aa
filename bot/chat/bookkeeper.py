"""Books the turns: the only part of the chat that talks to the database, and insists on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.catalogue.pricing import charge_ucr
from bot.chat.books import Opened, open_turn, settle_turn, void_turn
from bot.chat.ports import Question
from bot.chat.turn import Read
from bot.clock import Clock
from bot.limits import SETTLE_DELAYS_S
from bot.text.money import credits_text
from storage import ledger, turns
from storage.database import Store
from storage.errors import StorageError, StoreUnavailable
from storage.types import Allowance, Cause, Hold, Settlement

_log = structlog.get_logger(__name__)

TOKENS_PER_LISTED_PRICE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A turn that is not charged, and why; `loss_ucr` is what the provider took anyway."""

    error: Exception
    cause: Cause
    loss_ucr: int


def _unpaid(end: Read | Failure, error: StorageError) -> Failure:
    """The end of a turn whose member was told *not charged*, because it could not be booked."""
    if isinstance(end, Failure):
        return end
    return Failure(error=error, cause=Cause.INTERRUPTED, loss_ucr=end.cost_ucr)


class Bookkeeper:
    """One transaction to open a turn, one to end it; the end is tried until it is written."""

    def __init__(
        self, *, database: Store, catalogue: Catalogue, allowance: Allowance, clock: Clock
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._allowance = allowance
        self._clock = clock
        self._unwritten: dict[str, Failure] = {}

    async def open(self, question: Question, model: ChatModel, *, bot_name: str) -> Opened:
        """Raises `Duplicate`, `InsufficientCredits`, `StoreUnavailable`; then nothing was held."""
        await self._write_late()
        return await self._database.transact(
            open_turn,
            question=question,
            model=model,
            multiplier_ppm=self._catalogue.multiplier_ppm,
            allowance=self._allowance,
            bot_name=bot_name,
            now_us=self._clock.now_us(),
        )

    async def extend(self, reference: str, amount_ucr: int) -> Hold:
        return await self._database.transact(
            ledger.extend,
            reference=reference,
            amount_ucr=amount_ucr,
            allowance=self._allowance,
            now_us=self._clock.now_us(),
        )

    async def note_cost(self, reference: str, cost_ucr: int) -> None:
        """Keep what a running turn has cost so far, in case this process does not end it."""
        await self._database.transact(
            turns.note_cost, reference=reference, cost_estimate_ucr=cost_ucr
        )

    async def end(self, question: Question, answer: str, end: Read | Failure) -> Settlement:
        """Settle or void, in one transaction, tried again while the database is away.

        Raises `StorageError` when that did not help in `SETTLE_DELAYS_S`; the turn is then
        given back as soon as the database takes it, or at the next start.
        """
        try:
            return await self._insist(question, answer, end)
        except StorageError as error:
            self._unwritten[question.reference] = _unpaid(end, error)
            _log.exception("turn_not_booked", fault="F-110", reference=question.reference)
            raise

    async def _insist(self, question: Question, answer: str, end: Read | Failure) -> Settlement:
        for delay_s in SETTLE_DELAYS_S:
            try:
                return await self._write(question, answer, end)
            except StoreUnavailable:
                await self._clock.sleep(delay_s)
        return await self._write(question, answer, end)

    async def _write(self, question: Question, answer: str, end: Read | Failure) -> Settlement:
        if isinstance(end, Failure):
            return await self._void(question.reference, end)
        settlement = await self._database.transact(
            settle_turn,
            question=question,
            answer=answer,
            charge_ucr=end.charge_ucr,
            cause=end.cause,
            now_us=self._clock.now_us(),
        )
        if settlement.loss_ucr:
            _log.error(
                "cost_above_hold",
                fault="F-51",
                reference=question.reference,
                loss_ucr=settlement.loss_ucr,
            )
        return settlement

    async def _void(self, reference: str, failure: Failure) -> Settlement:
        return await self._database.transact(
            void_turn,
            reference=reference,
            cause=failure.cause,
            loss_ucr=failure.loss_ucr,
            now_us=self._clock.now_us(),
        )

    async def _write_late(self) -> None:
        """Give back what could not be booked in time: its members were told *not charged*."""
        for reference, failure in tuple(self._unwritten.items()):
            try:
                await self._void(reference, failure)
            except StoreUnavailable:
                return
            except StorageError:
                _log.exception("turn_booked_otherwise", reference=reference)
            self._unwritten.pop(reference, None)

    async def credits_of(self, user_id: int) -> Mapping[str, Any]:
        """For the tool `get_my_credits`: the asking member's wallet, and the prices."""
        balance = await self._database.transact(
            ledger.balance,
            user_id=user_id,
            allowance=self._allowance,
            now_us=self._clock.now_us(),
        )
        return {
            "available_credits": credits_text(balance.available_ucr),
            "held_for_running_answers": credits_text(balance.held_ucr),
            "prices_in_credits_per_million_tokens": [
                {
                    "model": model.label,
                    "input": self._listed_price(model.price.input_ucr),
                    "output": self._listed_price(model.price.output_ucr),
                }
                for model in self._catalogue.chat_models.values()
            ],
        }

    def _listed_price(self, ucr_per_token: int) -> str:
        cost_ucr = TOKENS_PER_LISTED_PRICE * ucr_per_token
        return credits_text(charge_ucr(cost_ucr, self._catalogue.multiplier_ppm))
