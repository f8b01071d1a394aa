"""All tables, with the rules that the database itself enforces (reliability.md 4).

Money is whole micro-credits, time is Unix microseconds, a state is a short word with a CHECK.
Where a CHECK or a nullable column is wider than today's code, it holds words that product.md and
asks.md 3 already name (gifts, bought buckets, server budgets): SQLite cannot widen a CHECK without
copying the table.

Identities of people (`user_id`, `owner_id`, `actor_id`, `reason`) stand only in rows that may be
changed, never in `entries`: deleting a member's data must leave the hash chain whole (C-42).
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, Named, Table, Text, TypedColumns
from sqlalchemy.schema import SchemaItem

from storage.budget_schema import budgets
from storage.chat_schema import token_ratios, turns
from storage.interaction_schema import interactions
from storage.job_schema import artifacts, callbacks, job_acts, job_events, jobs
from storage.outbox_schema import outbox
from storage.tables import BIG, check, index, metadata

__all__ = [
    "ISSUER_ID",
    "JOURNAL_ONCE",
    "LOSS_ID",
    "SPENT_ID",
    "accounts",
    "artifacts",
    "buckets",
    "budgets",
    "callbacks",
    "entries",
    "hold_parts",
    "holds",
    "instance",
    "interactions",
    "job_acts",
    "job_events",
    "jobs",
    "journal",
    "metadata",
    "outbox",
    "preferences",
    "token_ratios",
    "turns",
]

ISSUER_ID = 1
"""Where credits come from and go back to; the only account that may be negative."""
SPENT_ID = 2
"""What members paid."""
LOSS_ID = 3
"""What the provider cost and no member pays (reliability.md S-3, I-10)."""


# --- Ledger ------------------------------------------------------------------------------------


class BucketColumns(TypedColumns):
    """Credits of one owner with a common origin and end; the money is in two `accounts`.

    A window of a server's budget (`span`) is one, too: an allowance of the server's.
    """

    id: Named[int] = Column(BIG, primary_key=True)
    owner_kind: Named[str] = Column(Text, nullable=False)
    owner_id: Named[int] = Column(BIG, nullable=False)
    kind: Named[str] = Column(Text, nullable=False)
    priority: Named[int] = Column(BIG, nullable=False)
    starts_us: Named[int] = Column(BIG, nullable=False)
    ends_us: Named[int | None] = Column(BIG, nullable=True)
    grace_until_us: Named[int | None] = Column(BIG, nullable=True)
    issued_ucr: Named[int] = Column(BIG, nullable=False)
    closed_us: Named[int | None] = Column(BIG, nullable=True)
    span: Named[str | None] = Column(
        Text,
        check(
            "budget",
            "(owner_kind = 'guild' AND kind = 'allowance' AND span IS NOT NULL"
            " AND span IN ('day', 'month'))"
            " OR (owner_kind = 'user' AND span IS NULL)",
        ),
        nullable=True,
    )


_BUCKET_RULES: tuple[SchemaItem, ...] = (
    check("owner_kind", "owner_kind IN ('user', 'guild')"),
    check("kind", "kind IN ('allowance', 'grant', 'gift', 'bought')"),
    check("span", "ends_us IS NULL OR ends_us > starts_us"),
    check("window", "kind <> 'allowance' OR ends_us IS NOT NULL"),
    check("grace", "grace_until_us IS NULL OR grace_until_us > ends_us"),
    check("issued", "issued_ucr >= 0"),
    index(
        "buckets_window_uq",
        "owner_id",
        "starts_us",
        where="kind = 'allowance' AND span IS NULL",
        unique=True,
    ),
    index(
        "buckets_budget_uq",
        "owner_id",
        "span",
        "starts_us",
        where="span IS NOT NULL",
        unique=True,
    ),
    index("buckets_open_ix", "owner_kind", "owner_id", where="closed_us IS NULL"),
)
buckets = Table("buckets", metadata, BucketColumns, *_BUCKET_RULES, sqlite_strict=True)


class AccountColumns(TypedColumns):
    """A stored balance, kept equal to the sum of its entries in the same transaction (I-1)."""

    id: Named[int] = Column(BIG, primary_key=True)
    kind: Named[str] = Column(Text, nullable=False)
    bucket_id: Named[int | None] = Column(BIG, ForeignKey("buckets.id"), nullable=True)
    balance_ucr: Named[int] = Column(BIG, nullable=False)


_ACCOUNT_RULES: tuple[SchemaItem, ...] = (
    check(
        "kind",
        "(kind IN ('available', 'held') AND bucket_id IS NOT NULL)"
        " OR (kind IN ('issuer', 'spent', 'loss') AND bucket_id IS NULL)",
    ),
    check("balance", "balance_ucr >= 0 OR kind = 'issuer'"),
    index("accounts_bucket_uq", "bucket_id", "kind", where="bucket_id IS NOT NULL", unique=True),
    index("accounts_system_uq", "kind", where="bucket_id IS NULL", unique=True),
)
accounts = Table("accounts", metadata, AccountColumns, *_ACCOUNT_RULES, sqlite_strict=True)


class HoldColumns(TypedColumns):
    """Credits reserved for one piece of work; left exactly once (I-5)."""

    id: Named[int] = Column(BIG, primary_key=True)
    reference: Named[str] = Column(Text, nullable=False, unique=True)
    user_id: Named[int] = Column(BIG, nullable=False)
    amount_ucr: Named[int] = Column(BIG, nullable=False)
    state: Named[str] = Column(Text, nullable=False)
    charged_ucr: Named[int | None] = Column(BIG, nullable=True)
    returned_ucr: Named[int | None] = Column(BIG, nullable=True)
    loss_ucr: Named[int | None] = Column(BIG, nullable=True)
    cause: Named[str | None] = Column(Text, nullable=True)
    opened_us: Named[int] = Column(BIG, nullable=False)
    closed_us: Named[int | None] = Column(BIG, nullable=True)


_HOLD_RULES: tuple[SchemaItem, ...] = (
    check("state", "state IN ('open', 'settled', 'voided')"),
    check("amount", "amount_ucr >= 0"),
    check(
        "outcome",
        "(state = 'open' AND charged_ucr IS NULL AND returned_ucr IS NULL AND loss_ucr IS NULL"
        " AND cause IS NULL AND closed_us IS NULL)"
        " OR (state <> 'open' AND charged_ucr IS NOT NULL AND returned_ucr IS NOT NULL"
        " AND loss_ucr IS NOT NULL AND cause IS NOT NULL AND closed_us IS NOT NULL"
        " AND charged_ucr >= 0 AND returned_ucr >= 0 AND loss_ucr >= 0"
        " AND charged_ucr + returned_ucr = amount_ucr)",
    ),
    check("void", "state <> 'voided' OR charged_ucr = 0"),
    index("holds_open_ix", "user_id", where="state = 'open'"),
)
holds = Table("holds", metadata, HoldColumns, *_HOLD_RULES, sqlite_strict=True)


class HoldPartColumns(TypedColumns):
    """What a hold took from which bucket, in the order of taking."""

    hold_id: Named[int] = Column(BIG, ForeignKey("holds.id"), primary_key=True)
    position: Named[int] = Column(BIG, primary_key=True)
    bucket_id: Named[int] = Column(BIG, ForeignKey("buckets.id"), nullable=False)
    amount_ucr: Named[int] = Column(BIG, nullable=False)


_HOLD_PART_RULES: tuple[SchemaItem, ...] = (check("amount", "amount_ucr > 0"),)
hold_parts = Table("hold_parts", metadata, HoldPartColumns, *_HOLD_PART_RULES, sqlite_strict=True)


class JournalColumns(TypedColumns):
    """One act on the ledger: who, why, for what; its money movements are `entries`.

    `delta_ucr` is what the act changed in the member's own credits (available + held), so that the
    sum of a member's lines is what the member has. `user_id` may be NULL for acts on budgets.
    """

    id: Named[int] = Column(BIG, primary_key=True)
    kind: Named[str] = Column(Text, nullable=False)
    user_id: Named[int | None] = Column(BIG, nullable=True)
    reference: Named[str] = Column(Text, nullable=False)
    hold_id: Named[int | None] = Column(BIG, ForeignKey("holds.id"), nullable=True)
    delta_ucr: Named[int] = Column(BIG, nullable=False)
    actor_id: Named[int | None] = Column(BIG, nullable=True)
    guild_id: Named[int | None] = Column(BIG, nullable=True)
    reason: Named[str | None] = Column(Text, nullable=True)
    at_us: Named[int] = Column(BIG, nullable=False)


JOURNAL_ONCE = (
    "kind IN ('grant', 'take', 'set', 'undo', 'purchase') OR (kind = 'gift' AND delta_ucr < 0)"
)
"""Acts that a reference names once, for ever. A query needs these very words to use the index."""
_JOURNAL_RULES: tuple[SchemaItem, ...] = (
    check(
        "kind",
        "kind IN ('allowance', 'expire', 'grant', 'take', 'set', 'undo', 'gift', 'purchase',"
        " 'hold', 'extend', 'settle', 'void')",
    ),
    check("hold", "(hold_id IS NOT NULL) = (kind IN ('hold', 'extend', 'settle', 'void'))"),
    check(
        "staff",
        "kind NOT IN ('grant', 'take', 'set', 'undo')"
        " OR (actor_id IS NOT NULL AND reason IS NOT NULL)",
    ),
    index("journal_once_uq", "reference", where=JOURNAL_ONCE, unique=True),
    index("journal_received_uq", "reference", where="kind = 'gift' AND delta_ucr > 0", unique=True),
    index("journal_hold_uq", "hold_id", where="kind = 'hold'", unique=True),
    index("journal_end_uq", "hold_id", where="kind IN ('settle', 'void')", unique=True),
    index("journal_user_ix", "user_id", "id", where="delta_ucr <> 0"),
)
journal = Table("journal", metadata, JournalColumns, *_JOURNAL_RULES, sqlite_strict=True)


class EntryColumns(TypedColumns):
    """One movement between two accounts. Append-only: triggers refuse UPDATE and DELETE (I-2)."""

    id: Named[int] = Column(BIG, primary_key=True)
    journal_id: Named[int] = Column(BIG, ForeignKey("journal.id"), nullable=False)
    from_account_id: Named[int] = Column(BIG, ForeignKey("accounts.id"), nullable=False)
    to_account_id: Named[int] = Column(BIG, ForeignKey("accounts.id"), nullable=False)
    amount_ucr: Named[int] = Column(BIG, nullable=False)
    digest: Named[bytes] = Column(LargeBinary, nullable=False)


_ENTRY_RULES: tuple[SchemaItem, ...] = (
    check("amount", "amount_ucr > 0"),
    check("accounts", "from_account_id <> to_account_id"),
    index("entries_journal_ix", "journal_id"),
)
entries = Table("entries", metadata, EntryColumns, *_ENTRY_RULES, sqlite_strict=True)


# --- The installation --------------------------------------------------------------------------


class PreferenceColumns(TypedColumns):
    """Small facts about this installation."""

    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text, nullable=False)
    changed_us: Named[int] = Column(BIG, nullable=False)


preferences = Table("preferences", metadata, PreferenceColumns, sqlite_strict=True)


class InstanceColumns(TypedColumns):
    """The one row that names the process that may write (reliability.md S-8)."""

    id: Named[int] = Column(BIG, primary_key=True)
    epoch: Named[int] = Column(BIG, nullable=False)
    pid: Named[int] = Column(BIG, nullable=False)
    host: Named[str] = Column(Text, nullable=False)


_INSTANCE_RULES: tuple[SchemaItem, ...] = (check("single", "id = 1"),)
instance = Table("instance", metadata, InstanceColumns, *_INSTANCE_RULES, sqlite_strict=True)
