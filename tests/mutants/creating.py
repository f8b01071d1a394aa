"""Mistakes about the create that has no idempotency key (section 5)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Family, Mutant

_ENGINE = "tests/unit/jobs/test_engine.py tests/unit/jobs/test_submitting.py"
_CLASSIFIER = "tests/unit/providers/test_media_classify.py"
_MACHINE = "tests/unit/jobs/test_machine.py"

CREATING = (
    Mutant(
        name="submit-again-at-boot",
        mistake="an intent without an answer is sent once more (F-6, I-24)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/jobs/submitting.py",
                old="            jobs.mark_unknown,\n"
                "            job_id=job.id,\n"
                "            cause=decision.cause,\n"
                "            grace_until_us=decision.grace_until_us,\n"
                "            digest=digest,\n",
                new="            jobs.requeue,\n            job_id=job.id,\n",
            ),
        ),
        seeds=40,
        killers=(_ENGINE,),
    ),
    Mutant(
        name="retry-after-no-answer",
        mistake="a create whose answer got lost is called not created (F-46)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/providers/classify.py",
                old="_Row(stage=_Stage.NO_ANSWER, then=_Class.UNKNOWN, "
                "cause=UnknownCause.NO_ANSWER),  # F-46",
                new="_Row(stage=_Stage.NO_ANSWER, then=_Class.NOT_CREATED),",
            ),
        ),
        killers=(_CLASSIFIER,),
    ),
    Mutant(
        name="server-error-is-a-refusal",
        mistake="500 counts as proof that nothing was made (F-38)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/providers/classify.py",
                old="then=_Class.UNKNOWN, cause=UnknownCause.SERVER_ERROR",
                new="then=_Class.NOT_CREATED",
            ),
        ),
        killers=(_CLASSIFIER,),
    ),
    Mutant(
        name="anything-new-is-a-refusal",
        mistake="what nobody has thought of counts as not created (F-41)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/providers/classify.py",
                old="    _Row(then=_Class.UNKNOWN),  # F-41",
                new="    _Row(then=_Class.NOT_CREATED),  # F-41",
            ),
        ),
        killers=(_CLASSIFIER,),
    ),
    Mutant(
        name="name-beside-an-error-is-created",
        mistake="an envelope that names a task and an error counts as created (F-42)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/providers/classify.py",
                old="        says=(_Says.NOTHING, _Says.SUCCESS),\n",
                new="        says=tuple(_Says),\n",
            ),
        ),
        killers=(_CLASSIFIER,),
    ),
    Mutant(
        name="redirect-followed",
        mistake="a paid request follows a redirect, key and all (F-44)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/providers/media_http.py",
                old="session.post(url, data=body, headers=headers, allow_redirects=False)",
                new="session.post(url, data=body, headers=headers, allow_redirects=True)",
            ),
        ),
        killers=("tests/unit/providers/test_media_create.py",),
    ),
    Mutant(
        name="sent-before-the-intent",
        mistake="the create leaves although the intent was not written down (S-2)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/jobs/submitting.py",
                old="        if begun is None:\n            return\n",
                new="        if begun is None:\n            begun = job\n",
            ),
        ),
        killers=("tests/unit/jobs/test_service.py",),
    ),
    Mutant(
        name="grace-of-nothing",
        mistake="an unclear create is given up at once (5.5)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/jobs/schedule.py",
                old="    return now_us + to_us(max(_GRACE_S[job.kind], learned_s))",
                new="    return now_us + to_us(min(_GRACE_S[job.kind], learned_s))",
            ),
        ),
        killers=(_MACHINE, "tests/unit/jobs"),
    ),
    Mutant(
        name="unlimited-creates",
        mistake="as many creates at once as there are orders (5.1)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="storage/job_queue.py",
                old="    within = true() if creates_max is None else free.c.number <= creates_max",
                new="    within = true()",
            ),
            Edit(
                path="bot/jobs/engine.py",
                old="        return taken < CREATES_PER_PROVIDER_MAX",
                new="        return taken >= 0",
            ),
        ),
        without="the engine's own count of slots",
        killers=(_ENGINE, "tests/unit/jobs"),
    ),
    Mutant(
        name="foreign-task-bound",
        mistake="a task of another job is taken for ours (F-43, I-25)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="storage/job_rows.py",
                old="UNBOUND = ~_TAKEN\n",
                new="UNBOUND = _TAKEN | ~_TAKEN\n",
            ),
            Edit(
                path="storage/migrations/versions/v0002_jobs.py",
                old='"jobs_task_uq"',
                new='"jobs_task_ix"',
            ),
        ),
        without="the unique index on tasks",
        killers=("tests/unit/storage/test_jobs.py tests/unit/jobs",),
    ),
    Mutant(
        name="refusals-for-ever",
        mistake="each restart begins the five minutes of retries anew (F-36)",
        family=Family.CREATE,
        edits=(
            Edit(
                path="bot/jobs/machine.py",
                old="    since_us = now_us if job.tries.refused_since_us is None "
                "else job.tries.refused_since_us\n",
                new="    since_us = now_us\n",
            ),
        ),
        killers=(_MACHINE, "tests/unit/jobs"),
    ),
)
