"""A ledger in memory with the arguments that most tests do not vary."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from storage import budgets, ledger
from storage.budgets import BudgetChange
from storage.inline import InlineDatabase
from storage.types import (
    Allowance,
    Balance,
    Budget,
    BudgetWindow,
    Cause,
    HistoryLine,
    Hold,
    Settlement,
    Span,
)

CREDIT = 1_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOON_US = int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()) * 1_000_000
MIRA, TOM, SAM = 101, 102, 103
DAILY = Allowance(amount_ucr=20 * CREDIT)
PLENTY = Allowance(amount_ucr=1_000 * CREDIT)
NONE = Allowance(amount_ucr=0)
GUILD, OTHER = 7, 8


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


class Town(Bank):
    """A bank whose members work in a server."""

    def __init__(self) -> None:
        super().__init__(allowance=PLENTY)
        self.changes = 0

    def set_budget(
        self,
        *,
        day: int | None = None,
        month: int | None = None,
        zone: str | None = None,
        guild_id: int = GUILD,
        reference: str = "",
    ) -> Budget:
        self.changes += 1
        return self.database.run(
            budgets.set_budget,
            guild_id=guild_id,
            change=BudgetChange(day_ucr=day, month_ucr=month, timezone=zone),
            timezone="UTC",
            actor_id=SAM,
            reference=reference or f"budget:{self.changes}",
            now_us=self.now_us,
        )

    def set_installation(
        self, *, day: int | None = None, month: int | None = None, zone: str = "UTC"
    ) -> None:
        """As a start with these settings does."""
        budget = Budget(day_ucr=day, month_ucr=month, timezone=zone)
        self.database.run(budgets.set_installation, budget=budget, now_us=self.now_us)

    def windows(self, guild_id: int = GUILD) -> dict[Span, BudgetWindow]:
        found = self.database.run(budgets.budget_windows, guild_id=guild_id, now_us=self.now_us)
        return {window.span: window for window in found}

    def day(self) -> tuple[int, int, int]:
        """Spent, held, available."""
        return self.used(GUILD, Span.DAY)

    def used(self, guild_id: int, span: Span) -> tuple[int, int, int]:
        """Spent, held, available."""
        window = self.windows(guild_id)[span]
        return window.spent_ucr, window.held_ucr, window.available_ucr

    def work(
        self,
        amount_ucr: int,
        reference: str,
        *,
        user_id: int = MIRA,
        guild_id: int | None = GUILD,
        floor_ucr: int | None = None,
    ) -> int:
        """Hold so much in a server; what was held."""
        return self.database.run(
            ledger.hold,
            user_id=user_id,
            amount_ucr=amount_ucr,
            floor_ucr=amount_ucr if floor_ucr is None else floor_ucr,
            reference=reference,
            allowance=self.allowance,
            now_us=self.now_us,
            guild_id=guild_id,
        ).amount_ucr

    def tampered(self, *statements: str) -> tuple[str, ...]:
        """What the audit says after statements that the triggers would have refused."""
        with self.database.engine.connect() as connection:
            for name in connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).scalars():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.exec_driver_sql(statement)
            facts = ledger.audit(connection)
            connection.rollback()
            return facts
