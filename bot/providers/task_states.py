"""Reading a task's state from whatever words a host uses for it: pure (providers.md 3.1, 3.2).

The same reader serves AI Video API's bare task object and the video objects of gateways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from bot import limits
from bot.catalogue.media_checks import is_public_url
from bot.errors import UpstreamError
from bot.providers.base import TaskState, TaskStatus
from bot.providers.failures import Facts, failure
from bot.providers.wire import as_amount, as_list, as_mapping, as_text

_RUNNING = (
    "queued pending processing in_progress in-progress running initializing submitted not_start"
    " unknown"
)
_SUCCEEDED = "completed succeeded succeed success"
_FAILED = "failed failure fail error cancelled canceled expired refunded"
STATUSES: Mapping[str, TaskStatus] = {
    **dict.fromkeys(_RUNNING.split(), TaskStatus.RUNNING),
    **dict.fromkeys(_SUCCEEDED.split(), TaskStatus.SUCCEEDED),
    **dict.fromkeys(_FAILED.split(), TaskStatus.FAILED),
}
"""Every word seen, in lower case; any other word means that it still runs (F-49)."""

URL_PATHS: tuple[tuple[str | int, ...], ...] = (
    ("url",),
    ("video_url",),
    ("output_url",),
    ("output", "url"),
    ("output", "urls"),
    ("data", "url"),
    ("metadata", "url"),
    ("meta_data", "url"),
    ("task_result", "videos", 0, "url"),
    ("unsigned_urls",),
    ("urls",),
)
"""Where results stand, best first; a list gives all its addresses."""

_ID_KEYS = ("id", "task_id", "taskId", "video_id")
_MILLISECONDS_MIN = 10**11
"""Seconds reach this in the year 5138, so a larger timestamp counts milliseconds."""
_TIMESTAMP_MAX = 10**14
_PERCENT = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def read_task(document: Mapping[str, Any], *, provider: str) -> TaskState | None:
    """Read a task object, bare or under one `data`; None when it is neither."""
    task = _unwrapped(document)
    word = task.get("status")
    if not isinstance(word, str) or not word.strip():
        return None
    key = word.strip().lower()
    status = STATUSES.get(key, TaskStatus.RUNNING)
    code, failed = (None, None)
    if status is TaskStatus.FAILED:
        code, failed = _failure(task, provider)
    return TaskState(
        status=status,
        task_id=next((task[k] for k in _ID_KEYS if _is_word(task.get(k))), None),
        progress=_progress(task.get("progress")),
        urls=_urls(task) if status is TaskStatus.SUCCEEDED else (),
        failure=failed,
        code=code,
        model=as_text(task.get("model"))[:100] or None,
        created_us=_timestamp_us(task.get("created_at")),
        expires_us=_timestamp_us(task.get("expires_at")),
        reported_credits=as_amount(task.get("credits_consumed")),
        status_word=None if key in STATUSES else _clean(key),
    )


def _unwrapped(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rule 7: take `data` when the top level is no task."""
    if isinstance(document.get("status"), str):
        return document
    inner = as_mapping(document.get("data"))
    return inner if isinstance(inner.get("status"), str) else document


def _clean(word: str) -> str:
    return word if _WORD.fullmatch(word) else "unreadable"


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limits.TASK_ID_CHARS_MAX


# --- Failure -----------------------------------------------------------------------------------


def _failure(task: Mapping[str, Any], provider: str) -> tuple[str | None, str]:
    """Return the provider's word and the name of our class; rule 6 of providers.md 3.2."""
    error = task.get("error")
    inner = as_mapping(error)
    raw = inner.get("code") or inner.get("type") or task.get("error_code") or task.get("code")
    code = str(raw).lower() if isinstance(raw, str | int) and not isinstance(raw, bool) else None
    code = code if code is not None and _WORD.fullmatch(code) else None
    if code is None or code.isdecimal():
        # A task that failed without a word: an outage or its content, as with `upstream_error`.
        return code, UpstreamError.__name__
    made = failure(Facts(provider=provider, status=None, code=code, kind=_kind(inner)))
    return code, type(made).__name__


def _kind(error: Mapping[str, Any]) -> str:
    kind = error.get("type")
    return kind if isinstance(kind, str) and kind else "upstream_error"


# --- Results -----------------------------------------------------------------------------------


def _urls(task: Mapping[str, Any]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for path in URL_PATHS:
        for url in _at(task, path):
            if len(found) < limits.TASK_URLS_MAX:
                found.setdefault(url)
    return tuple(found)


def _at(place: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    for step in path:
        if isinstance(step, int):
            place = next(iter(as_list(place)[step : step + 1]), None)
        else:
            place = as_mapping(place).get(step)
    for url in place if isinstance(place, list) else [place]:
        # `data:` addresses and the like are no results (rule 2).
        if isinstance(url, str) and len(url) <= limits.TASK_URL_CHARS_MAX and _is_http(url):
            yield url


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://")) and is_public_url(url)


# --- Numbers -----------------------------------------------------------------------------------


def _progress(value: Any) -> int | None:
    """Rule 5: a number or "40%", cut to 0…100."""
    if isinstance(value, str):
        text = value.strip().removesuffix("%").strip()
        value = Decimal(text) if _PERCENT.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(min(max(value, 0), 100))


def _timestamp_us(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if not 0 < value < _TIMESTAMP_MAX:
        return None
    return int(value * (1_000 if value > _MILLISECONDS_MIN else 1_000_000))
