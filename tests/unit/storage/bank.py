"""A ledger in memory with the arguments that most tests do not vary."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from storage import ledger
from storage.inline import InlineDatabase
from storage.types import Allowance, Balance, Cause, HistoryLine, Hold, Settlement

CREDIT = 1_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOON_US = int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()) * 1_000_000
MIRA, TOM, SAM = 101, 102, 103
DAILY = Allowance(amount_ucr=20 * CREDIT)
NONE = Allowance(amount_ucr=0)


class Bank:
    """The ledger as one member after the other uses it; `now_us` and `allowance` may be changed."""

    def __init__(self, *, allowance: Allowance = DAILY, now_us: int = NOON_US) -> None:
        self.database = InlineDatabase()
        self.allowance = allowance
        self.now_us = now_us
        self._acts = 0

    def balance(self, user_id: int = MIRA) -> Balance:
        return self.database.run(
            ledger.balance, user_id=user_id, allowance=self.allowance, now_us=self.now_us
        )

    def available(self, user_id: int = MIRA) -> int:
        return self.balance(user_id).available_ucr

    def grant(self, amount_ucr: int, *, user_id: int = MIRA, reference: str = "") -> Balance:
        return self.database.run(
            ledger.grant,
            user_id=user_id,
            amount_ucr=amount_ucr,
            actor_id=SAM,
            guild_id=7,
            reason="for the party",
            reference=reference or self._reference(),
            allowance=self.allowance,
            now_us=self.now_us,
        )

    def take(self, amount_ucr: int, *, user_id: int = MIRA, reference: str = "") -> Balance:
        return self.database.run(
            ledger.take,
            user_id=user_id,
            amount_ucr=amount_ucr,
            actor_id=SAM,
            guild_id=7,
            reason="a mistake",
            reference=reference or self._reference(),
            allowance=self.allowance,
            now_us=self.now_us,
        )

    def set(self, target_ucr: int, *, user_id: int = MIRA, reference: str = "") -> Balance:
        return self.database.run(
            ledger.set_balance,
            user_id=user_id,
            target_ucr=target_ucr,
            actor_id=SAM,
            guild_id=7,
            reason="a fresh start",
            reference=reference or self._reference(),
            allowance=self.allowance,
            now_us=self.now_us,
        )

    def hold(self, amount_ucr: int, *, reference: str = "", floor_ucr: int | None = None) -> Hold:
        return self.database.run(
            ledger.hold,
            user_id=MIRA,
            amount_ucr=amount_ucr,
            floor_ucr=amount_ucr if floor_ucr is None else floor_ucr,
            reference=reference or self._reference(),
            allowance=self.allowance,
            now_us=self.now_us,
        )

    def extend(self, reference: str, amount_ucr: int) -> Hold:
        return self.database.run(
            ledger.extend,
            reference=reference,
            amount_ucr=amount_ucr,
            allowance=self.allowance,
            now_us=self.now_us,
        )

    def settle(self, reference: str, cost_ucr: int) -> Settlement:
        return self.database.run(
            ledger.settle,
            reference=reference,
            cost_ucr=cost_ucr,
            cause=Cause.ANSWERED,
            now_us=self.now_us,
        )

    def void(self, reference: str, *, loss_ucr: int = 0) -> Settlement:
        return self.database.run(
            ledger.void,
            reference=reference,
            cause=Cause.PROVIDER_ERROR,
            loss_ucr=loss_ucr,
            now_us=self.now_us,
        )

    def history(self, *, limit: int = 100, before_id: int | None = None) -> tuple[HistoryLine, ...]:
        return self.database.view(ledger.history, user_id=MIRA, limit=limit, before_id=before_id)

    def account(self, kind: str) -> int:
        """The balance of one of the three accounts that belong to nobody."""
        return int(self.database.view(_balance_of, kind))

    def assert_sound(self) -> None:
        assert self.database.view(ledger.audit) == ()

    def _reference(self) -> str:
        self._acts += 1
        return f"act:{self._acts}"


def _balance_of(connection: Connection, kind: str) -> int:
    return int(
        connection.exec_driver_sql(
            "SELECT balance_ucr FROM accounts WHERE bucket_id IS NULL AND kind = ?", (kind,)
        ).scalar_one()
    )


def snapshot(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table: two equal snapshots are the same state."""
    tables = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    ).scalars()
    return {
        table: [
            tuple(row)
            for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY rowid")
        ]
        for table in list(tables)
    }
