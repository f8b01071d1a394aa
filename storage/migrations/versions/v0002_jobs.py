"""Jobs: pictures and videos, their moves, their files, and what providers told about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _jobs()
    _events()
    _artifacts()
    _callbacks()
    _guards()


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


def _unique(table: str, column: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(column, name=op.f(f"{table}_{column}_uq"))


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


def _jobs() -> None:
    op.create_table(
        "jobs",
        _big("id"),
        _text("short_id"),
        _text("reference"),
        _text("kind"),
        _text("model"),
        _text("provider"),
        _big("user_id"),
        _big("guild_id", null=True),
        _big("channel_id"),
        _text("prompt"),
        _text("request"),
        _big("price_ucr"),
        _big("cost_ucr"),
        _big("multiplier_ppm"),
        _big("spoiler"),
        _big("parent_id", null=True),
        _text("interaction_token", null=True),
        _big("interaction_expires_us", null=True),
        _text("status"),
        _text("outcome", null=True),
        _text("failure", null=True),
        _big("attempt"),
        _text("task_id", null=True),
        _big("progress", null=True),
        _big("polls"),
        _big("created_us"),
        _big("submitted_us", null=True),
        _big("finished_us", null=True),
        _big("delivered_us", null=True),
        _big("late_us", null=True),
        _big("deadline_us"),
        _big("due_us"),
        _big("grace_until_us", null=True),
        _big("lease_until_us", null=True),
        _big("woken"),
        _big("card_message_id", null=True),
        _text("sink", null=True),
        _big("charged_ucr", null=True),
        _primary("jobs", "id"),
        _foreign("jobs", "parent_id", "jobs.id"),
        _unique("jobs", "short_id"),
        _unique("jobs", "reference"),
        _check("jobs", "kind", "kind IN ('image', 'video')"),
        _check("jobs", "flags", "spoiler IN (0, 1) AND woken IN (0, 1)"),
        _check("jobs", "price", "price_ucr >= 0 AND cost_ucr >= 0 AND multiplier_ppm >= 0"),
        _check("jobs", "free", "price_ucr > 0 OR cost_ucr = 0 OR multiplier_ppm = 0"),
        _check("jobs", "token", "interaction_token IS NULL OR interaction_expires_us IS NOT NULL"),
        _check(
            "jobs",
            "status",
            "status IN ('queued', 'submitting', 'running', 'unknown', 'finished', 'delivered')",
        ),
        _check("jobs", "attempt", "attempt >= 0 AND (attempt = 0) = (submitted_us IS NULL)"),
        _check(
            "jobs", "submitted", "attempt > 0 OR status NOT IN ('submitting', 'running', 'unknown')"
        ),
        _check(
            "jobs",
            "task",
            "(status <> 'running' OR task_id IS NOT NULL)"
            " AND (status NOT IN ('queued', 'submitting', 'unknown') OR task_id IS NULL)"
            " AND (task_id IS NULL OR (task_id <> '' AND attempt > 0))",
        ),
        _check("jobs", "progress", "progress BETWEEN 0 AND 100 AND polls >= 0"),
        _check("jobs", "unknown", "status <> 'unknown' OR grace_until_us IS NOT NULL"),
        _check(
            "jobs",
            "outcome",
            "(status IN ('queued', 'submitting', 'running', 'unknown') AND outcome IS NULL"
            " AND failure IS NULL AND finished_us IS NULL AND charged_ucr IS NULL)"
            " OR (status IN ('finished', 'delivered') AND outcome IS NOT NULL"
            " AND finished_us IS NOT NULL AND charged_ucr IS NOT NULL"
            " AND outcome IN ('succeeded', 'failed', 'cancelled')"
            " AND (outcome = 'failed') = (failure IS NOT NULL)"
            " AND (outcome <> 'succeeded' OR task_id IS NOT NULL))",
        ),
        _check(
            "jobs",
            "charge",
            "charged_ucr IS NULL"
            " OR (charged_ucr BETWEEN 0 AND price_ucr"
            " AND (charged_ucr = 0 OR outcome = 'succeeded'))",
        ),
        _check(
            "jobs",
            "delivered",
            "(status = 'delivered') = (delivered_us IS NOT NULL)"
            " AND (status = 'delivered') = (sink IS NOT NULL)"
            " AND (sink IS NULL OR sink IN ('card', 'token', 'message', 'dm', 'list'))",
        ),
        _check(
            "jobs",
            "late",
            "late_us IS NULL"
            " OR (outcome IS NOT NULL AND outcome IN ('failed', 'cancelled') AND attempt > 0)",
        ),
        sqlite_strict=True,
    )
    _index(
        "jobs_task_uq", "jobs", ["provider", "task_id"], where="task_id IS NOT NULL", unique=True
    )
    _index("jobs_due_ix", "jobs", ["due_us"])
    _index("jobs_user_ix", "jobs", ["user_id", "id"])
    _index("jobs_served_ix", "jobs", ["user_id", "submitted_us"])
    _index("jobs_open_ix", "jobs", ["status", "user_id"], where="finished_us IS NULL")
    _index("jobs_model_ix", "jobs", ["model", "finished_us"], where="outcome = 'succeeded'")


def _events() -> None:
    op.create_table(
        "job_events",
        _big("id"),
        _big("job_id"),
        _text("old_status", null=True),
        _text("new_status"),
        _text("cause"),
        _big("attempt"),
        _big("epoch"),
        _big("at_us"),
        _primary("job_events", "id"),
        _foreign("job_events", "job_id", "jobs.id"),
        _check(
            "job_events",
            "move",
            "(old_status IS NULL AND new_status = 'queued')"
            " OR (old_status IS NOT NULL AND old_status || '>' || new_status IN ("
            "'queued>submitting', 'queued>finished', 'submitting>queued', 'submitting>running',"
            " 'submitting>unknown', 'submitting>finished', 'running>finished', 'unknown>running',"
            " 'unknown>finished', 'finished>delivered'))"
            " OR (old_status IS NOT NULL AND old_status IN ('finished', 'delivered')"
            " AND new_status = old_status AND cause = 'late_result')",
        ),
        sqlite_strict=True,
    )
    _index("job_events_first_uq", "job_events", ["job_id"], where="old_status IS NULL", unique=True)
    _index(
        "job_events_end_uq",
        "job_events",
        ["job_id", "new_status"],
        where="new_status IN ('finished', 'delivered') AND new_status <> old_status",
        unique=True,
    )
    _index(
        "job_events_late_uq", "job_events", ["job_id"], where="new_status = old_status", unique=True
    )
    _index("job_events_job_ix", "job_events", ["job_id", "id"])


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        _big("job_id"),
        _big("position"),
        _text("filename"),
        _text("content_type"),
        _big("size_bytes"),
        _text("sha256"),
        _text("path", null=True),
        _text("source_url", null=True),
        _big("source_expires_us", null=True),
        _primary("artifacts", "job_id", "position"),
        _foreign("artifacts", "job_id", "jobs.id"),
        _check("artifacts", "position", "position >= 0"),
        _check("artifacts", "size", "size_bytes >= 0"),
        sqlite_strict=True,
    )
    _index("artifacts_path_ix", "artifacts", ["path"], where="path IS NOT NULL")


def _callbacks() -> None:
    op.create_table(
        "callbacks",
        _big("id"),
        _big("job_id"),
        _big("attempt"),
        _text("digest"),
        _text("body"),
        _big("received_us"),
        _big("seen_us", null=True),
        _primary("callbacks", "id"),
        _foreign("callbacks", "job_id", "jobs.id"),
        _check("callbacks", "attempt", "attempt > 0"),
        _check("callbacks", "body", "length(body) <= 65536"),
        sqlite_strict=True,
    )
    _index("callbacks_body_uq", "callbacks", ["job_id", "attempt", "digest"], unique=True)
    _index("callbacks_received_ix", "callbacks", ["received_us"])


def _guards() -> None:
    """What no CHECK can say (reliability.md I-9, I-20, I-21, F-68)."""
    _refuse("job_events_no_update", "UPDATE ON job_events", "job_events is append-only")
    _refuse("job_events_no_delete", "DELETE ON job_events", "job_events is append-only")
    # A row is the key that keeps its reference from being accepted again.
    _refuse("jobs_no_delete", "DELETE ON jobs", "jobs are kept")
    _refuse(
        "jobs_frozen",
        "UPDATE OF id, short_id, reference, kind, model, provider, price_ucr, cost_ucr,"
        " multiplier_ppm, created_us ON jobs",
        "accepted facts are frozen",
    )
    _refuse(
        "jobs_moves",
        "UPDATE OF status ON jobs WHEN OLD.status <> NEW.status"
        " AND OLD.status || '>' || NEW.status NOT IN ("
        "'queued>submitting', 'queued>finished', 'submitting>queued', 'submitting>running',"
        " 'submitting>unknown', 'submitting>finished', 'running>finished', 'unknown>running',"
        " 'unknown>finished', 'finished>delivered')",
        "not a move of a job",
    )
    _refuse(
        "jobs_outcome",
        "UPDATE OF outcome, failure, charged_ucr, finished_us ON jobs"
        " WHEN OLD.outcome IS NOT NULL AND (NEW.outcome IS NOT OLD.outcome"
        " OR NEW.failure IS NOT OLD.failure OR NEW.charged_ucr IS NOT OLD.charged_ucr"
        " OR NEW.finished_us IS NOT OLD.finished_us)",
        "an outcome stands",
    )
    _refuse(
        "jobs_task",
        "UPDATE OF task_id ON jobs WHEN OLD.task_id IS NOT NULL AND NEW.task_id IS NOT OLD.task_id",
        "a task stays with its job",
    )


def _refuse(name: str, act: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} BEGIN SELECT RAISE(ABORT, '{why}'); END")
