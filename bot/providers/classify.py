"""From the answer to a paid create to one of three verdicts: a table, pure (reliability.md 5).

Nobody can ask the provider afterwards, so only evidence decides: a well-formed name of the task is
CREATED; a documented refusal, or a connection that never formed, is NOT CREATED; everything else,
and everything new, is UNKNOWN.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

from bot.catalogue.media import MediaProtocol
from bot.errors import ProviderUnreachable
from bot.limits import TASK_ID_CHARS_MAX
from bot.providers.base import Created, CreateVerdict, NotCreated, Unknown, UnknownCause
from bot.providers.failures import from_answer
from bot.providers.wire import as_mapping, parse_json


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAnswer:
    """What the wire gave. `status` is None when the request left and no answer came.

    `body` may be cut off anywhere: half a JSON object is no object.
    """

    connected: bool = True
    status: int | None = None
    content_type: str = ""
    body: bytes = b""
    retry_after_s: float | None = None


# --- Data: what the documents call a refusal ---------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One line of a document's error table. `retryable`: trying again later can help."""

    status: int
    code: str
    retryable: bool = False


_TASK_REFUSALS = (  # provider-docs 001 and providers.md 1.3; its 500 is no refusal
    Refusal(status=400, code="invalid_request"),
    Refusal(status=401, code="invalid_api_key"),
    Refusal(status=402, code="insufficient_credits"),
    Refusal(status=403, code="ip_not_allowed"),
    Refusal(status=404, code="model_not_found"),
    Refusal(status=404, code="task_not_found"),
    Refusal(status=429, code="rate_limit_exceeded", retryable=True),
    Refusal(status=429, code="spend_limit_exceeded"),
    Refusal(status=503, code="upstream_error"),
)
_VIDEO_REFUSALS = (  # provider-docs 004, which leaves out the statuses (trap 44)
    Refusal(status=400, code="invalid_parameter"),
    Refusal(status=401, code="invalid_api_key"),
    Refusal(status=403, code="insufficient_permissions"),
    Refusal(status=429, code="rate_limit_exceeded", retryable=True),
    # A gateway without a channel for the model answers 503 (providers.md 0).
    Refusal(status=400, code="model_not_found"),
    Refusal(status=503, code="model_not_found"),
)
REFUSALS: Mapping[MediaProtocol, tuple[Refusal, ...]] = {
    MediaProtocol.TASKS: _TASK_REFUSALS,
    # Gateways of the format mix both vocabularies.
    MediaProtocol.OPENAI_VIDEO: _VIDEO_REFUSALS + _TASK_REFUSALS,
}
ENVELOPE_WORDS: Mapping[int, str] = {
    400: "invalid_request",
    401: "invalid_api_key",
    402: "insufficient_credits",
    403: "ip_not_allowed",
    404: "model_not_found",
    429: "rate_limit_exceeded",
}
"""What a documented 4xx means as the `code` of an envelope that came with HTTP 200 (F-42)."""

TASK_ID_PATHS: Mapping[MediaProtocol, tuple[tuple[str, ...], ...]] = {
    MediaProtocol.TASKS: (
        ("data", "taskId"),
        ("data", "task_id"),
        ("data", "id"),
        ("taskId",),
        ("task_id",),
        ("id",),
    ),
    MediaProtocol.OPENAI_VIDEO: (
        ("id",),
        ("task_id",),
        ("video_id",),
        ("taskId",),
        ("data", "id"),
        ("data", "task_id"),
        ("data", "video_id"),
        ("data", "taskId"),
    ),
}
"""Where a task's name stands; the first that is there counts (providers.md 1.2, 3.1)."""

_TASK_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:~=-]{{0,{TASK_ID_CHARS_MAX - 1}}}")
_NO_NAMES = frozenset({"null", "none", "undefined", "nan", "true", "false", "0"})
_JSON_TYPES = frozenset(
    {"", "application/json", "text/json", "text/plain", "application/octet-stream"}
)


