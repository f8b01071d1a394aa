"""I-1 … I-12: the credits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from typing import Any

from tests.simulation.books import NEVER_US, PENDING, Books, HoldRow, JobRow, News
from tests.simulation.invariants import Moment, invariant
from tests.simulation.provider import Provider, Task
from tests.simulation.witness import Witness

ISSUER, LOSS = 1, 3
STAFF_KINDS = {"grant", "take", "set"}
AMOUNT_MAX_UCR = 1_000_000 * 1_000_000
ROUNDING_UCR = 10_000
"""I-12: 0.01 credit per call."""
LATE_TRIES = 20
"""S-6: reads of a task whose job is over; then it is let go."""
ODD_FACTOR_MAX = 100
"""F-51: a reported amount beyond so many listed prices counts as this many."""


@invariant("I-1", "a balance is the sum of its entries, and all balances are 0", Moment.COMMIT)
def balances(books: Books, news: News) -> Iterator[str]:
    for _old, account in news.accounts:
        if account.balance_ucr != books.booked_ucr[account.id]:
            booked_ucr = books.booked_ucr[account.id]
            yield f"account {account.id}: {account.balance_ucr} stored, {booked_ucr} booked"
    touched = {side for entry in news.entries for side in (entry.from_id, entry.to_id)}
    for account_id in sorted(touched - {account.id for _old, account in news.accounts}):
        if books.accounts[account_id].balance_ucr != books.booked_ucr[account_id]:
            yield f"account {account_id}: entries without a new balance"


@invariant("I-2", "entries are numbered without a gap and chained by digests", Moment.COMMIT)
def chain(books: Books, news: News) -> Iterator[str]:
    for entry in news.entries:
        facts = (
            entry.id,
            entry.from_id,
            entry.to_id,
            entry.amount_ucr,
            entry.kind,
            entry.hold_id,
            entry.at_us,
        )
        text = "|".join(map(str, facts))
        link = hashlib.sha256(books.link + text.encode()).digest()
        if entry.id != books.last_entry + 1:
            yield f"entry {entry.id} follows {books.last_entry}"
        if entry.digest != link:
            yield f"entry {entry.id}: its digest does not follow"
        books.link, books.last_entry = entry.digest, entry.id


@invariant("I-3", "nobody but the issuer is below zero", Moment.COMMIT)
def not_negative(books: Books, news: News) -> Iterator[str]:
    del books
    for _old, account in news.accounts:
        if account.balance_ucr < 0 and account.id != ISSUER:
            yield f"account {account.id} ({account.kind}): {account.balance_ucr}"


@invariant(
    "I-4", "held is the sum of open holds; a job before its end has one, later none", Moment.COMMIT
)
def held(books: Books, news: News) -> Iterator[str]:
    for user_id in sorted({hold.user_id for _old, hold in news.holds}):
        held_ucr = sum(
            account.balance_ucr
            for account in books.accounts.values()
            if account.kind == "held" and books.owner_of(account) == ("user", user_id)
        )
        open_ucr = sum(
            hold.amount_ucr
            for hold in books.holds.values()
            if hold.state == "open" and hold.user_id == user_id
        )
        if held_ucr != open_ucr:
            yield f"member {user_id}: {held_ucr} held, {open_ucr} in open holds"
    for reference in sorted(
        {job.reference for _old, job in news.jobs} | {hold.reference for _old, hold in news.holds}
    ):
        job, hold = books.job_of(reference), books.hold_of(reference)
        if job is not None and (hold is None or (hold.state == "open") != (job.status in PENDING)):
            yield f"job {job.id} {job.status}, hold {hold.state if hold else None}"


@invariant("I-5", "one hold, at most one end, and hold = settled + returned", Moment.COMMIT)
def one_end(books: Books, news: News) -> Iterator[str]:
    for _old, hold in news.holds:
        kinds = books.lines_of_hold[hold.id]
        ends = [kind for kind in kinds if kind in {"settle", "void"}]
        expected = {"open": [], "settled": ["settle"], "voided": ["void"]}[hold.state]
        if kinds.count("hold") != 1 or ends != expected:
            yield f"hold {hold.id} {hold.state}: {kinds}"
        if books.paid_of_hold[hold.id] != (hold.charged_ucr or 0):
            yield f"hold {hold.id}: paid {books.paid_of_hold[hold.id]}, says {hold.charged_ucr}"
        charged_ucr, returned_ucr = hold.charged_ucr or 0, hold.returned_ucr or 0
        if hold.state != "open" and charged_ucr + returned_ucr != hold.amount_ucr:
            yield f"hold {hold.id}: {charged_ucr} + {returned_ucr} of {hold.amount_ucr}"


@invariant(
    "I-8", "no server, nor all together, spend and hold more than their ceiling", Moment.COMMIT
)
def budgets(books: Books, news: News) -> Iterator[str]:
    if not any(line.kind in {"hold", "extend"} for line in news.lines):
        return
    for _old, account in news.accounts:
        if account.kind == "held" and books.owner_of(account)[0] == "guild":
            assert account.bucket_id is not None
            ceiling_ucr, issued_ucr, available_ucr = books.ceilings(account.bucket_id)
            if ceiling_ucr is None or issued_ucr - available_ucr > ceiling_ucr:
                yield f"bucket {account.bucket_id}: {issued_ucr} - {available_ucr}, {ceiling_ucr}"


@invariant(
    "I-8", "what is held counts in the budget over everything, wherever it is", Moment.COMMIT
)
def counted_everywhere(books: Books, news: News) -> Iterator[str]:
    for _old, hold in news.holds:
        if hold.state == "open" and books.capped_spans:
            counted_ucr = books.counted_everywhere_ucr(hold.id)
            if counted_ucr != dict.fromkeys(books.capped_spans, hold.amount_ucr):
                yield f"hold {hold.id}: {hold.amount_ucr}, counted {counted_ucr}"


@invariant("I-11", "staff change an amount once, and say who and why", Moment.COMMIT)
def staff_acts(books: Books, news: News) -> Iterator[str]:
    for line in news.lines:
        if line.kind not in STAFF_KINDS:
            continue
        if not line.actor_id or not line.reason:
            yield f"line {line.id}: by {line.actor_id} for {line.reason!r}"
        if (line.kind, line.reference) in books.staff_acts:
            yield f"line {line.id}: {line.reference} was done before"
        books.staff_acts.add((line.kind, line.reference))
        if abs(line.delta_ucr) > AMOUNT_MAX_UCR:
            yield f"line {line.id}: {line.delta_ucr}"


@invariant("I-9", "nobody pays more than was shown before", Moment.QUIET)
def shown_price(books: Books, witness: Witness, provider: Provider) -> Iterator[str]:
    del provider
    for accepted in witness.accepted.values():
        job = books.job_of(accepted.reference)
        if job is not None and (job.charged_ucr or 0) > accepted.shown_ucr:
            yield f"job {job.id}: shown {accepted.shown_ucr}, charged {job.charged_ucr}"


@invariant(
    "I-10", "operator loss is the sum of what ended holds say, each with a cause", Moment.COMMIT
)
def losses(books: Books, news: News) -> Iterator[str]:
    if not news.holds:
        return
    lost_ucr = sum(hold.loss_ucr or 0 for hold in books.holds.values())
    if LOSS in books.accounts and books.accounts[LOSS].balance_ucr != lost_ucr:
        yield f"{books.accounts[LOSS].balance_ucr} stored, {lost_ucr} by holds"
    for _old, hold in news.holds:
        if hold.loss_ucr and not hold.cause:
            yield f"hold {hold.id}: a loss without a cause"


# --- What the provider took ----------------------------------------------------------------------


def judged_ucr(task: Task) -> int:
    """What counts as the provider's cost of a task: reported if sane, else the listed price."""
    amount = _amount(task.reported)
    if amount is None:
        return task.cost_ucr
    if amount <= 0:
        return 0
    most_ucr = ODD_FACTOR_MAX * max(task.cost_ucr, 1_000_000)
    if amount > Decimal(most_ucr) / 1_000_000:
        return most_ucr
    return int((amount * 1_000_000).to_integral_value(ROUND_CEILING))


def times(cost_ucr: int, multiplier_ppm: int) -> int:
    """What a member pays for a cost, up to the next millionth."""
    charge = Decimal(cost_ucr) * multiplier_ppm / 1_000_000
    return int(charge.to_integral_value(ROUND_CEILING))


def _amount(reported: Any) -> Decimal | None:
    """A JSON number; the bot reads numbers in strings, too."""
    if reported is ... or reported is None or isinstance(reported, bool):
        return None
    try:
        amount = Decimal(str(reported))
    except ArithmeticError:
        return None
    return amount if amount.is_finite() else None


@invariant(
    "I-6", "a job pays min(hold, reported or listed price × multiplier of then)", Moment.QUIET
)
def task_price(books: Books, witness: Witness, provider: Provider) -> Iterator[str]:
    del witness
    for job in books.jobs.values():
        if job.multiplier_ppm != books.multiplier_ppm:
            yield f"job {job.id}: multiplier {job.multiplier_ppm} of {books.multiplier_ppm}"
        if job.outcome == "succeeded":
            task = provider.tasks[job.task_id or ""]
            if task.reference != job.reference:
                continue  # F-43: the provider named a task of somebody else
            cost_ucr = times(judged_ucr(task), books.multiplier_ppm)
            held_ucr = times(job.cost_ucr, books.multiplier_ppm)
            if job.charged_ucr != min(held_ucr, cost_ucr):
                yield f"job {job.id}: charged {job.charged_ucr}, held {held_ucr}, {cost_ucr}"
        elif job.charged_ucr:
            yield f"job {job.id}: {job.outcome} and charged {job.charged_ucr}"


