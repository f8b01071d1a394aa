"""Watches the operator's account at the provider: pauses, alarms, and what it took (F-32, F-69)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from decimal import Decimal

import structlog

from bot.catalogue.catalogue import Catalogue
from bot.clock import Clock
from bot.errors import PauseCause, ProviderError
from bot.limits import (
    ACCOUNT_LOOK_S,
    ACCOUNT_PROBE_S,
    ALERT_INTERVAL_S,
    DRIFT_CREDITS,
    DRIFT_SHARE_PPM,
    RECONCILE_S,
)
from bot.providers.base import ProviderBalance
from bot.providers.breaker import OPERATORS, PROBED, Breakers, BreakerSnapshot, BreakerState
from bot.text import alerts
from storage import preferences
from storage.database import Store
from storage.errors import StorageError
from storage.provider_books import ProviderBooks, provider_books
from storage.types import UCR_PER_CREDIT

US_PER_S = 1_000_000
PPM = 1_000_000

_log = structlog.get_logger(__name__)

AskBalance = Callable[[], Awaitable[ProviderBalance]]
"""`GET /v1/credits`. Raises `ProviderError`."""
Alert = Callable[[str], Awaitable[bool]]
"""Tell the operator; False while that is not possible. Never raises for what Discord does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at both sides, in the provider's µcr since the first day.

    Ours lie between `booked_ucr` and `booked_ucr + unclear_ucr`.
    """

    at_us: int
    multiplier_ppm: int
    taken_ucr: int
    booked_ucr: int
    unclear_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far the account left our books between two readings; `drift_ucr` > 0: it took more."""

    taken_ucr: int
    booked_ucr: int
    drift_ucr: int

    @property
    def is_alarming(self) -> bool:
        """More than one credit, and more than one in a hundred (section 5 point 7)."""
        share_ucr = max(self.taken_ucr, self.booked_ucr) * DRIFT_SHARE_PPM // PPM
        return abs(self.drift_ucr) > max(DRIFT_CREDITS * UCR_PER_CREDIT, share_ucr)


def drift_between(before: Reading, after: Reading) -> Drift:
    """Compare what was taken with what was booked; what is unclear is in nobody's disfavour."""
    taken_ucr = after.taken_ucr - before.taken_ucr
    least_ucr = after.booked_ucr - before.booked_ucr - before.unclear_ucr
    most_ucr = after.booked_ucr - before.booked_ucr + after.unclear_ucr
    booked_ucr = min(max(taken_ucr, least_ucr), most_ucr)
    return Drift(taken_ucr=taken_ucr, booked_ucr=booked_ucr, drift_ucr=taken_ucr - booked_ucr)


def taken_ucr(balance: ProviderBalance) -> int | None:
    """What the account has paid so far; None where a top-up could not be told from it."""
    consumed = balance.total_consumed
    if consumed is None and balance.total_purchased is not None:
        consumed = balance.total_purchased - balance.balance
    return None if consumed is None else int(consumed * UCR_PER_CREDIT)


