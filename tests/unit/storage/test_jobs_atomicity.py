"""F-14 for jobs: job, hold, event, files and money move together or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.types import Job
from tests.unit.storage.bank import DAY_US
from tests.unit.storage.saboteur import MOMENTS, assert_all_or_nothing
from tests.unit.storage.workshop import PRICE, Workshop

ACTS: dict[str, tuple[str, Callable[[Workshop, Job], object]]] = {
    "enqueue": ("queued", lambda workshop, _job: workshop.order("new")),
    "claim": ("queued", lambda workshop, _job: workshop.claim()),
    "begin": ("queued", lambda workshop, job: workshop.begin(job)),
    "bind": ("submitting", lambda workshop, job: workshop.bind(job, "t")),
    "lose the answer": ("submitting", lambda workshop, job: workshop.lose_answer(job)),
    "requeue": ("submitting", lambda workshop, job: workshop.requeue(job)),
    "succeed": ("running", lambda workshop, job: workshop.succeed(job, PRICE - 1)),
    "succeed with a loss": ("running", lambda workshop, job: workshop.succeed(job, PRICE + 1)),
    "fail": ("running", lambda workshop, job: workshop.fail(job, loss_ucr=3)),
    "cancel": ("unknown", lambda workshop, job: workshop.cancel(job)),
    "attach a late result": ("failed", lambda workshop, job: workshop.late(job)),
    "deliver": ("finished", lambda workshop, job: workshop.deliver(job)),
    "store a callback": ("running", lambda workshop, job: workshop.call_back(job)),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", ACTS)
def test_a_failure_at_any_statement_leaves_all_or_nothing(
    workshop: Workshop, act: str, moment: str
) -> None:
    """F-14, F-112: the n-th statement fails, for every n; a day later, so that the day turns."""
    status, body = ACTS[act]
    job = workshop.at("running" if status == "failed" else status)
    if status == "failed":
        workshop.fail(job, loss_ucr=3)
    workshop.now_us += DAY_US
    assert_all_or_nothing(workshop, lambda each: body(each, job), moment=moment)
