"""Switches of the tasks: what goes wrong with the next create, task, callback or file.

A kind's family says who takes it: `create` and `get` the next request of that sort; `fate`,
`credits` and `callback` the next task when it is created; `file` the next download. So switches of
different families add up, such as a failing task whose callback comes twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.provider.errors import BY_CODE
from sandbox.provider.faults import FAULTS_MAX, TIMES_MAX, SwitchInvalid
from sandbox.provider.tasks.forms import FORMAT_ROWS
from sandbox.provider.wire import Json

ENDPOINTS: Final = ("images", "videos", "openai")
"""Which creates, and the tasks and files that come of them."""
SECONDS_MAX: Final = 3_600.0
BYTES_MAX: Final = 4 * 1024**3
"""The largest file that is feigned: twice the 2 GiB of F-54."""
WORD_CHARS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact that a kind takes. `low` and `high` bound numbers."""

    default: Any
    types: tuple[type, ...]
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()


def word(default: str | None, *choices: str) -> Fact:
    types = (str,) if default is not None else (str, type(None))
    return Fact(default=default, types=types, choices=choices)


def number(default: float, high: float, low: float = 0) -> Fact:
    types = (int,) if isinstance(default, int) else (int, float)
    return Fact(default=default, types=types, low=low, high=high)


def switch(*, default: bool) -> Fact:
    return Fact(default=default, types=(bool,))


def anything(default: Any) -> Fact:
    return Fact(default=default, types=(object,))


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOf:
    """Whom it strikes, what it does, and the facts that it takes."""

    family: str
    does: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


_CODES: Final = tuple({**BY_CODE, **FORMAT_ROWS})
_TAKEN: Final = {"after_effect": switch(default=True)}
"""The task is taken and charged all the same, and runs; only its name is not told."""
_NOT_TAKEN: Final = {"after_effect": switch(default=False)}
_ERROR: Final = {
    "code": word("internal_error", *_CODES),
    "status": number(0, 599),
    "message": word(None),
    "retry_after_s": number(0.0, SECONDS_MAX),
}
_POLLS: Final = {"polls": number(0, 10_000)}
"""How many looks at the task; 0 is all of them."""
_WAIT: Final = {"delay_s": number(120.0, SECONDS_MAX)}


def _kind(family: str, does: str, **facts: Fact) -> KindOf:
    return KindOf(family=family, does=does, facts=facts)


KINDS: Final[Mapping[str, KindOf]] = {
    # --- the answer to a create
    "create_error": _kind("create", "a row of the error table", **_ERROR, **_NOT_TAKEN),
    "create_html": _kind("create", "a page of HTML (F-41)", status=number(502, 599, 200), **_TAKEN),
    "create_empty": _kind("create", "200 without a body (F-41)", **_TAKEN),
    "create_truncated": _kind("create", "half of the JSON (F-41)", **_TAKEN),
    "create_envelope": _kind(
        "create",
        "200 with an envelope of another code (F-42)",
        code=number(402, 99_999),
        msg=word("insufficient credits"),
        **_NOT_TAKEN,
    ),
    "create_redirect": _kind("create", "307 (F-44)", location=word("/elsewhere"), **_NOT_TAKEN),
    "create_reset": _kind("create", "the connection is reset (F-46)", **_TAKEN),
    "create_hang": _kind("create", "no answer for delay_s, then a reset (F-46)", **_WAIT, **_TAKEN),
    "create_slow": _kind("create", "the answer comes after delay_s", **_WAIT),
    "create_no_task_id": _kind("create", "success without a task's name (F-43)", **_TAKEN),
    "create_same_task_id": _kind("create", "the name of the task before (F-43)", **_TAKEN),
    "create_task_id": _kind("create", "`value` as the name (F-43)", value=anything(0), **_TAKEN),
    # --- a look at a task
    "get_error": _kind("get", "a row of the error table (F-39)", **_ERROR),
    "get_html": _kind("get", "a page of HTML", status=number(502, 599, 200)),
    "get_empty": _kind("get", "200 without a body"),
    "get_reset": _kind("get", "the connection is reset"),
    "get_hang": _kind("get", "no answer for delay_s, then a reset", **_WAIT),
    "get_slow": _kind("get", "the answer comes after delay_s", **_WAIT),
    # --- what becomes of the task
    "task_failed": _kind(
        "fate",
        "it fails and is refunded (F-47)",
        code=word("upstream_error"),
        message=word("Generation failed"),
        at=number(0.6, 1.0),
    ),
    "task_slow": _kind("fate", "it takes `factor` times as long", factor=number(10.0, 10_000)),
    "task_endless": _kind("fate", "it never ends (F-52)"),
    "task_status": _kind("fate", "an unknown status word (F-49)", word=word("reviewing"), **_POLLS),
    "task_backwards": _kind("fate", "progress and status go backwards (F-50)"),
    "task_no_urls": _kind(
        "fate",
        "completed without results (F-48)",
        shape=word("empty", "empty", "missing", "null", "text", "no_output"),
        **_POLLS,
    ),
    "task_lost": _kind("fate", "GET knows no such task (F-35)", **_POLLS),
    "task_credits": _kind(
        "credits",
        "credits_consumed is `value`, or the text `raw`, such as NaN (F-51)",
        value=anything(None),
        raw=word(None),
    ),
    # --- its callback
    "callback_missing": _kind("callback", "it never comes (F-64)"),
    "callback_early": _kind("callback", "it comes before the create's answer (F-62)"),
    "callback_late": _kind("callback", "it comes delay_s later (F-63)", **_WAIT),
    "callback_duplicate": _kind("callback", "it comes `count` times (F-61)", count=number(3, 100)),
    "callback_forged": _kind(
        "callback",
        "beside the real one comes an invented one, at once (F-65)",
        how=word("wrong_body", "wrong_body", "wrong_task", "wrong_address", "no_headers", "huge"),
    ),
    # --- its file
    "file_error": _kind("file", "an HTTP status (F-53)", status=number(404, 599, 400)),
    "file_huge": _kind(
        "file",
        "size_bytes of it, with or without saying so (F-54)",
        size_bytes=number(2 * 1024**3, BYTES_MAX),
        declared=switch(default=True),
    ),
    "file_type": _kind(
        "file",
        "another type of file (F-55)",
        form=word("html", "html", "svg", "zip", "json", "empty"),
        claimed=word(None),
    ),
    "file_slow": _kind("file", "drop by drop (F-56)", bytes_per_s=number(1.0, 1e9, 0.1)),
    "file_redirect": _kind("file", "302; without a location to itself", location=word(None)),
    "file_cut": _kind("file", "the connection is reset half way"),
}
"""Every kind beside those of the chat endpoints."""