# --- Data: the table ---------------------------------------------------------------------------


class _Stage(StrEnum):
    NOT_CONNECTED = auto()
    NO_ANSWER = auto()
    ANSWERED = auto()


class _Says(StrEnum):
    """What a body says about its own success."""

    NOTHING = auto()
    SUCCESS = auto()
    """An envelope with code 200."""
    REFUSED = auto()
    """A documented refusal: of its HTTP status, or as an envelope's code."""
    TROUBLE = auto()
    """An error or a code of any other kind."""


class _Name(StrEnum):
    """The task's name in a body."""

    NONE = auto()
    GOOD = auto()
    BAD = auto()


class _Class(StrEnum):
    CREATED = auto()
    NOT_CREATED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """None matches anything; the first row that matches decides."""

    then: _Class
    stage: _Stage = _Stage.ANSWERED
    statuses: range | None = None
    is_object: bool | None = None
    says: tuple[_Says, ...] | None = None
    name: tuple[_Name, ...] | None = None
    cause: UnknownCause = UnknownCause.UNDOCUMENTED


_OK = range(200, 300)
_TABLE = (
    _Row(stage=_Stage.NOT_CONNECTED, then=_Class.NOT_CREATED),  # F-45
    _Row(stage=_Stage.NO_ANSWER, then=_Class.UNKNOWN, cause=UnknownCause.NO_ANSWER),  # F-46
    _Row(statuses=_OK, is_object=False, then=_Class.UNKNOWN, cause=UnknownCause.MALFORMED),  # F-41
    _Row(
        statuses=_OK,
        says=(_Says.NOTHING, _Says.SUCCESS),
        name=(_Name.GOOD,),
        then=_Class.CREATED,
    ),
    _Row(statuses=_OK, says=(_Says.REFUSED,), name=(_Name.NONE,), then=_Class.NOT_CREATED),  # F-42
    _Row(
        statuses=_OK,
        says=(_Says.REFUSED, _Says.TROUBLE),  # with a name beside it, it contradicts itself
        then=_Class.UNKNOWN,
        cause=UnknownCause.ENVELOPE,
    ),
    _Row(  # F-43
        statuses=_OK,
        name=(_Name.BAD,),
        then=_Class.UNKNOWN,
        cause=UnknownCause.TASK_ID_MALFORMED,
    ),
    _Row(statuses=_OK, then=_Class.UNKNOWN, cause=UnknownCause.TASK_ID_MISSING),
    _Row(statuses=range(300, 400), then=_Class.UNKNOWN, cause=UnknownCause.REDIRECT),  # F-44
    _Row(  # F-30 … F-37, F-40
        says=(_Says.REFUSED,), name=(_Name.NONE, _Name.BAD), then=_Class.NOT_CREATED
    ),
    _Row(  # F-38
        statuses=range(500, 501), then=_Class.UNKNOWN, cause=UnknownCause.SERVER_ERROR
    ),
    _Row(then=_Class.UNKNOWN),  # F-41, and whatever nobody has thought of
)


# --- Reading and judging -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    stage: _Stage
    status: int | None
    is_object: bool
    says: _Says
    name: _Name
    task_id: str
    refusal: Refusal | None
    document: Mapping[str, Any]


def classify(
    answer: CreateAnswer, *, provider: str, protocol: MediaProtocol, model: str | None = None
) -> CreateVerdict:
    """Judge one answer; total: any bytes give a verdict, and never an exception."""
    facts = _read(answer, protocol)
    row = next(row for row in _TABLE if _matches(row, facts))
    digest = hashlib.sha256(answer.body).hexdigest() if answer.status is not None else None
    if row.then is _Class.CREATED:
        return Created(task_id=facts.task_id)
    if row.then is _Class.UNKNOWN:
        return Unknown(cause=row.cause, status=answer.status, digest=digest)
    if facts.refusal is None:
        return NotCreated(error=ProviderUnreachable(provider=provider), retryable=True)
    error = from_answer(
        provider=provider,
        status=facts.refusal.status,
        body=_named(facts.document, facts.refusal),
        model=model,
        retry_after_s=answer.retry_after_s,
    )
    return NotCreated(
        error=error,
        retryable=facts.refusal.retryable,
        retry_after_s=answer.retry_after_s if facts.refusal.retryable else None,
        digest=digest,
    )


