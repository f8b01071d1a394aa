"""I-20 … I-35: the jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.simulation.books import PENDING, Books, News
from tests.simulation.invariants import Moment, invariant
from tests.simulation.provider import PROVEN_NOT_CREATED, Provider
from tests.simulation.witness import Departure, Witness

STATUSES = PENDING | {"finished", "delivered"}
MOVES = {
    (None, "queued"),
    ("queued", "submitting"),
    ("queued", "finished"),
    ("submitting", "queued"),
    ("submitting", "running"),
    ("submitting", "unknown"),
    ("submitting", "finished"),
    ("running", "finished"),
    ("unknown", "running"),
    ("unknown", "finished"),
    ("finished", "delivered"),
}
"""S-1, written down once more: the bot's own table is not asked."""
LIVENESS_S = 60.0
PAUSES_S = 0.3
"""Between the transaction that allows a read and the read itself."""
SLACK_US = 121_000_000
"""Between the provider's clock and ours, and the second that its own is cut to."""
DEADLINES_S = {"image": 1_800.0, "video": 10_800.0}
CREATES_MAX = 4
READS_APART_S = 5.0
GRACE_S = {"image": 600.0, "video": 3_600.0}
GRACE_DURATIONS = 3


@invariant("I-20", "a job's state is its last event's, and every move is one of S-1", Moment.COMMIT)
def moves(books: Books, news: News) -> Iterator[str]:
    for event in news.events:
        before = books.status_by_events.get(event.job_id)
        is_late = event.cause == "late_result" and event.old == event.new
        if event.old != before:
            yield f"job {event.job_id}: {event.old} to {event.new} after {before}"
        if (event.old, event.new) not in MOVES and not is_late:
            yield f"job {event.job_id}: {event.old} to {event.new} ({event.cause})"
        books.status_by_events[event.job_id] = event.new
    for _old, job in news.jobs:
        if job.status not in STATUSES or books.status_by_events.get(job.id) != job.status:
            yield f"job {job.id}: {job.status}, by events {books.status_by_events.get(job.id)}"


@invariant("I-21", "what is over stays over, with the same outcome", Moment.COMMIT)
def terminal(books: Books, news: News) -> Iterator[str]:
    del books
    for old, job in news.jobs:
        if old is None:
            continue
        if old.status == "delivered" and (job.status, job.sink) != ("delivered", old.sink):
            yield f"job {job.id}: from delivered to {job.status} {job.sink}"
        if old.outcome is not None and (job.outcome, job.charged_ucr) != (
            old.outcome,
            old.charged_ucr,
        ):
            yield f"job {job.id}: from {old.outcome} to {job.outcome}"


@invariant("I-25", "a task belongs to one job", Moment.COMMIT)
def one_owner(books: Books, news: News) -> Iterator[str]:
    for old, job in news.jobs:
        if job.task_id is None or (old is not None and old.task_id == job.task_id):
            continue
        owners = [other.id for other in books.jobs.values() if other.task_id == job.task_id]
        if owners != [job.id]:
            yield f"task {job.task_id}: jobs {owners}"


@invariant("I-29", "epochs never go back, and a former process is refused", Moment.COMMIT)
def epochs(books: Books, news: News) -> Iterator[str]:
    for event in news.events:
        if event.epoch < books.epoch:
            yield f"job {event.job_id}: epoch {event.epoch} after {books.epoch}"
        books.epoch = event.epoch


# --- While it happens ----------------------------------------------------------------------------


@invariant("I-24", "never a second create, but after proof that the first made nothing", Moment.NOW)
def one_create(books: Books, earlier: list[Departure], leaving: Departure) -> Iterator[str]:
    job = books.job_of(leaving.reference)
    if job is None:
        yield f"{leaving.reference}: a create for no job"
        return
    for one in earlier:
        if one.fault not in PROVEN_NOT_CREATED or not one.told:
            yield (
                f"{leaving.reference}: sent again after"
                f" {one.fault.name if one.fault else 'an answer'}, told {one.told}"
            )
    if leaving.url is not None and any(one.url == leaving.url for one in earlier):
        yield f"{leaving.reference}: two creates of one attempt"
    if len(earlier) + 1 > job.attempt:
        yield f"{leaving.reference}: create {len(earlier) + 1} of attempt {job.attempt}"


