"""Words and units of the ledger and of the conversation history.

Money is whole micro-credits (`_ucr`): 1 credit = 1,000,000 µcr, in which every listed price is
exact. Times are Unix microseconds (`_us`) and always arrive as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

UCR_PER_CREDIT = 1_000_000

JsonObject = dict[str, Any]


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


class TurnState(StrEnum):
    """A turn is part of the history only when FINISHED."""

    PENDING = "pending"
    FINISHED = "finished"
    ABANDONED = "abandoned"


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

    `answer` is None when nothing of it was kept; `charged_ucr` is what was booked.
    """

    reference: str
    channel_id: int
    author_id: int
    message_id: int | None
    answer: str | None = None
    charged_ucr: int = 0


class TextKind(StrEnum):
    """Texts whose tokens a provider counts differently."""

    INPUT = "input"
    SEARCHING = "searching"
    """A prompt to which the provider adds what it finds on the web."""
    OUTPUT = "output"


# --- Jobs: pictures and videos -------------------------------------------------------------------


NEVER_US = 2**63 - 1
"""`Job.due_us` of a job that nobody needs to look at."""


class JobKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"


class JobStatus(StrEnum):
    """Where a job is (reliability.md S-1); `storage/jobs.py` holds the legal moves."""

    QUEUED = "queued"
    """Accepted and held; nothing was sent."""
    SUBMITTING = "submitting"
    """The intent is on disk; the create may be on its way."""
    RUNNING = "running"
    """The provider has a task for it."""
    UNKNOWN = "unknown"
    """Nobody can tell whether there is a task (section 5); never sent again by itself."""
    FINISHED = "finished"
    """The outcome stands and is paid or given back; Discord may not show it yet."""
    DELIVERED = "delivered"
    """Exactly one sink has the outcome."""


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Sink(StrEnum):
    """Who has the outcome: the first that could take it, in this order."""

    CARD = "card"
    """The card was edited by the bot."""
    TOKEN = "token"  # noqa: S105 - the way it went, not a secret.
    """The card was edited through the interaction's token."""
    MESSAGE = "message"
    """A new message in the channel."""
    DM = "dm"
    LIST = "list"
    """`/jobs`, which cannot fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job about to be accepted; `reference` is `i:<interaction id>`, unique for ever.

    `request` is the catalogue's normalised request: {"image_urls": […], "options": {…},
    "nsfw_checker": bool}. `price_ucr` is what the member pays at most, `cost_ucr` the provider's
    listed price of it; price and multiplier are those of this moment (F-68).
    """

    reference: str
    kind: JobKind
    model: str
    provider: str
    user_id: int
    guild_id: int | None
    channel_id: int
    prompt: str
    request: JsonObject
    price_ucr: int
    cost_ucr: int
    multiplier_ppm: int
    spoiler: bool
    deadline_us: int
    interaction_token: str | None = field(default=None, repr=False)
    interaction_expires_us: int | None = None
    parent_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """What the bounds on a job's tries hang on; in its row, so that no restart begins anew.

    `not_before_us`: when a create that was refused for now may be sent again, however often the
    job is woken; `refused_since_us`: when that began (F-36, F-45). `missing`: reads in a row that
    did not find the task (F-35), `urlless`: that found a success without a result (F-48),
    `fetches`: results that could not be had (F-53), `stumbles`: mistakes of ours in a row.
    """

    not_before_us: int | None = None
    refused_since_us: int | None = None
    missing: int = 0
    urlless: int = 0
    fetches: int = 0
    stumbles: int = 0


NO_TRIES = Tries()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row. `short_id` is the reference that people read (8 characters, unique).

    `failure` is the name of an error class of `bot.errors`, set when the outcome is FAILED.
    `attempt` counts creates begun, `submitted_us` is when the last one was. `due_us` is when the
    engine looks again; `NEVER_US` once there is nothing to do. `late_us` is when a result came
    after the credits had gone back (S-6): it is kept for the member, at no charge. `asked_us` is
    when the provider was last asked about a task of it (F-65), `looks` how many looks for a late
    result are left.
    """

    id: int
    short_id: str
    reference: str
    kind: JobKind
    model: str
    provider: str
    user_id: int
    guild_id: int | None
    channel_id: int
    prompt: str
    request: JsonObject
    price_ucr: int
    cost_ucr: int
    multiplier_ppm: int
    spoiler: bool
    parent_id: int | None
    interaction_token: str | None = field(repr=False)
    interaction_expires_us: int | None
    status: JobStatus
    outcome: Outcome | None
    failure: str | None
    attempt: int
    task_id: str | None
    progress: int | None
    polls: int
    created_us: int
    submitted_us: int | None
    finished_us: int | None
    delivered_us: int | None
    deadline_us: int
    due_us: int
    grace_until_us: int | None
    card_message_id: int | None
    sink: Sink | None
    charged_ucr: int | None
    late_us: int | None = None
    asked_us: int | None = None
    looks: int = 0
    tries: Tries = NO_TRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a create's answer was judged; `digest` is the SHA-256 of its body."""

    is_not_created: bool
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """What was learned of a model: how long its successes took, the usual one and the slowest."""

    median_us: int
    p99_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One result file. `path` is its name in the result folder, None once it was delivered.

    `source_url` is where the provider keeps it, until `source_expires_us` where that is known.
    """

    position: int
    filename: str
    content_type: str
    size_bytes: int
    sha256: str
    path: str | None
    source_url: str | None
    source_expires_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One body that came to a job's address; `seen_us` is None until the engine acted on it.

    `tries` counts the reads of the task it names that decided nothing.
    """

    id: int
    job_id: int
    attempt: int
    digest: str
    body: str
    received_us: int
    seen_us: int | None
    tries: int = 0
