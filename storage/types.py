"""Words and units of the ledger and of the conversation history.

Money is whole micro-credits (`_ucr`): 1 credit = 1,000,000 µcr, in which every listed price is
exact. Times are Unix microseconds (`_us`) and always arrive as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from storage.job_types import (
    NEVER_US,
    NO_TRIES,
    Artifact,
    Callback,
    Durations,
    Job,
    JobKind,
    JobStatus,
    JsonObject,
    NewJob,
    Outcome,
    Sink,
    Tries,
    Verdict,
)

__all__ = [
    "NEVER_US",
    "NO_TRIES",
    "UCR_PER_CREDIT",
    "ActKind",
    "Allowance",
    "Artifact",
    "Balance",
    "BucketKind",
    "BucketView",
    "Callback",
    "Cause",
    "Durations",
    "HistoryLine",
    "Hold",
    "HoldState",
    "Job",
    "JobKind",
    "JobStatus",
    "JsonObject",
    "NewJob",
    "NewTurn",
    "OpenTurn",
    "Outcome",
    "OwedTurn",
    "PastTurn",
    "Settlement",
    "Sink",
    "StoredAttachment",
    "TextKind",
    "Tries",
    "TurnState",
    "Verdict",
]

from storage.ledger_types import (
    UCR_PER_CREDIT,
    ActKind,
    Allowance,
    Balance,
    BucketKind,
    BucketView,
    Budget,
    BudgetWindow,
    Cause,
    HistoryLine,
    Hold,
    HoldState,
    Scope,
    Settlement,
    Span,
)

__all__ = [
    "UCR_PER_CREDIT",
    "ActKind",
    "Allowance",
    "Balance",
    "BucketKind",
    "BucketView",
    "Budget",
    "BudgetWindow",
    "Cause",
    "HistoryLine",
    "Hold",
    "HoldState",
    "Scope",
    "Settlement",
    "Span",
]


class TurnState(StrEnum):
    """A turn is part of the history only when FINISHED."""

    PENDING = "pending"
    FINISHED = "finished"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAttachment:
    """An attachment of a past turn. Discord's addresses expire, so only its name goes on."""

    filename: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTurn:
    """One finished turn of a channel's history: who asked what, and the answer."""

    author_id: int
    author_name: str
    question: str
    attachments: tuple[StoredAttachment, ...]
    answer: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """A turn about to be asked; `reference` is the Discord message's or interaction's own key.

    `cost_estimate_ucr` is what the provider takes for reading it, before any answer.
    """

    reference: str
    channel_id: int
    guild_id: int | None
    author_id: int
    author_name: str
    model: str
    question: str
    attachments: tuple[StoredAttachment, ...]
    cost_estimate_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTurn:
    """A turn that a former process left pending; `message_id` is its answer so far, if any.

    `cost_estimate_ucr` is what that has cost the provider as far as it was noted; 0 for a turn of
    a release that noted nothing.
    """

    reference: str
    channel_id: int
    author_id: int
    message_id: int | None
    cost_estimate_ucr: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedTurn:
    """A turn whose end its member was not shown, because the process ended first.

    `answer` is None when nothing of it was kept; `charged_ucr` is what was booked. `token` is a
    command's, while it lives.
    """

    reference: str
    channel_id: int
    author_id: int
    message_id: int | None
    answer: str | None = None
    charged_ucr: int = 0
    token: str | None = field(default=None, repr=False)


class TextKind(StrEnum):
    """Texts whose tokens a provider counts differently."""

    INPUT = "input"
    SEARCHING = "searching"
    """A prompt to which the provider adds what it finds on the web."""
    OUTPUT = "output"
