"""Mistakes of the job machine and about results (S-1, S-5, C-12)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Family, Mutant

_MACHINE = "tests/unit/jobs/test_machine.py"
_WATCHING = "tests/unit/jobs/test_watching.py tests/unit/jobs/test_bounds.py"
_GUARD = "tests/unit/results/test_guard.py tests/unit/results/test_gate.py"

MOVING = (
    Mutant(
        name="no-compare-and-set",
        mistake="a move does not look at the status that it leaves (S-1)",
        family=Family.JOB,
        edits=(
            Edit(
                path="storage/job_rows.py",
                old="    if old is None or old not in leave:\n        return None\n"
                "    assert (JobStatus(old), enter) in LEGAL_MOVES\n",
                new="    assert old is not None\n",
            ),
        ),
        killers=("tests/unit/storage/test_jobs.py tests/unit/storage/test_jobs_outcomes.py",),
    ),
    Mutant(
        name="no-deadline",
        mistake="a task without an end keeps its credits for ever (F-52)",
        family=Family.JOB,
        edits=(
            Edit(
                path="bot/jobs/machine.py",
                old="    if now_us >= job.deadline_us:  # F-52\n",
                new="    if now_us >= job.deadline_us * 2:  # F-52\n",
            ),
        ),
        killers=(_WATCHING,),
    ),
    Mutant(
        name="running-job-cancelled",
        mistake="a member cancels what the provider works on, and is paid for",
        family=Family.JOB,
        edits=(
            Edit(
                path="storage/job_outcomes.py",
                old="        leave={JobStatus.QUEUED, JobStatus.UNKNOWN},\n",
                new="        leave=PENDING,\n",
            ),
        ),
        killers=("tests/unit/storage/test_jobs_outcomes.py tests/unit/storage/test_jobs.py",),
    ),
    Mutant(
        name="no-lease",
        mistake="what is being moved can be claimed again",
        family=Family.JOB,
        edits=(
            Edit(
                path="storage/job_queue.py",
                old='    .values(lease_until_us=bindparam("until_us"), woken=0)\n',
                new='    .values(lease_until_us=bindparam("until_us") - 10**15, woken=0)\n',
            ),
        ),
        killers=("tests/unit/storage/test_jobs_queue.py",),
    ),
    Mutant(
        name="wake-up-lost",
        mistake="what happened while a job was moved waits for the next look",
        family=Family.JOB,
        edits=(
            Edit(
                path="storage/job_rows.py",
                old='        (jobs.c.woken == 1, bindparam("until_woken_us")),\n',
                new="",
            ),
        ),
        killers=("tests/unit/storage/test_jobs_queue.py", "tests/unit/jobs"),
    ),
    Mutant(
        name="missing-task-asked-for-ever",
        mistake="a task that the provider does not know is waited for (F-35)",
        family=Family.JOB,
        edits=(
            Edit(
                path="bot/jobs/machine.py",
                old="        tries = replace(tries, missing=tries.missing + 1)\n",
                new="        tries = replace(tries, missing=1)\n",
            ),
        ),
        killers=(_WATCHING,),
    ),
    Mutant(
        name="status-goes-back",
        mistake="a completed task that is said to run again is polled again (F-50)",
        family=Family.JOB,
        edits=(
            Edit(
                path="bot/jobs/machine.py",
                old="    return state.status is TaskStatus.RUNNING and "
                "job.tries.urlless + job.tries.fetches > 0\n",
                new="    return False and bool(job) and bool(state)\n",
            ),
        ),
        killers=(_MACHINE,),
    ),
    Mutant(
        name="paid-before-secured",
        mistake="the member pays for bytes that nobody has (S-1)",
        family=Family.RESULT,
        edits=(
            Edit(
                path="bot/jobs/machine.py",
                old="    if isinstance(error, ResultUnusable):  # F-54, F-55\n"
                "        return _lost(job, ResultUnusable.__name__, state), job.tries\n",
                new="",
            ),
        ),
        killers=(_MACHINE,),
    ),
    Mutant(
        name="private-address-visited",
        mistake="an address is not judged when it is connected to (C-12)",
        family=Family.RESULT,
        edits=(
            Edit(
                path="bot/results/guard.py",
                old='    "169.254.0.0/16",  # link-local, with the metadata of every large cloud\n',
                new="",
            ),
        ),
        killers=(_GUARD,),
    ),
    Mutant(
        name="size-not-counted",
        mistake="a host that declares no length sends without end (F-54)",
        family=Family.RESULT,
        edits=(
            Edit(
                path="bot/results/fetcher.py",
                old="            if body.size_bytes > BYTES_MAX[kind]:\n",
                new="            if body.size_bytes > BYTES_MAX[kind] * 1_000:\n",
            ),
        ),
        killers=("tests/unit/results/test_fetcher.py",),
    ),
)
