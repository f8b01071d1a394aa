"""What a callback hints at: the name of a task, and nothing else (S-4, I-26). Pure."""

from __future__ import annotations

from bot.catalogue.media import MediaProtocol
from bot.providers.classify import TASK_ID_PATHS, is_task_id
from bot.providers.wire import as_mapping, parse_json
from storage.types import Callback, Job


def hint_of(body: str) -> str | None:
    """Return the task that a body names, None when it names none that could exist (F-65)."""
    try:
        document = as_mapping(parse_json(body))
    except ValueError:
        return None
    for path in TASK_ID_PATHS[MediaProtocol.OPENAI_VIDEO]:
        value: object = document
        for key in path:
            value = as_mapping(value).get(key)
        if isinstance(value, str) and is_task_id(value):
            return value
    return None


def is_of_own_task(job: Job, callback: Callback) -> bool:
    """Whether it can tell only of the task that the job has."""
    if hint_of(callback.body) == job.task_id:
        return True
    return callback.attempt == job.attempt and not has_former_task(job)


def has_former_task(job: Job) -> bool:
    """Whether the job's task may be a former attempt's, while the last one made another.

    So it may where no create's answer named it: it ended a doubt, or came when the job was over.
    """
    return job.attempt > 1 and (job.grace_until_us is not None or job.late_us is not None)