class AccountWatch:
    """Looks every few seconds. `provider` is the one whose account `ask_balance` reads."""

    def __init__(
        self,
        *,
        provider: str,
        ask_balance: AskBalance,
        breakers: Breakers,
        database: Store,
        catalogue: Catalogue,
        clock: Clock,
        alert: Alert,
    ) -> None:
        self._provider = provider
        self._ask_balance = ask_balance
        self._breakers = breakers
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._alert = alert
        self._open: dict[str, PauseCause] = {}
        """What was open at the last look."""
        self._probe_at_s = 0.0
        self._reconcile_at_us = 0

    async def run(self) -> None:
        """Look until cancelled; no trouble ends it."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                _log.warning("account_not_watched", fault="F-110", error=type(error).__name__)
            except Exception:  # noqa: BLE001 - an alarm that stopped is worse than a late one.
                _log.exception("account_watch_broke")
            await self._clock.sleep(ACCOUNT_LOOK_S)

    async def look(self) -> None:
        """Do what is due. May raise `StorageError`."""
        for snapshot in self._breakers.snapshots():
            await self._look_at(snapshot)
        if self._clock.now_us() >= self._reconcile_at_us:
            await self._reconcile()

    # --- Pauses ---------------------------------------------------------------------------------

    async def _look_at(self, snapshot: BreakerSnapshot) -> None:
        provider, cause = snapshot.provider, snapshot.cause
        if snapshot.state is not BreakerState.OPEN or cause is None:
            if self._open.pop(provider, None) is not None:
                _log.info("provider_tried_again", provider=provider)
            return
        if self._open.get(provider) is not cause:
            self._open[provider] = cause
            self._probe_at_s = self._clock.monotonic_s() + ACCOUNT_PROBE_S
            write = _log.error if cause in OPERATORS.values() else _log.warning
            write("provider_paused", provider=provider, cause=cause, until_us=snapshot.until_us)
        if cause in OPERATORS.values():
            await self._alert_once(
                f"paused.{provider}", alerts.provider_paused(provider=provider, cause=cause)
            )
        if provider == self._provider and cause in PROBED:
            await self._probe(cause)

    async def _probe(self, cause: PauseCause) -> None:
        """Read the account once a minute; it is the cheapest request there is (F-32)."""
        if self._clock.monotonic_s() < self._probe_at_s:
            return
        self._probe_at_s = self._clock.monotonic_s() + ACCOUNT_PROBE_S
        try:
            balance = (await self._ask_balance()).balance
        except ProviderError as error:
            _log.info("probe_failed", provider=self._provider, error=type(error).__name__)
            return
        if cause is PauseCause.BALANCE and balance <= 0:
            _log.info("probe_failed", provider=self._provider, balance=str(balance))
            return
        self._breakers.of(self._provider).note_probe_good()

    async def _alert_once(self, kind: str, text: str) -> None:
        """Tell the operator, at most once an hour over all restarts."""
        now_us = self._clock.now_us()
        key = f"alert.{kind}"
        last = await self._database.read(preferences.get, key=key)
        if last is not None and 0 <= now_us - int(last) < ALERT_INTERVAL_S * US_PER_S:
            return
        if await self._alert(text):
            await self._database.transact(
                preferences.put, key=key, value=str(now_us), now_us=now_us
            )

    # --- What it took ---------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return f"account.{self._provider}"

    async def _reconcile(self) -> None:
        """Compare our books with the account once a day (F-69)."""
        kept = await self._database.read(preferences.get, key=self._key)
        before = None if kept is None else Reading(**json.loads(kept))
        now_us = self._clock.now_us()
        due_us = now_us if before is None else before.at_us + round(RECONCILE_S * US_PER_S)
        # A clock that was set back may not silence the watch for years.
        if before is not None and before.at_us <= now_us < due_us:
            self._reconcile_at_us = due_us
            return
        self._reconcile_at_us = now_us + round(ACCOUNT_PROBE_S * US_PER_S)
        after = await self._read()
        if after is None:
            return
        if before is not None and before.multiplier_ppm == after.multiplier_ppm:
            await self._compare(before, after)
        await self._database.transact(
            preferences.put, key=self._key, value=json.dumps(asdict(after)), now_us=now_us
        )
        self._reconcile_at_us = now_us + round(RECONCILE_S * US_PER_S)

    async def _read(self) -> Reading | None:
        """Look at our books before and after the account: what moves meanwhile is unclear."""
        ppm = self._catalogue.multiplier_ppm
        first = await self._database.read(provider_books, provider=self._provider)
        try:
            taken = taken_ucr(await self._ask_balance())
        except ProviderError as error:
            _log.info("account_not_read", provider=self._provider, error=type(error).__name__)
            return None
        if taken is None:
            return None
        last = await self._database.read(provider_books, provider=self._provider)
        low_ucr, high_ucr = sorted((_booked_ucr(first, ppm), _booked_ucr(last, ppm)))
        return Reading(
            at_us=self._clock.now_us(),
            multiplier_ppm=ppm,
            taken_ucr=taken,
            booked_ucr=low_ucr,
            unclear_ucr=high_ucr - low_ucr + max(first.unclear_ucr, last.unclear_ucr),
        )

    async def _compare(self, before: Reading, after: Reading) -> None:
        drift = drift_between(before, after)
        taken, booked = _credits(drift.taken_ucr), _credits(drift.booked_ucr)
        write = _log.error if drift.is_alarming else _log.info
        write(
            "provider_drift_credits",
            fault="F-69",
            provider=self._provider,
            drift=str(taken - booked),
            taken=str(taken),
            booked=str(booked),
        )
        if drift.is_alarming:
            text = alerts.drift(
                provider=self._provider, taken=taken, booked=booked, since_us=before.at_us
            )
            await self._alert_once(f"drift.{self._provider}", text)


def _booked_ucr(books: ProviderBooks, multiplier_ppm: int) -> int:
    """Our books in the provider's prices."""
    return books.paid_ucr * PPM // multiplier_ppm + books.lost_ucr + books.open_ucr


def _credits(amount_ucr: int) -> Decimal:
    return Decimal(amount_ucr) / UCR_PER_CREDIT
