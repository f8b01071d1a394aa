"""Words and units of the ledger. `storage.types` has them, too, for everybody else.

Money is whole micro-credits (`_ucr`): 1 credit = 1,000,000 µcr, in which every listed price is
exact. Times are Unix microseconds (`_us`) and always arrive as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

UCR_PER_CREDIT = 1_000_000


class BucketKind(StrEnum):
    """Where the credits of a bucket came from."""

    ALLOWANCE = "allowance"
    """The daily allowance; its credits end with the window."""
    GRANT = "grant"
    """Given by staff."""
    GIFT = "gift"
    """Given by another member; ends when it would have ended for them."""
    BOUGHT = "bought"
    """Paid for."""


class Span(StrEnum):
    """How long a window lasts, by the calendar of a time zone."""

    DAY = "day"
    MONTH = "month"


class ActKind(StrEnum):
    """What an act on the ledger was; `HistoryLine.kind` is one of the first eight."""

    ALLOWANCE = "allowance"
    """A day's allowance was issued, or its amount was changed during the day."""
    EXPIRE = "expire"
    """What was left when a bucket ended."""
    GRANT = "grant"
    TAKE = "take"
    SET = "set"
    """Staff set the balance; the difference may be positive, negative or nothing."""
    GIFT = "gift"
    """From one member to another: a line of each, under one reference."""
    PURCHASE = "purchase"
    SETTLE = "settle"
    """A piece of work was paid."""
    HOLD = "hold"
    EXTEND = "extend"
    VOID = "void"


class HoldState(StrEnum):
    """A hold is left exactly once."""

    OPEN = "open"
    SETTLED = "settled"
    VOIDED = "voided"


class Cause(StrEnum):
    """Why a hold ended: the closed list of asks.md 3.3; nothing is returned without one."""

    ANSWERED = "answered"
    """The provider reached its terminal event."""
    HOLD_EXHAUSTED = "hold_exhausted"
    """We ended the answer because no more could be held; what was shown is paid."""
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_ERROR = "provider_error"
    STREAM_UNFINISHED = "stream_unfinished"
    CANCELLED = "cancelled"
    """Cancelled before the provider was asked."""
    UNCERTAIN = "uncertain"
    """Nobody could tell whether the provider works on it (reliability.md 5)."""
    LATE_RESULT = "late_result"
    """The result came after the credits had gone back (S-6)."""
    INTERRUPTED = "interrupted"
    """The process ended in between."""
    ABUSE_BRAKE = "abuse_brake"
    """The stream broke once too often today: what was shown of it is paid (S-12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A member's credits per day: the amount, and the time zone in which the day turns."""

    amount_ucr: int
    timezone: str = "UTC"


class Scope(StrEnum):
    """Whose budget: who may change it, and what counts in it."""

    SERVER = "server"
    """Staff set it; what is asked in their server counts."""
    INSTALLATION = "installation"
    """The operator sets it; everything counts, also direct messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all members of a server, or of all of them, may spend together; None is no ceiling.

    Days and months turn in `timezone`.
    """

    day_ucr: int | None
    month_ucr: int | None
    timezone: str

    def ceilings(self) -> dict[Span, int]:
        """Those that there are, by their window."""
        given = {Span.DAY: self.day_ucr, Span.MONTH: self.month_ucr}
        return {span: ceiling_ucr for span, ceiling_ucr in given.items() if ceiling_ucr is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWindow:
    """How far a ceiling is used: `spent_ucr` of ended work, `held_ucr` of running work."""

    span: Span
    ceiling_ucr: int
    spent_ucr: int
    held_ucr: int
    available_ucr: int
    resets_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketView:
    """One bucket with credits left; `ends_us` is None when it has no end.

    `starts_us` is None once it has started; before that it adds nothing to what can be spent.
    """

    kind: BucketKind
    available_ucr: int
    held_ucr: int
    ends_us: int | None
    starts_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a member has: spendable now, and reserved for running work."""

    available_ucr: int
    held_ucr: int
    buckets: tuple[BucketView, ...]
    allowance_resets_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Credits reserved for one piece of work, named by its `reference`."""

    reference: str
    user_id: int
    amount_ucr: int
    state: HoldState


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a hold ended, and what the member has left (`available_ucr`, after it)."""

    charged_ucr: int
    returned_ucr: int
    loss_ucr: int
    available_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One line of a member's account, as shown by `/credits history`; spending is negative.

    `actor_id` is who of the staff acted; of a gift, the other member.
    """

    id: int
    at_us: int
    kind: str
    delta_ucr: int
    actor_id: int | None
    reason: str | None
    reference: str
