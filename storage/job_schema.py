"""The tables of jobs, with the rules that the database itself enforces (reliability.md 4).

Rows of `jobs` stay for ever, because a reference must never be accepted twice; their texts need
not. Migration 0002 adds what no CHECK can say: a status only moves as S-1 allows, an outcome never
changes, the facts of acceptance are frozen (F-68, I-9), events are append-only (I-20).
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Named, Table, Text, TypedColumns, text
from sqlalchemy.schema import SchemaItem

from storage.tables import BIG, check, index, metadata

CALLBACK_CHARS_MAX = 65_536
"""The web layer refuses bodies above 64 KiB (C-10); this is the second defence."""


def _count(name: str) -> Column[int]:
    """A number that begins at nothing and never lies below."""
    return Column(BIG, check(name, f"{name} >= 0"), nullable=False, server_default=text("0"))


class JobColumns(TypedColumns):
    """One picture or video, from its acceptance on; see `storage.types.Job`.

    `lease_until_us` is set while the engine moves it, `woken` when something happened meanwhile.
    """

    id: Named[int] = Column(BIG, primary_key=True)
    short_id: Named[str] = Column(Text, nullable=False, unique=True)
    reference: Named[str] = Column(Text, nullable=False, unique=True)
    kind: Named[str] = Column(Text, nullable=False)
    model: Named[str] = Column(Text, nullable=False)
    provider: Named[str] = Column(Text, nullable=False)
    user_id: Named[int] = Column(BIG, nullable=False)
    guild_id: Named[int | None] = Column(BIG, nullable=True)
    channel_id: Named[int] = Column(BIG, nullable=False)
    prompt: Named[str] = Column(Text, nullable=False)
    request: Named[str] = Column(Text, nullable=False)
    price_ucr: Named[int] = Column(BIG, nullable=False)
    cost_ucr: Named[int] = Column(BIG, nullable=False)
    multiplier_ppm: Named[int] = Column(BIG, nullable=False)
    spoiler: Named[int] = Column(BIG, nullable=False)
    parent_id: Named[int | None] = Column(BIG, ForeignKey("jobs.id"), nullable=True)
    interaction_token: Named[str | None] = Column(Text, nullable=True)
    interaction_expires_us: Named[int | None] = Column(BIG, nullable=True)
    status: Named[str] = Column(Text, nullable=False)
    outcome: Named[str | None] = Column(Text, nullable=True)
    failure: Named[str | None] = Column(Text, nullable=True)
    attempt: Named[int] = Column(BIG, nullable=False)
    task_id: Named[str | None] = Column(Text, nullable=True)
    progress: Named[int | None] = Column(BIG, nullable=True)
    polls: Named[int] = Column(BIG, nullable=False)
    created_us: Named[int] = Column(BIG, nullable=False)
    submitted_us: Named[int | None] = Column(BIG, nullable=True)
    finished_us: Named[int | None] = Column(BIG, nullable=True)
    delivered_us: Named[int | None] = Column(BIG, nullable=True)
    late_us: Named[int | None] = Column(BIG, nullable=True)
    deadline_us: Named[int] = Column(BIG, nullable=False)
    due_us: Named[int] = Column(BIG, nullable=False)
    grace_until_us: Named[int | None] = Column(BIG, nullable=True)
    lease_until_us: Named[int | None] = Column(BIG, nullable=True)
    woken: Named[int] = Column(BIG, nullable=False)
    card_message_id: Named[int | None] = Column(BIG, nullable=True)
    sink: Named[str | None] = Column(Text, nullable=True)
    charged_ucr: Named[int | None] = Column(BIG, nullable=True)
    asked_us: Named[int | None] = Column(BIG, nullable=True)
    looks: Named[int] = _count("looks")
    not_before_us: Named[int | None] = Column(BIG, nullable=True)
    refused_since_us: Named[int | None] = Column(BIG, nullable=True)
    missing: Named[int] = _count("missing")
    urlless: Named[int] = _count("urlless")
    fetches: Named[int] = _count("fetches")
    stumbles: Named[int] = _count("stumbles")


_JOB_RULES: tuple[SchemaItem, ...] = (
    check("kind", "kind IN ('image', 'video')"),
    check("flags", "spoiler IN (0, 1) AND woken IN (0, 1)"),
    check("price", "price_ucr >= 0 AND cost_ucr >= 0 AND multiplier_ppm >= 0"),
    # A price of nothing is only what an explicit price or multiplier of nothing makes.
    check("free", "price_ucr > 0 OR cost_ucr = 0 OR multiplier_ppm = 0"),
    check("token", "interaction_token IS NULL OR interaction_expires_us IS NOT NULL"),
    check(
        "status",
        "status IN ('queued', 'submitting', 'running', 'unknown', 'finished', 'delivered')",
    ),
    check("attempt", "attempt >= 0 AND (attempt = 0) = (submitted_us IS NULL)"),
    check("submitted", "attempt > 0 OR status NOT IN ('submitting', 'running', 'unknown')"),
    check(
        "task",
        "(status <> 'running' OR task_id IS NOT NULL)"
        " AND (status NOT IN ('queued', 'submitting', 'unknown') OR task_id IS NULL)"
        " AND (task_id IS NULL OR (task_id <> '' AND attempt > 0))",
    ),
    check("progress", "progress BETWEEN 0 AND 100 AND polls >= 0"),
    check("unknown", "status <> 'unknown' OR grace_until_us IS NOT NULL"),
    check(
        "outcome",
        "(status IN ('queued', 'submitting', 'running', 'unknown') AND outcome IS NULL"
        " AND failure IS NULL AND finished_us IS NULL AND charged_ucr IS NULL)"
        " OR (status IN ('finished', 'delivered') AND outcome IS NOT NULL"
        " AND finished_us IS NOT NULL AND charged_ucr IS NOT NULL"
        " AND outcome IN ('succeeded', 'failed', 'cancelled')"
        " AND (outcome = 'failed') = (failure IS NOT NULL)"
        " AND (outcome <> 'succeeded' OR task_id IS NOT NULL))",
    ),
    check(
        "charge",
        "charged_ucr IS NULL"
        " OR (charged_ucr BETWEEN 0 AND price_ucr AND (charged_ucr = 0 OR outcome = 'succeeded'))",
    ),
    check(
        "delivered",
        "(status = 'delivered') = (delivered_us IS NOT NULL)"
        " AND (status = 'delivered') = (sink IS NOT NULL)"
        " AND (sink IS NULL OR sink IN ('card', 'token', 'message', 'dm', 'list'))",
    ),
    check(
        "late",
        "late_us IS NULL"
        " OR (outcome IS NOT NULL AND outcome IN ('failed', 'cancelled') AND attempt > 0)",
    ),
    index("jobs_task_uq", "provider", "task_id", where="task_id IS NOT NULL", unique=True),
    index("jobs_due_ix", "due_us"),
    index("jobs_user_ix", "user_id", "id"),
    index("jobs_served_ix", "user_id", "submitted_us"),
    index("jobs_open_ix", "status", "user_id", where="finished_us IS NULL"),
    index("jobs_model_ix", "model", "finished_us", where="outcome = 'succeeded'"),
)
jobs = Table("jobs", metadata, JobColumns, *_JOB_RULES, sqlite_strict=True)


class JobEventColumns(TypedColumns):
    """One move of a job: from where to where, why, in which attempt, under which epoch.

    `digest` is the SHA-256 of what was sent, or of the answer that was judged (section 5).
    """

    id: Named[int] = Column(BIG, primary_key=True)
    job_id: Named[int] = Column(BIG, ForeignKey("jobs.id"), nullable=False)
    old_status: Named[str | None] = Column(Text, nullable=True)
    new_status: Named[str] = Column(Text, nullable=False)
    cause: Named[str] = Column(Text, nullable=False)
    attempt: Named[int] = Column(BIG, nullable=False)
    epoch: Named[int] = Column(BIG, nullable=False)
    at_us: Named[int] = Column(BIG, nullable=False)
    digest: Named[str | None] = Column(Text, nullable=True)


_JOB_EVENT_RULES: tuple[SchemaItem, ...] = (
    check(
        "move",
        "(old_status IS NULL AND new_status = 'queued')"
        " OR (old_status IS NOT NULL AND old_status || '>' || new_status IN ("
        "'queued>submitting', 'queued>finished', 'submitting>queued', 'submitting>running',"
        " 'submitting>unknown', 'submitting>finished', 'running>finished', 'unknown>running',"
        " 'unknown>finished', 'finished>delivered'))"
        " OR (old_status IS NOT NULL AND old_status IN ('finished', 'delivered')"
        " AND new_status = old_status AND cause = 'late_result')",
    ),
    index("job_events_first_uq", "job_id", where="old_status IS NULL", unique=True),
    index(
        "job_events_end_uq",
        "job_id",
        "new_status",
        where="new_status IN ('finished', 'delivered') AND new_status <> old_status",
        unique=True,
    ),
    index("job_events_late_uq", "job_id", where="new_status = old_status", unique=True),
    index("job_events_job_ix", "job_id", "id"),
)
job_events = Table("job_events", metadata, JobEventColumns, *_JOB_EVENT_RULES, sqlite_strict=True)


class ArtifactColumns(TypedColumns):
    """One result file; `path` is its name in the result folder while it is kept there."""

    job_id: Named[int] = Column(BIG, ForeignKey("jobs.id"), primary_key=True)
    position: Named[int] = Column(BIG, primary_key=True)
    filename: Named[str] = Column(Text, nullable=False)
    content_type: Named[str] = Column(Text, nullable=False)
    size_bytes: Named[int] = Column(BIG, nullable=False)
    sha256: Named[str] = Column(Text, nullable=False)
    path: Named[str | None] = Column(Text, nullable=True)
    source_url: Named[str | None] = Column(Text, nullable=True)
    source_expires_us: Named[int | None] = Column(BIG, nullable=True)


_ARTIFACT_RULES: tuple[SchemaItem, ...] = (
    check("position", "position >= 0"),
    check("size", "size_bytes >= 0"),
    index("artifacts_path_ix", "path", where="path IS NOT NULL"),
)
artifacts = Table("artifacts", metadata, ArtifactColumns, *_ARTIFACT_RULES, sqlite_strict=True)


class CallbackColumns(TypedColumns):
    """One body that a provider sent to a job's address; kept until it was acted on (I-35)."""

    id: Named[int] = Column(BIG, primary_key=True)
    job_id: Named[int] = Column(BIG, ForeignKey("jobs.id"), nullable=False)
    attempt: Named[int] = Column(BIG, nullable=False)
    digest: Named[str] = Column(Text, nullable=False)
    body: Named[str] = Column(Text, nullable=False)
    received_us: Named[int] = Column(BIG, nullable=False)
    seen_us: Named[int | None] = Column(BIG, nullable=True)
    tries: Named[int] = _count("tries")


