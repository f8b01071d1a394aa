"""The table of what Discord asked of us, with the rules that the database itself enforces."""

from __future__ import annotations

from sqlalchemy import Column, Named, Table, Text, TypedColumns
from sqlalchemy.schema import SchemaItem

from storage.tables import BIG, check, index, metadata


class InteractionColumns(TypedColumns):
    """One command, press, form or message; `id` is Discord's, so it is taken once (S-2, I-33).

    `token` is there while the answer may still be missing (C-45); messages have none.
    """

    id: Named[int] = Column(BIG, primary_key=True, autoincrement=False)
    token: Named[str | None] = Column(Text, nullable=True)
    expires_us: Named[int] = Column(BIG, nullable=False)
    received_us: Named[int] = Column(BIG, nullable=False)


_INTERACTION_RULES: tuple[SchemaItem, ...] = (
    check("expiry", "expires_us >= received_us"),
    index("interactions_open_ix", "id", where="token IS NOT NULL"),
    index("interactions_old_ix", "received_us"),
)
interactions = Table(
    "interactions", metadata, InteractionColumns, *_INTERACTION_RULES, sqlite_strict=True
)
