"""Books the turns: the only part of the chat that talks to the database, and insists on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.catalogue.pricing import charge_ucr
from bot.chat.books import (
    US_PER_S,
    Answered,
    Opened,
    Unanswered,
    end_unanswered,
    open_turn,
    settle_turn,
)
from bot.chat.ports import Question
from bot.clock import Clock
from bot.limits import (
    SETTLE_DELAY_S,
    SETTLE_DELAYS_S,
    SETTLE_WAIT_S,
    VOID_DELAY_S_MAX,
    VOID_WRITES_EACH,
    VOID_WRITES_MAX,
)
from bot.providers.base import FunctionTool
from bot.text.money import credits_text
from storage import ledger, turns
from storage.database import Store
from storage.errors import StorageError, StoreUnavailable
from storage.types import Allowance, Cause, Hold, Settlement

_log = structlog.get_logger(__name__)

TOKENS_PER_LISTED_PRICE = 1_000_000


Waiting = Callable[[int], None]
"""Told until when (Unix µs) an end will be tried that the database did not take at once."""


class Bookkeeper:
    """One transaction to open a turn, one to end it; the end is tried until it is written.

    The price of a turn is known to its process alone, so a charge is insisted on for
    `SETTLE_WAIT_S`. After that, and for whatever was never to be charged, the member is told *not
    charged*, and the hold is given back as soon as the database takes it: at the latest by the
    recovery of the next start.
    """

    def __init__(
        self, *, database: Store, catalogue: Catalogue, allowance: Allowance, clock: Clock
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._allowance = allowance
        self._clock = clock
        self._unwritten: dict[str, tuple[Opened, Unanswered]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._hurried = asyncio.Event()

    async def open(
        self,
        question: Question,
        model: ChatModel,
        *,
        offered: tuple[FunctionTool, ...],
        bot_name: str,
    ) -> Opened:
        """Open it, or nothing was held.

        Raises `Duplicate`, `InsufficientCredits`, `BudgetExhausted`, `StoreUnavailable`.
        """
        await self._write_late()
        return await self._database.transact(
            open_turn,
            question=question,
            model=model,
            offered=offered,
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

    async def end(
        self, opened: Opened, end: Answered | Unanswered, *, waiting: Waiting
    ) -> Settlement:
        """Settle or void, in one transaction, tried again while the database is away.

        Raises `StorageError` when that did not help; then nothing is charged, now or later.
        """
        try:
            return await self._insist(opened, end, waiting)
        except StoreUnavailable as error:
            if (settlement := await self._booked(opened.question.reference)) is not None:
                return settlement
            _log.exception("turn_not_booked", fault="F-110", reference=opened.question.reference)
            if isinstance(end, Answered):
                end = Unanswered(cause=Cause.INTERRUPTED, loss_ucr=end.cost_ucr)
            self._write_later(opened, end)
            raise error from None

    async def _insist(
        self, opened: Opened, end: Answered | Unanswered, waiting: Waiting
    ) -> Settlement:
        for delay_s in SETTLE_DELAYS_S:
            try:
                return await self._write(opened, end)
            except StoreUnavailable:
                await self._pause(delay_s)
        until_s: float | None = None
        while isinstance(end, Answered) and not self._hurried.is_set():
            try:
                return await self._write(opened, end)
            except StoreUnavailable:
                now_s = self._clock.monotonic_s()
                if until_s is None:
                    until_s = now_s + SETTLE_WAIT_S
                    waiting(self._clock.now_us() + round(SETTLE_WAIT_S * US_PER_S))
                if now_s >= until_s:
                    raise
                await self._pause(SETTLE_DELAY_S)
        return await self._write(opened, end)

    async def _write(self, opened: Opened, end: Answered | Unanswered) -> Settlement:
        if isinstance(end, Unanswered):
            return await self._give_back(opened, end)
        settlement = await self._database.transact(
            settle_turn,
            opened=opened,
            answered=end,
            allowance=self._allowance,
            now_us=self._clock.now_us(),
        )
        if settlement.loss_ucr and end.cause is Cause.ANSWERED:
            _log.error(
                "cost_above_hold",
                fault="F-51",
                reference=opened.question.reference,
                loss_ucr=settlement.loss_ucr,
            )
        return settlement

    async def _booked(self, reference: str) -> Settlement | None:
        """How it ended, should a try have gone through whose answer got lost."""
        try:
            return await self._database.read(
                ledger.ended, reference=reference, now_us=self._clock.now_us()
            )
        except StorageError:
            return None

    async def _give_back(self, opened: Opened, end: Unanswered) -> Settlement:
        return await self._database.transact(
            end_unanswered,
            opened=opened,
            unanswered=end,
            allowance=self._allowance,
            now_us=self._clock.now_us(),
        )

    async def mark_shown(self, reference: str) -> None:
        """Remember that nobody has to be told of this end any more, also if it is yet unwritten.

        Written down in any case: the late write may be on its way just now.
        """
        if (late := self._unwritten.get(reference)) is not None:
            opened, end = late
            self._unwritten[reference] = (opened, replace(end, is_told=True))
        await self._database.transact(
            turns.mark_shown, reference=reference, now_us=self._clock.now_us()
        )

    def hurry(self) -> None:
        """The process is ending: no pauses any more."""
        self._hurried.set()

    async def close(self) -> None:
        """Let go of what could not be written; the next start gives it back."""
        self.hurry()
        if self._writing is not None:
            await self._writing

    async def _pause(self, delay_s: float) -> None:
        pause = asyncio.create_task(self._clock.sleep(delay_s))
        hurry = asyncio.create_task(self._hurried.wait())
        await asyncio.wait((pause, hurry), return_when=asyncio.FIRST_COMPLETED)
        for task in (pause, hurry):
            task.cancel()

    # --- What could not be given back in time ---------------------------------------------------

    def _write_later(self, opened: Opened, end: Unanswered) -> None:
        """Its member is told *not charged* now, so the brake may not say otherwise."""
        end = replace(end, shown_tokens=0, shown_ucr=0)
        self._unwritten[opened.question.reference] = (opened, end)
        if self._writing is None:
            self._writing = asyncio.create_task(self._keep_writing())

    async def _keep_writing(self) -> None:
        for tries in range(VOID_WRITES_MAX):
            delay_s = SETTLE_DELAY_S * (1 << min(tries // VOID_WRITES_EACH, 16))
            await self._pause(min(delay_s, VOID_DELAY_S_MAX))
            await self._write_late()
            if not self._unwritten or self._hurried.is_set():
                break
        self._writing = None

    async def _write_late(self) -> None:
        for reference, (opened, end) in tuple(self._unwritten.items()):
            try:
                await self._give_back(opened, end)
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