_CALLBACK_RULES: tuple[SchemaItem, ...] = (
    check("attempt", "attempt > 0"),
    check("body", f"length(body) <= {CALLBACK_CHARS_MAX}"),
    index("callbacks_body_uq", "job_id", "attempt", "digest", unique=True),
    index("callbacks_received_ix", "received_us"),
)
callbacks = Table("callbacks", metadata, CallbackColumns, *_CALLBACK_RULES, sqlite_strict=True)


class JobActColumns(TypedColumns):
    """What staff did to a job, and who: append-only, by triggers (C-33). `detail` is a task."""

    id: Named[int] = Column(BIG, primary_key=True)
    job_id: Named[int] = Column(BIG, ForeignKey("jobs.id"), nullable=False)
    act: Named[str] = Column(Text, nullable=False)
    actor_id: Named[int] = Column(BIG, nullable=False)
    detail: Named[str | None] = Column(Text, nullable=True)
    at_us: Named[int] = Column(BIG, nullable=False)


_JOB_ACT_RULES: tuple[SchemaItem, ...] = (
    check("act", "act IN ('bind', 'refund')"),
    index("job_acts_job_ix", "job_id"),
)
job_acts = Table("job_acts", metadata, JobActColumns, *_JOB_ACT_RULES, sqlite_strict=True)
