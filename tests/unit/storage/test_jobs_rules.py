"""What the database itself refuses about jobs, whatever our code does (reliability.md 4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import CheckConstraint, Table
from sqlalchemy.exc import IntegrityError

from storage import jobs, ledger, schema
from storage.inbox import Verdict
from storage.types import JobKind, JobStatus, Outcome, Sink
from tests.unit.storage.bank import MIRA
from tests.unit.storage.workshop import PRICE, Workshop

IDS = {
    status: number
    for number, status in enumerate(
        ["queued", "submitting", "running", "unknown", "finished", "delivered"], start=1
    )
}


@pytest.fixture(scope="module")
def busy() -> Iterator[Workshop]:
    """One job in each status, and a callback; what is refused changes nothing in them."""
    workshop = Workshop()
    for status, number in IDS.items():
        assert workshop.at(status).id == number
    assert workshop.call_back(workshop.at("running")) is Verdict.NEW
    yield workshop
    workshop.assert_sound()
    workshop.database.engine.dispose()


def _set(status: str, changes: str) -> str:
    return f"UPDATE jobs SET {changes} WHERE id = {IDS[status]}"


_EVENT = "INSERT INTO job_events (job_id, old_status, new_status, cause, attempt, epoch, at_us)"
_CALLBACK = "INSERT INTO callbacks (job_id, attempt, digest, body, received_us)"
_JOB = (
    "INSERT INTO jobs (id, short_id, reference, kind, model, provider, user_id, channel_id, prompt,"
    " request, price_ucr, cost_ucr, multiplier_ppm, spoiler, status, attempt, polls, created_us,"
    " deadline_us, due_us, woken)"
)


def _job(short_id: str, reference: str, price_ucr: int = 1) -> str:
    return (
        f"{_JOB} VALUES (99, '{short_id}', '{reference}', 'image', 'm', 'p', 1, 1, '', '{{}}',"
        f" {price_ucr}, 1, 1, 0, 'queued', 0, 0, 0, 0, 0, 0)"
    )


IMPOSSIBLE = {
    # Uniqueness.
    "a reference twice": f"{_job('00000000', 'act:1')}",
    "a short reference twice": f"{_job('3E25EMJE', 'new')}",
    "a task of two jobs": _set("unknown", "status = 'running', task_id = 'task-1'"),
    "a result twice": (
        "INSERT INTO artifacts (job_id, position, filename, content_type, size_bytes, sha256)"
        " VALUES (5, 0, '', '', 0, '')"
    ),
    "a callback twice": (
        "INSERT INTO callbacks (job_id, attempt, digest, body, received_us)"
        " SELECT job_id, attempt, digest, body, received_us FROM callbacks"
    ),
    "a second beginning": f"{_EVENT} VALUES (1, NULL, 'queued', 'accepted', 0, 0, 0)",
    "a second end": f"{_EVENT} VALUES (5, 'running', 'finished', 'again', 1, 0, 0)",
    "a second delivery": f"{_EVENT} VALUES (6, 'finished', 'delivered', 'dm', 1, 0, 0)",
    # Moves.
    "a status that is none": _set("queued", "status = 'lost'"),
    "queued to running": _set("queued", "status = 'running'"),
    "unknown to queued": _set("unknown", "status = 'queued'"),
    "running to queued": _set("running", "status = 'queued', task_id = NULL"),
    "finished to running": _set("finished", "status = 'running'"),
    "delivered to finished": _set(
        "delivered", "status = 'finished', delivered_us = NULL, sink = NULL"
    ),
    "an event of an illegal move": f"{_EVENT} VALUES (4, 'unknown', 'queued', 'x', 1, 0, 0)",
    "an event that begins elsewhere": f"{_EVENT} VALUES (1, NULL, 'running', 'x', 1, 0, 0)",
    "an event that begins late": f"{_EVENT} VALUES (1, NULL, 'running', 'late_result', 1, 0, 0)",
    "an event without a move": f"{_EVENT} VALUES (5, 'finished', 'finished', 'x', 1, 0, 0)",
    "a late result of a running job": (
        f"{_EVENT} VALUES (3, 'running', 'running', 'late_result', 1, 0, 0)"
    ),
    "an event changed": "UPDATE job_events SET cause = 'other' WHERE id = 1",
    "an event deleted": "DELETE FROM job_events WHERE id = 1",
    "an event of nothing": f"{_EVENT} VALUES (99, NULL, 'queued', 'accepted', 0, 0, 0)",
    # What belongs to each status.
    "an outcome too early": _set("running", "outcome = 'succeeded'"),
    "an end without an outcome": _set("running", "status = 'finished'"),
    "an end that charges nothing known": _set(
        "running", "status = 'finished', outcome = 'succeeded', finished_us = 1"
    ),
    "a failure without a name": _set(
        "running", "status = 'finished', outcome = 'failed', finished_us = 1, charged_ucr = 0"
    ),
    "a success without a task": _set(
        "submitting", "status = 'finished', outcome = 'succeeded', finished_us = 1, charged_ucr = 0"
    ),
    "a charge for a failure": _set(
        "running",
        "status = 'finished', outcome = 'failed', failure = 'x', finished_us = 1, charged_ucr = 1",
    ),
    "a charge above the price": _set(
        "running",
        f"status = 'finished', outcome = 'succeeded', finished_us = 1, charged_ucr = {PRICE + 1}",
    ),
    "a delivery without a sink": _set("finished", "status = 'delivered', delivered_us = 1"),
    "a sink without a delivery": _set("finished", "sink = 'dm'"),
    "a sink that is none": _set("finished", "status='delivered', delivered_us=1, sink='fax'"),
    "running without a task": _set("submitting", "status = 'running'"),
    "a task before the create": _set("queued", "task_id = 't'"),
    "a task without a name": _set("submitting", "status = 'running', task_id = ''"),
    "unknown without an end of the grace": _set("submitting", "status = 'unknown'"),
    "a create without an attempt": _set("queued", "status = 'submitting'"),
    "an attempt without a time": _set("queued", "attempt = 1"),
    "a late result of a success": _set("finished", "late_us = 1"),
    "a late result of work in progress": _set("running", "late_us = 1"),
    "progress beyond the end": _set("running", "progress = 101"),
    "polls below zero": _set("running", "polls = -1"),
    "a token without an end": _set("queued", "interaction_expires_us = NULL"),
    # What never changes.
    "a price changed": _set("queued", "price_ucr = 1"),
    "a multiplier changed": _set("queued", "multiplier_ppm = 1"),
    "a reference changed": _set("queued", "reference = 'x'"),
    "another task": _set("running", "task_id = 'other'"),
    "an outcome changed": _set("finished", "outcome = 'failed', failure = 'x', charged_ucr = 0"),
    "a charge changed": _set("finished", "charged_ucr = 0"),
    "a job deleted": "DELETE FROM jobs WHERE id = 6",
    # Kinds.
    "a price of nothing by mistake": f"{_job('00000000', 'new', price_ucr=0)}",
    "a negative price": f"{_job('00000000', 'new', price_ucr=-1)}",
    "a flag that is neither": _set("queued", "spoiler = 2"),
    "text where a number belongs": _set("queued", "due_us = 'soon'"),
    "a parent that is not there": _set("queued", "parent_id = 99"),
    "a callback of nobody": f"{_CALLBACK} VALUES (99, 1, 'd', '{{}}', 0)",
    "a callback of no attempt": f"{_CALLBACK} VALUES (1, 0, 'd', '{{}}', 0)",
    "a file of negative size": "UPDATE artifacts SET size_bytes = -1",
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_database_refuses(busy: Workshop, what: str) -> None:
    """Each statement is one that a bug of ours could send."""
    with pytest.raises(IntegrityError):
        busy.database.run(lambda c: c.exec_driver_sql(IMPOSSIBLE[what]))


def test_the_statements_are_refused_for_what_is_wrong_in_them(workshop: Workshop) -> None:
    """The same ones without the mistake are taken."""
    for statement in (
        _job("00000000", "new"),
        f"{_EVENT} VALUES (99, NULL, 'queued', 'accepted', 0, 0, 0)",
        f"{_CALLBACK} VALUES (99, 1, 'd', '{{}}', 0)",
    ):
        workshop.database.run(lambda c, text: c.exec_driver_sql(text), statement)
    workshop.database.run(
        ledger.hold,
        user_id=1,
        amount_ucr=1,
        floor_ucr=1,
        reference="new",
        allowance=workshop.allowance,
        now_us=workshop.now_us,
    )


def test_texts_and_people_may_be_erased(workshop: Workshop) -> None:
    """C-42: deleting a member's data leaves keys, money and moves whole."""
    for status in IDS:
        workshop.at(status)
    for statement in (
        "UPDATE jobs SET user_id = -1, prompt = '', request = '{}', interaction_token = NULL",
        "UPDATE jobs SET channel_id = 0, guild_id = NULL",
        "UPDATE holds SET user_id = -1",
        "UPDATE buckets SET owner_id = -1",
        "UPDATE journal SET user_id = -1",
    ):
        workshop.database.run(lambda c, text: c.exec_driver_sql(text), statement)
    assert workshop.database.view(jobs.list_for, user_id=MIRA, limit=10) == ()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (schema.jobs, JobKind),
        (schema.jobs, JobStatus),
        (schema.jobs, Outcome),
        (schema.jobs, Sink),
        (schema.job_events, JobStatus),
    ],
)
def test_every_word_of_a_job_is_a_word_of_the_schema(
    table: Table, words: type[JobKind | JobStatus | Outcome | Sink]
) -> None:
    """An enum member that a CHECK does not know would fail only when it is first used."""
    rules = " ".join(
        str(rule.sqltext) for rule in table.constraints if isinstance(rule, CheckConstraint)
    )
    assert [word for word in words if word.value not in rules] == []
