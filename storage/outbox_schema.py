"""The table of messages that are posted, with the rules that the database itself enforces.

What is edited needs no row here: a finished job *is* the outbox row of its outcome, written in the
transaction that settles or voids (decision 7), and `jobs.sink` says who has it. A row here is a
message that must be created, which Discord would do twice (S-7).

Migration 0006 adds what no CHECK can say: rows are kept, what was sent or given up stays so, and
no outcome is posted before there is one.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Named, Table, Text, TypedColumns
from sqlalchemy.schema import SchemaItem

from storage.tables import BIG, check, index, metadata


class OutboxColumns(TypedColumns):
    """One message of one job; see `storage.outbox.Posting`."""

    job_id: Named[int] = Column(BIG, ForeignKey("jobs.id"), primary_key=True)
    purpose: Named[str] = Column(Text, primary_key=True)
    channel_id: Named[int] = Column(BIG, nullable=False)
    digest: Named[str] = Column(Text, nullable=False)
    nonce: Named[str] = Column(Text, nullable=False)
    state: Named[str] = Column(Text, nullable=False)
    windows: Named[int] = Column(BIG, nullable=False)
    is_marked: Named[int] = Column(BIG, nullable=False)
    first_sent_us: Named[int | None] = Column(BIG, nullable=True)
    message_id: Named[int | None] = Column(BIG, nullable=True)
    cause: Named[str | None] = Column(Text, nullable=True)


_OUTBOX_RULES: tuple[SchemaItem, ...] = (
    check("purpose", "purpose IN ('status', 'result', 'dm')"),
    check("nonce", "length(nonce) BETWEEN 1 AND 25"),
    check("state", "state IN ('ready', 'sending', 'sent', 'dead')"),
    check("windows", "windows >= 0 AND is_marked IN (0, 1) AND (is_marked = 0 OR windows > 1)"),
    check(
        "sent",
        "(state NOT IN ('sending', 'sent') OR (first_sent_us IS NOT NULL AND windows > 0))"
        " AND (message_id IS NULL OR state = 'sent')",
    ),
    check("dead", "(state = 'dead') = (cause IS NOT NULL)"),
    index("outbox_nonce_uq", "nonce", unique=True),
    index("outbox_message_uq", "message_id", where="message_id IS NOT NULL", unique=True),
)
outbox = Table("outbox", metadata, OutboxColumns, *_OUTBOX_RULES, sqlite_strict=True)