def is_task_id(value: object) -> bool:
    """Say whether a value can be a task's name, and stand in a path as it is (F-43)."""
    return (
        isinstance(value, str)
        and _TASK_ID.fullmatch(value) is not None
        and value.lower() not in _NO_NAMES
    )


def _matches(row: _Row, facts: _Facts) -> bool:
    return (
        row.stage is facts.stage
        and (row.statuses is None or facts.status in row.statuses)
        and (row.is_object is None or row.is_object is facts.is_object)
        and (row.says is None or facts.says in row.says)
        and (row.name is None or facts.name in row.name)
    )


def _read(answer: CreateAnswer, protocol: MediaProtocol) -> _Facts:
    parsed = _parsed(answer)
    document = as_mapping(parsed)
    found = _name_in(document, protocol)
    if not answer.connected:
        stage = _Stage.NOT_CONNECTED
    else:
        stage = _Stage.NO_ANSWER if answer.status is None else _Stage.ANSWERED
    says, refusal = _said(answer.status, document, protocol, named=is_task_id(found))
    good = is_task_id(found)
    return _Facts(
        stage=stage,
        status=answer.status,
        is_object=isinstance(parsed, dict),
        says=says,
        name=_Name.GOOD if good else _Name.NONE if found is None else _Name.BAD,
        task_id=str(found) if good else "",
        refusal=refusal if stage is _Stage.ANSWERED else None,
        document=document,
    )


def _parsed(answer: CreateAnswer) -> Any:
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES and not kind.endswith("+json"):
        return None  # a page of something that stands between us and the provider
    try:
        return parse_json(answer.body)
    except ValueError:
        return None


def _name_in(document: Mapping[str, Any], protocol: MediaProtocol) -> object:
    for path in TASK_ID_PATHS[protocol]:
        place: Any = document
        for step in path:
            place = as_mapping(place).get(step)
        if place is not None:
            return place
    return None


def _said(
    status: int | None, document: Mapping[str, Any], protocol: MediaProtocol, *, named: bool
) -> tuple[_Says, Refusal | None]:
    error = document.get("error")
    word = as_mapping(error).get("code")
    word = word.lower() if isinstance(word, str) else word
    if status not in _OK:
        return _refusal(status, word, protocol)
    code = document.get("code")
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) == 3:
        code = int(code)
    if code is None:
        # A task that failed at once carries its error beside its name and status.
        is_task = named and isinstance(document.get("status"), str)
        return (_Says.TROUBLE if error and not is_task else _Says.NOTHING), None
    if code == 200 and type(code) is int:
        return (_Says.TROUBLE if error else _Says.SUCCESS), None
    if type(code) is not int or code not in ENVELOPE_WORDS:
        return _Says.TROUBLE, None
    return _refusal(code, ENVELOPE_WORDS[code] if word is None else word, protocol)


def _refusal(
    status: int | None, word: object, protocol: MediaProtocol
) -> tuple[_Says, Refusal | None]:
    for refusal in REFUSALS[protocol]:
        if (refusal.status, refusal.code) == (status, word):
            return _Says.REFUSED, refusal
    return _Says.TROUBLE, None


def _named(document: Mapping[str, Any], refusal: Refusal) -> Mapping[str, Any]:
    """Write the refusal in the documented form, with the message that may name a field."""
    error = as_mapping(document.get("error"))
    message = error.get("message") or document.get("msg") or document.get("message")
    return {"error": {"code": refusal.code, "message": message, "param": error.get("param")}}
