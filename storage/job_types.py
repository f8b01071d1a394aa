"""Words of jobs: pictures and videos. Callers find them in `storage.types`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

JsonObject = dict[str, Any]

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