_COMMON: Final = ("kind", "times", "model", "endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One waiting switch; `facts` has every fact of its kind."""

    kind: str
    facts: Mapping[str, Any]
    times: int = 1
    model: str | None = None
    endpoint: str | None = None

    @property
    def family(self) -> str:
        return KINDS[self.kind].family

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]


def parse_switch(body: Json) -> Switch:
    """Read {kind, times?, model?, endpoint?, …facts}; raises `SwitchInvalid`."""
    spec = KINDS[body["kind"]]
    for name in body:
        if name not in _COMMON and name not in spec.facts:
            raise SwitchInvalid(f"{body['kind']} takes {', '.join(spec.facts) or 'no facts'}")
    times = body.get("times", 1)
    if type(times) is not int or not 1 <= times <= TIMES_MAX:
        raise SwitchInvalid(f"times must be 1 to {TIMES_MAX}")
    if body.get("endpoint") not in {None, *ENDPOINTS}:
        raise SwitchInvalid(f"endpoint must be one of {', '.join(ENDPOINTS)}")
    if not isinstance(body.get("model"), str | None):
        raise SwitchInvalid("model must be a string")
    facts = {name: _fact(name, fact, body) for name, fact in spec.facts.items()}
    return Switch(
        kind=body["kind"],
        facts=facts,
        times=times,
        model=body.get("model"),
        endpoint=body.get("endpoint"),
    )


def _fact(name: str, fact: Fact, body: Json) -> Any:
    if name not in body:
        return fact.default
    value = body[name]
    if fact.types == (object,):
        return value
    if not isinstance(value, fact.types) or (isinstance(value, bool) and bool not in fact.types):
        raise SwitchInvalid(f"{name} has the wrong type")
    if isinstance(value, str):
        if fact.choices and value not in fact.choices:
            raise SwitchInvalid(f"{name} must be one of {', '.join(fact.choices)}")
        if len(value) > WORD_CHARS_MAX or {"\r", "\n"} & set(value):
            raise SwitchInvalid(f"{name} must be one line of {WORD_CHARS_MAX} characters at most")
    elif isinstance(value, int | float) and not isinstance(value, bool) and not _fits(value, fact):
        raise SwitchInvalid(f"{name} must be {fact.low:g} to {fact.high:g}")
    return value


def _fits(value: float, fact: Fact) -> bool:
    return math.isfinite(value) and fact.low <= value <= fact.high


@dataclass(slots=True)
class _Waiting:
    switch: Switch
    left: int


@dataclass(slots=True)
class TaskSwitches:
    """All that still wait; the oldest fitting one of a family is taken first."""

    _waiting: list[_Waiting] = field(default_factory=list)

    def add(self, one: Switch) -> None:
        if len(self._waiting) >= FAULTS_MAX:
            raise SwitchInvalid(f"{FAULTS_MAX} switches wait already")
        self._waiting.append(_Waiting(one, one.times))

    def take(self, family: str, *, endpoint: str, model: str | None) -> Switch | None:
        for waiting in self._waiting:
            one = waiting.switch
            if (
                one.family == family
                and one.endpoint in {None, endpoint}
                and one.model in {None, model}
            ):
                waiting.left -= 1
                if waiting.left == 0:
                    self._waiting.remove(waiting)
                return one
        return None

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[Json]:
        return [
            {"kind": w.switch.kind, "model": w.switch.model, "times": w.left, **w.switch.facts}
            for w in self._waiting
        ]
