"""The first schema: ledger, conversations, preferences, the fence.

A released migration is never edited; it repeats the tables instead of importing `storage.schema`,
so that it makes the same tables in ten years.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _ledger_owners()
    _ledger_acts()
    _conversations()
    _installation()
    _append_only()
    op.execute("INSERT INTO accounts (id, kind, balance_ucr) VALUES (1, 'issuer', 0)")
    op.execute("INSERT INTO accounts (id, kind, balance_ucr) VALUES (2, 'spent', 0)")
    op.execute("INSERT INTO accounts (id, kind, balance_ucr) VALUES (3, 'loss', 0)")
    op.execute("INSERT INTO instance (id, epoch, pid, host) VALUES (1, 0, 0, '')")


def _big(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, BIG, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    # op.f: the name is final; the naming convention must not be applied to it again.
    return sa.CheckConstraint(sa.text(rule), name=op.f(f"{table}_{name}"))


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"{table}_pk"))


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"{table}_{column}_fk"))


def _index(
    name: str,
    table: str,
    columns: list[str],
    *,
    where: str | None = None,
    unique: bool = False,
) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(
        op.f(name),
        table,
        columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _ledger_owners() -> None:
    op.create_table(
        "buckets",
        _big("id"),
        _text("owner_kind"),
        _big("owner_id"),
        _text("kind"),
        _big("priority"),
        _big("starts_us"),
        _big("ends_us", null=True),
        _big("grace_until_us", null=True),
        _big("issued_ucr"),
        _big("closed_us", null=True),
        _primary("buckets", "id"),
        _check("buckets", "owner_kind", "owner_kind IN ('user', 'guild')"),
        _check("buckets", "kind", "kind IN ('allowance', 'grant', 'gift', 'bought')"),
        _check("buckets", "span", "ends_us IS NULL OR ends_us > starts_us"),
        _check("buckets", "window", "kind <> 'allowance' OR ends_us IS NOT NULL"),
        _check("buckets", "grace", "grace_until_us IS NULL OR grace_until_us > ends_us"),
        _check("buckets", "issued", "issued_ucr >= 0"),
        sqlite_strict=True,
    )
    _index(
        "buckets_window_uq",
        "buckets",
        ["owner_kind", "owner_id", "starts_us"],
        where="kind = 'allowance'",
        unique=True,
    )
    _index("buckets_open_ix", "buckets", ["owner_kind", "owner_id"], where="closed_us IS NULL")
    op.create_table(
        "accounts",
        _big("id"),
        _text("kind"),
        _big("bucket_id", null=True),
        _big("balance_ucr"),
        _primary("accounts", "id"),
        _foreign("accounts", "bucket_id", "buckets.id"),
        _check(
            "accounts",
            "kind",
            "(kind IN ('available', 'held') AND bucket_id IS NOT NULL)"
            " OR (kind IN ('issuer', 'spent', 'loss') AND bucket_id IS NULL)",
        ),
        _check("accounts", "balance", "balance_ucr >= 0 OR kind = 'issuer'"),
        sqlite_strict=True,
    )
    _index(
        "accounts_bucket_uq",
        "accounts",
        ["bucket_id", "kind"],
        where="bucket_id IS NOT NULL",
        unique=True,
    )
    _index("accounts_system_uq", "accounts", ["kind"], where="bucket_id IS NULL", unique=True)
    op.create_table(
        "holds",
        _big("id"),
        _text("reference"),
        _big("user_id"),
        _big("amount_ucr"),
        _text("state"),
        _big("charged_ucr", null=True),
        _big("returned_ucr", null=True),
        _big("loss_ucr", null=True),
        _text("cause", null=True),
        _big("opened_us"),
        _big("closed_us", null=True),
        _primary("holds", "id"),
        sa.UniqueConstraint("reference", name=op.f("holds_reference_uq")),
        _check("holds", "state", "state IN ('open', 'settled', 'voided')"),
        _check("holds", "amount", "amount_ucr >= 0"),
        _check(
            "holds",
            "outcome",
            "(state = 'open' AND charged_ucr IS NULL AND returned_ucr IS NULL AND loss_ucr IS NULL"
            " AND cause IS NULL AND closed_us IS NULL)"
            " OR (state <> 'open' AND charged_ucr IS NOT NULL AND returned_ucr IS NOT NULL"
            " AND loss_ucr IS NOT NULL AND cause IS NOT NULL AND closed_us IS NOT NULL"
            " AND charged_ucr >= 0 AND returned_ucr >= 0 AND loss_ucr >= 0"
            " AND charged_ucr + returned_ucr = amount_ucr)",
        ),
        _check("holds", "void", "state <> 'voided' OR charged_ucr = 0"),
        sqlite_strict=True,
    )
    _index("holds_open_ix", "holds", ["user_id"], where="state = 'open'")


def _ledger_acts() -> None:
    op.create_table(
        "hold_parts",
        _big("hold_id"),
        _big("position"),
        _big("bucket_id"),
        _big("amount_ucr"),
        _primary("hold_parts", "hold_id", "position"),
        _foreign("hold_parts", "hold_id", "holds.id"),
        _foreign("hold_parts", "bucket_id", "buckets.id"),
        _check("hold_parts", "amount", "amount_ucr > 0"),
        sqlite_strict=True,
    )
    op.create_table(
        "journal",
        _big("id"),
        _text("kind"),
        _big("user_id", null=True),
        _text("reference"),
        _big("hold_id", null=True),
        _big("delta_ucr"),
        _big("actor_id", null=True),
        _big("guild_id", null=True),
        _text("reason", null=True),
        _big("at_us"),
        _primary("journal", "id"),
        _foreign("journal", "hold_id", "holds.id"),
        _check(
            "journal",
            "kind",
            "kind IN ('allowance', 'expire', 'grant', 'take', 'set', 'undo', 'gift', 'purchase',"
            " 'hold', 'extend', 'settle', 'void')",
        ),
        _check(
            "journal",
            "hold",
            "(hold_id IS NOT NULL) = (kind IN ('hold', 'extend', 'settle', 'void'))",
        ),
        _check(
            "journal",
            "staff",
            "kind NOT IN ('grant', 'take', 'set', 'undo')"
            " OR (actor_id IS NOT NULL AND reason IS NOT NULL)",
        ),
        sqlite_strict=True,
    )
    _index(
        "journal_staff_uq",
        "journal",
        ["reference"],
        where="kind IN ('grant', 'take', 'set', 'undo')",
        unique=True,
    )
    _index("journal_hold_uq", "journal", ["hold_id"], where="kind = 'hold'", unique=True)
    _index(
        "journal_end_uq", "journal", ["hold_id"], where="kind IN ('settle', 'void')", unique=True
    )
    _index("journal_user_ix", "journal", ["user_id", "id"], where="delta_ucr <> 0")
    op.create_table(
        "entries",
        _big("id"),
        _big("journal_id"),
        _big("from_account_id"),
        _big("to_account_id"),
        _big("amount_ucr"),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        _primary("entries", "id"),
        _foreign("entries", "journal_id", "journal.id"),
        _foreign("entries", "from_account_id", "accounts.id"),
        _foreign("entries", "to_account_id", "accounts.id"),
        _check("entries", "amount", "amount_ucr > 0"),
        _check("entries", "accounts", "from_account_id <> to_account_id"),
        sqlite_strict=True,
    )
    _index("entries_journal_ix", "entries", ["journal_id"])


def _conversations() -> None:
    op.create_table(
        "turns",
        _big("id"),
        _text("reference"),
        _big("channel_id"),
        _big("guild_id", null=True),
        _big("author_id"),
        _text("author_name"),
        _text("model"),
        _text("question"),
        _text("attachments"),
        _text("answer", null=True),
        _big("tokens", null=True),
        _text("state"),
        _text("cause", null=True),
        _big("message_id", null=True),
        _big("begun_us"),
        _big("ended_us", null=True),
        _big("forgotten_us", null=True),
        _primary("turns", "id"),
        sa.UniqueConstraint("reference", name=op.f("turns_reference_uq")),
        _check(
            "turns",
            "state",
            "(state = 'pending' AND ended_us IS NULL AND answer IS NULL)"
            " OR (state = 'finished' AND ended_us IS NOT NULL AND answer IS NOT NULL"
            " AND tokens IS NOT NULL AND tokens >= 0)"
            " OR (state = 'abandoned' AND ended_us IS NOT NULL AND cause IS NOT NULL"
            " AND answer IS NULL AND question = '')",
        ),
        _check(
            "turns",
            "forgotten",
            "forgotten_us IS NULL OR (question = '' AND coalesce(answer, '') = '')",
        ),
        sqlite_strict=True,
    )
    _index(
        "turns_history_ix",
        "turns",
        ["channel_id", "id"],
        where="state = 'finished' AND forgotten_us IS NULL",
    )
    _index("turns_pending_ix", "turns", ["id"], where="state = 'pending'")


def _installation() -> None:
    op.create_table(
        "preferences",
        _text("key"),
        _text("value"),
        _big("changed_us"),
        _primary("preferences", "key"),
        sqlite_strict=True,
    )
    op.create_table(
        "instance",
        _big("id"),
        _big("epoch"),
        _big("pid"),
        _text("host"),
        _primary("instance", "id"),
        _check("instance", "single", "id = 1"),
        sqlite_strict=True,
    )


def _append_only() -> None:
    """Entries and the facts of the journal never change (reliability.md I-2).

    A member's identity in the journal may: deleting their data must be possible (C-42).
    """
    _refuse("entries_no_update", "UPDATE", "entries")
    _refuse("entries_no_delete", "DELETE", "entries")
    _refuse(
        "journal_no_update",
        "UPDATE OF id, kind, reference, hold_id, delta_ucr, guild_id, at_us",
        "journal",
    )
    _refuse("journal_no_delete", "DELETE", "journal")


def _refuse(name: str, act: str, table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {act} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )
