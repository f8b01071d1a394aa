"""The tables of conversations, with the rules that the database itself enforces."""

from __future__ import annotations

from sqlalchemy import Column, Named, Table, Text, TypedColumns
from sqlalchemy.schema import SchemaItem

from storage.tables import BIG, check, index, metadata


class TurnColumns(TypedColumns):
    """One question and its answer. Rows stay for ever as keys; their texts do not.

    `tokens` is what a finished turn weighs in later windows, and what a broken one had shown.
    `shown_us` is NULL until the member was shown the end, or it was given up.
    """

    id: Named[int] = Column(BIG, primary_key=True)
    reference: Named[str] = Column(Text, nullable=False, unique=True)
    channel_id: Named[int] = Column(BIG, nullable=False)
    guild_id: Named[int | None] = Column(BIG, nullable=True)
    author_id: Named[int] = Column(BIG, nullable=False)
    author_name: Named[str] = Column(Text, nullable=False)
    model: Named[str] = Column(Text, nullable=False)
    question: Named[str] = Column(Text, nullable=False)
    attachments: Named[str] = Column(Text, nullable=False)
    answer: Named[str | None] = Column(Text, nullable=True)
    tokens: Named[int | None] = Column(BIG, nullable=True)
    state: Named[str] = Column(Text, nullable=False)
    cause: Named[str | None] = Column(Text, nullable=True)
    message_id: Named[int | None] = Column(BIG, nullable=True)
    begun_us: Named[int] = Column(BIG, nullable=False)
    ended_us: Named[int | None] = Column(BIG, nullable=True)
    forgotten_us: Named[int | None] = Column(BIG, nullable=True)
    cost_estimate_ucr: Named[int | None] = Column(
        BIG, check("estimate", "cost_estimate_ucr >= 0"), nullable=True
    )
    shown_us: Named[int | None] = Column(BIG, nullable=True)


_TURN_RULES: tuple[SchemaItem, ...] = (
    check(
        "state",
        "(state = 'pending' AND ended_us IS NULL AND answer IS NULL)"
        " OR (state = 'finished' AND ended_us IS NOT NULL AND answer IS NOT NULL"
        " AND tokens IS NOT NULL AND tokens >= 0)"
        " OR (state = 'abandoned' AND ended_us IS NOT NULL AND cause IS NOT NULL"
        " AND answer IS NULL AND question = '')",
    ),
    check("forgotten", "forgotten_us IS NULL OR (question = '' AND coalesce(answer, '') = '')"),
    index(
        "turns_history_ix",
        "channel_id",
        "id",
        where="state = 'finished' AND forgotten_us IS NULL",
    ),
    index("turns_pending_ix", "id", where="state = 'pending'"),
    index("turns_owed_ix", "id", where="ended_us IS NOT NULL AND shown_us IS NULL"),
    index(
        "turns_broken_ix",
        "ended_us",
        "author_id",
        where="cause IN ('stream_unfinished', 'abuse_brake')",
    ),
)
turns = Table("turns", metadata, TurnColumns, *_TURN_RULES, sqlite_strict=True)


class TokenRatioColumns(TypedColumns):
    """How many tokens a provider counts where we estimate a million, by model and kind of text."""

    model: Named[str] = Column(Text, primary_key=True)
    kind: Named[str] = Column(Text, primary_key=True)
    ratio_ppm: Named[int] = Column(BIG, nullable=False)
    samples: Named[int] = Column(BIG, nullable=False)
    changed_us: Named[int] = Column(BIG, nullable=False)


_TOKEN_RATIO_RULES: tuple[SchemaItem, ...] = (
    check("kind", "kind IN ('input', 'searching', 'output')"),
    check("ratio", "ratio_ppm > 0"),
    check("samples", "samples > 0"),
)
token_ratios = Table(
    "token_ratios", metadata, TokenRatioColumns, *_TOKEN_RATIO_RULES, sqlite_strict=True
)
