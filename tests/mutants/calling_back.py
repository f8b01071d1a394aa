"""Mistakes about what providers report by themselves (S-4, S-6)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Family, Mutant

_WEB = "tests/unit/web/test_signatures.py tests/unit/web/test_callbacks.py"
_EVIDENCE = "tests/unit/jobs/test_evidence.py"

_WATCHING = "bot/jobs/watching.py"
_TRUSTED = (
    Edit(
        path=_WATCHING,
        old="_log = structlog.get_logger(__name__)\n",
        new="from bot.providers.task_states import read_task\n"
        "from bot.providers.wire import parse_json\n"
        "_log = structlog.get_logger(__name__)\n"
        "def _said(job, task_id, heard):\n"
        "    for one in reversed(heard):\n"
        "        if hint_of(one.body) == task_id:\n"
        "            return read_task(parse_json(one.body), provider=job.provider)\n",
    ),
    Edit(
        path=_WATCHING,
        old="        answer = await self._ask(job, job.task_id)\n",
        new="        answer = _said(job, job.task_id, look.heard)\n"
        "        answer = answer or await self._ask(job, job.task_id)\n",
    ),
    Edit(
        path=_WATCHING,
        old="        return await self._ask(job, task_id)\n",
        new="        return _said(job, task_id, look.heard) or await self._ask(job, task_id)\n",
    ),
)
"""What a callback says of its task is taken for our own read of it."""

CALLING_BACK = (
    Mutant(
        name="signature-not-checked",
        mistake="every address counts as ours (F-65)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="bot/web/signatures.py",
                old="or not any(matches):",
                new="or not matches:",
            ),
        ),
        killers=(_WEB,),
    ),
    Mutant(
        name="second-key-forgotten",
        mistake="addresses made before a rotation are refused (C-5)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="bot/web/signatures.py",
                old="            for begun in self._begun\n",
                new="            for begun in self._begun[:1]\n",
            ),
        ),
        killers=(_WEB,),
    ),
    Mutant(
        name="body-believed",
        mistake="a task is ours because a body says so (I-26)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="bot/jobs/machine.py",
                old="    if state.model is not None and _bare(state.model) != _bare(wire_id):\n"
                "        return False\n",
                new="",
            ),
            Edit(
                path="bot/jobs/machine.py",
                old="    return job.submitted_us - slack_us <= state.created_us <= latest_us\n",
                new="    return True\n",
            ),
        ),
        without="model and time speak for each other",
        killers=("tests/unit/jobs/test_machine.py", _EVIDENCE),
    ),
    Mutant(
        name="payload-trusted",
        mistake="a task has ended because a body says so (I-26, C-8)",
        family=Family.CALLBACK,
        edits=_TRUSTED,
        seeds=10,
        killers=(_EVIDENCE, "tests/unit/jobs"),
    ),
    Mutant(
        name="forgery-trusted",
        mistake="whoever knows a job's number says how it ended (F-65, I-26, C-7, C-8)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="bot/web/signatures.py",
                old="or not any(matches):",
                new="or not matches:",
            ),
            *_TRUSTED,
        ),
        without="our own read",
        seeds=10,
        killers=(_EVIDENCE, "tests/unit/jobs"),
    ),
    Mutant(
        name="answered-before-stored",
        mistake="204 while the body is still in memory only (I-35)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="bot/web/intake.py",
                old="                return await verdict\n",
                new="                return Verdict.NEW\n",
            ),
        ),
        seeds=30,
        killers=("tests/unit/web/test_intake.py tests/unit/web/test_contract.py",),
    ),
    Mutant(
        name="stored-and-nobody-told",
        mistake="the mover is not woken, polling does its work later (I-30)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="storage/inbox.py",
                old=".values(woken=1, due_us=EARLIER)",
                new=".values(woken=1)",
            ),
        ),
        seeds=30,
        killers=("tests/unit/storage/test_inbox.py", "tests/unit/jobs"),
    ),
    Mutant(
        name="bodies-without-end",
        mistake="whoever knows one address may fill the disk",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="storage/inbox.py",
                old="        if len(kept) >= bodies_max:\n",
                new="        if len(kept) >= bodies_max * 1_000:\n",
            ),
        ),
        killers=("tests/unit/storage/test_inbox.py tests/unit/web",),
    ),
    Mutant(
        name="asked-at-every-forgery",
        mistake="each body makes us ask the provider (F-65)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="storage/job_queue.py",
                old='            jobs.c.asked_us <= bindparam("earliest_us"),\n',
                new='            jobs.c.asked_us <= bindparam("at_us"),\n',
            ),
        ),
        killers=(_EVIDENCE, "tests/unit/jobs"),
    ),
    Mutant(
        name="late-result-not-booked",
        mistake="what a late task cost the operator stands nowhere (S-6, I-10)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="storage/job_outcomes.py",
                old="    if loss_ucr > booked_ucr:\n",
                new="    if loss_ucr > booked_ucr and not is_own:\n",
            ),
        ),
        killers=("tests/unit/storage/test_jobs_outcomes.py", "tests/unit/jobs"),
    ),
    Mutant(
        name="late-result-booked-twice",
        mistake="what ending the hold has booked is booked again (I-10)",
        family=Family.CALLBACK,
        edits=(
            Edit(
                path="storage/job_outcomes.py",
                old="            loss_ucr=loss_ucr - booked_ucr,\n",
                new="            loss_ucr=loss_ucr,\n",
            ),
        ),
        killers=("tests/unit/storage/test_jobs_outcomes.py", "tests/unit/jobs"),
    ),
)