def _holds_of(books: Books, job: JobRow) -> list[HoldRow]:
    """What was held for a job, and for what came late."""
    late = f"late:{job.reference}"
    return [
        hold
        for hold in books.holds.values()
        if hold.reference in {job.reference, late} or hold.reference.startswith(f"{late}:")
    ]


def _is_open(job: JobRow) -> bool:
    """Whether it is over, and still watched: such looks come to lie an hour apart (S-6)."""
    return job.outcome is not None and job.late_us is None and job.due_us < NEVER_US


@invariant("I-12", "what the provider took is charged, lost or open, job by job", Moment.QUIET)
def provider_side(books: Books, witness: Witness, provider: Provider) -> Iterator[str]:
    named = {(one.job_id, one.task_id) for one in witness.acknowledged}
    callbacks = books.callbacks.values()
    for job in books.jobs.values():
        mine = [task for task in provider.tasks.values() if task.reference == job.reference]
        bound = provider.tasks.get(job.task_id or "")
        elsewhere = {other.task_id for other in books.jobs.values() if other is not job}
        if (job.task_id and bound not in mine) or any(task.id in elsewhere for task in mine):
            continue  # F-43: the provider named a task of somebody else
        if any(task.denied for task in mine):
            continue  # F-35: it denied what it had; what it took nobody can know
        if any(row.job_id == job.id and row.tries + 1 >= LATE_TRIES for row in callbacks):
            continue  # F-39: for an hour and a half it could not be read; then it is let go
        known_ucr = sum(
            judged_ucr(task)
            for task in mine
            if not task.is_failed
            and task.ends_s is not None
            and ((task is bound and task.seen_succeeded) or (job.id, task.id) in named)
            and not (_is_open(job) and not task.is_read_in_calm)
        )
        lost_ucr = sum(hold.loss_ucr or 0 for hold in _holds_of(books, job))
        charged_ucr = (job.charged_ucr or 0) * 1_000_000 // books.multiplier_ppm
        # F-43: what of somebody else's was named at its address may be taken for a late result.
        strange_ucr = sum(
            judged_ucr(task)
            for task in provider.tasks.values()
            if task not in mine and (job.id, task.id) in named
        )
        excess_ucr = charged_ucr + lost_ucr - known_ucr
        if not -ROUNDING_UCR <= excess_ucr <= strange_ucr + ROUNDING_UCR:
            yield (
                f"job {job.id} ({job.outcome} {job.failure}): provider {known_ucr},"
                f" charged {charged_ucr}, lost {lost_ucr}"
            )
