"""A hold that grows while an answer is written (asks.md 3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bot.chat.ports import Ending
from bot.limits import HOLD_GROWTHS_MAX, HOLD_TRIES
from storage.errors import BudgetExhausted, InsufficientCredits, StorageError
from storage.types import Hold, Scope

_log = structlog.get_logger(__name__)

Extend = Callable[[int], Awaitable[Hold]]
"""Adds up to so many µcr to the hold.

Raises `InsufficientCredits`, `BudgetExhausted`, `StoreUnavailable`.
"""

_BUDGETS = {Scope.SERVER: Ending.BUDGET, Scope.INSTALLATION: Ending.INSTALLATION}


class GrowingHold:
    """Asks for one step more before the price reaches the hold, beside the reader.

    One extension runs at a time; the reader waits for it only when the hold is used up.
    """

    def __init__(self, *, amount_ucr: int, step_ucr: int, extend: Extend) -> None:
        self.amount_ucr = amount_ucr
        self._price_ucr = 0
        self._step_ucr = max(1, step_ucr)
        self._extend = extend
        self._growing: asyncio.Task[None] | None = None
        self._exhausted = False
        self._refusal: InsufficientCredits | BudgetExhausted | None = None
        self._failure: Exception | None = None

    async def carries(self, price_ucr: int, *, grow: bool) -> bool:
        """Whether the hold still covers `price_ucr`; starts growing in good time if it may."""
        self._price_ucr = price_ucr
        if grow and price_ucr + self._step_ucr // 2 > self.amount_ucr:
            self._start(max(self._step_ucr, price_ucr - self.amount_ucr))
        if price_ucr <= self.amount_ucr:
            return True
        if grow:
            return await self.reserve(price_ucr)
        await self.settled()
        return price_ucr <= self.amount_ucr

    async def reserve(self, price_ucr: int) -> bool:
        """Grow to at least `price_ucr` now, before the next request is sent.

        An extension may bring less than was asked, or was begun for less: only a refusal is final,
        and only it says whose credits have ended.
        """
        self._price_ucr = price_ucr
        await self.settled()
        for _ in range(HOLD_GROWTHS_MAX):
            if price_ucr <= self.amount_ucr or self._exhausted:
                break
            self._start(max(self._step_ucr, price_ucr - self.amount_ucr))
            await self.settled()
        return price_ucr <= self.amount_ucr

    async def settled(self) -> None:
        """Wait for a running extension, so that nothing moves the hold after its end."""
        if self._growing is not None:
            await asyncio.shield(self._growing)
            self._growing = None

    @property
    def ending(self) -> Ending:
        """Why the answer ends where the hold does."""
        if isinstance(self._refusal, BudgetExhausted):
            return _BUDGETS[self._refusal.scope]
        return Ending.CREDITS if self._failure is None else Ending.STORE

    def shortage(self) -> Exception:
        """The error for an answer that ended without a word because it cost more than was held.

        Its figures are those of the whole answer: what was held for it comes back.
        """
        if self._failure is not None:
            return self._failure
        if isinstance(self._refusal, BudgetExhausted):
            return BudgetExhausted(
                scope=self._refusal.scope,
                span=self._refusal.span,
                ceiling_ucr=self._refusal.ceiling_ucr,
                needed_ucr=self._price_ucr,
                available_ucr=min(self.amount_ucr, self._refusal.ceiling_ucr),
                resets_at_us=self._refusal.resets_at_us,
            )
        return InsufficientCredits(
            needed_ucr=self._price_ucr,
            available_ucr=self.amount_ucr,
            resets_at_us=None if self._refusal is None else self._refusal.resets_at_us,
        )

    def _start(self, amount_ucr: int) -> None:
        if self._growing is not None and self._growing.done():
            self._growing = None
        if self._growing is None and not self._exhausted:
            self._growing = asyncio.create_task(self._grow(amount_ucr))

    async def _grow(self, amount_ucr: int) -> None:
        """A refusal is final; a database that was busy is asked once more (F-110)."""
        for _ in range(HOLD_TRIES):
            try:
                hold = await self._extend(amount_ucr)
            except (InsufficientCredits, BudgetExhausted) as error:
                self._exhausted, self._refusal, self._failure = True, error, None
                return
            except Exception as error:  # noqa: BLE001 - the answer so far must still be booked.
                self._failure = error
                is_known = isinstance(error, StorageError)
                _log.warning(
                    "hold_not_extended",
                    fault="F-110",
                    error=type(error).__name__,
                    exc_info=None if is_known else error,
                )
                if not is_known:
                    break
            else:
                self.amount_ucr = hold.amount_ucr
                self._failure = None
                return
        self._exhausted = True  # asking on would only delay its end
