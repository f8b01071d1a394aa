"""What a callback's body hints at: the name of a task, and nothing else (S-4, I-26). Pure."""

from __future__ import annotations

from bot.catalogue.media import MediaProtocol
from bot.providers.classify import TASK_ID_PATHS, is_task_id
from bot.providers.wire import as_mapping, parse_json


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