@invariant("I-26", "no task is bound, and nothing paid, by a callback's word alone", Moment.COMMIT)
def own_reads(books: Books, news: News, witness: Witness, provider: Provider) -> Iterator[str]:
    del books
    for old, job in news.jobs:
        if job.task_id is not None and (old is None or old.task_id is None):
            known = witness.was_named(job.reference, job.task_id) or job.task_id in witness.reads
            if not known:
                yield f"job {job.id}: {job.task_id} bound, and nobody has seen it"
            task = provider.tasks.get(job.task_id)
            named = witness.was_named(job.reference, job.task_id)
            # A twin of the same model and minute at the right address cannot be told apart.
            may_be_a_twin = (
                job.task_id in witness.named_elsewhere
                and task is not None
                and task.kind == job.kind
                and task.created_us >= (job.submitted_us or 0) - SLACK_US
            )
            is_own = task is not None and task.reference == job.reference
            if not named and not may_be_a_twin and not is_own:
                yield f"job {job.id}: bound to {job.task_id}, another's"
        if job.outcome == "succeeded" and (old is None or old.outcome is None):
            task = provider.tasks.get(job.task_id or "")
            if task is None or not task.seen_succeeded:
                yield f"job {job.id}: paid, and nobody has seen {job.task_id} end"


@invariant("I-31", "at most four creates at once; one read of a task in five seconds", Moment.NOW)
def bounded(in_flight: int, since_read_s: float | None) -> Iterator[str]:
    if in_flight > CREATES_MAX:
        yield f"{in_flight} creates in flight"
    if since_read_s is not None and since_read_s < READS_APART_S - PAUSES_S:
        yield f"read again after {since_read_s:.3f} s"


# --- In the end ----------------------------------------------------------------------------------


@invariant("I-22", "every accepted job has ended, once", Moment.QUIET)
def all_over(books: Books, witness: Witness, provider: Provider) -> Iterator[str]:
    del provider
    for job in books.jobs.values():
        if job.status != "delivered" or job.outcome is None or job.sink is None:
            yield f"job {job.id}: {job.status} {job.outcome} {job.sink}"
    for reference in witness.accepted:
        if books.job_of(reference) is None:
            yield f"{reference}: accepted, and nowhere"


@invariant("I-33", "an interaction makes at most one job", Moment.QUIET)
def once(books: Books, witness: Witness, provider: Provider) -> Iterator[str]:
    del witness, provider
    counted = Counter(job.reference for job in books.jobs.values())
    for reference, count in counted.items():
        if count > 1:
            yield f"{reference}: {count} jobs"


@invariant("I-35", "what was answered 204 is kept, and acted on", Moment.QUIET)
def inbox(books: Books, witness: Witness, provider: Provider) -> Iterator[str]:
    del provider
    kept = {(row.job_id, row.attempt, row.digest): row for row in books.callbacks.values()}
    for one in witness.acknowledged:
        row = kept.get((one.job_id, one.attempt, one.digest))
        job = books.jobs.get(one.job_id)
        if job is None or job.outcome == "succeeded":
            continue
        if row is None:
            yield f"job {one.job_id}: an acknowledged callback is gone"
        elif row.seen_us is None:
            yield f"job {one.job_id}: callback {row.id} was never acted on"


@invariant("I-30", "with the faults over, every job ends by deadline + grace + 60 s", Moment.QUIET)
def in_time(books: Books, calm_us: int) -> Iterator[str]:
    for job in books.jobs.values():
        assert job.finished_us is not None
        deadline_us = job.created_us + round(DEADLINES_S[job.kind] * 1_000_000)
        if job.deadline_us > deadline_us:
            yield f"job {job.id}: its deadline is {job.deadline_us - deadline_us} µs too late"
        begin_us = max(calm_us, deadline_us)
        latest_us = begin_us + round(GRACE_S[job.kind] * 1_000_000)
        # Section 5.5: what was learned of the model may make it longer, within bounds.
        longest_us = begin_us + round(GRACE_DURATIONS * DEADLINES_S[job.kind] * 1_000_000)
        latest_us = max(latest_us, min(job.grace_until_us or 0, longest_us))
        latest_us += round(LIVENESS_S * 1_000_000)
        if job.finished_us > latest_us:
            late_s = (job.finished_us - latest_us) / 1_000_000
            yield f"job {job.id}: {late_s:.0f} s too late"
