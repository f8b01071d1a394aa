"""Switches: what should go wrong next, or be answered next.

A fault is taken by the next request that it fits, `times` times; the oldest fitting one first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.provider.errors import BY_CODE
from sandbox.provider.wire import Json, dumps

FAULTS_MAX: Final = 100
"""Switches waiting at one time; a test needs a handful."""
TIMES_MAX: Final = 1_000
TEXT_CHARS_MAX: Final = 200_000
"""One scripted answer: far more than a model would write."""
CALLS_MAX: Final = 16
"""Tool calls in one scripted answer."""
DELAY_S_MAX: Final = 600.0
"""Longest stall: the clients' own patience for a whole answer."""
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest line of `huge_line`; F-58 asks for 10 MiB."""
ENDPOINTS: Final = ("responses", "chat", "credits")

KINDS: Final[Mapping[str, str]] = {
    "error": "a row of the error table: code, status?, message?, retry_after_s?",
    "html": "502 with an HTML page (F-41)",
    "empty": "200 without a body (F-41)",
    "envelope": "200 with a JSON envelope of another code: code (F-42, trap 18)",
    "redirect": "307 to location (F-44)",
    "swapped": "JSON where SSE was asked for and the reverse (F-59)",
    "slow": "wait delay_s, then tokens_per_s",
    "cut": "the connection ends in good order before the terminal event (F-57)",
    "reset": "the connection is reset; with after_events null before any answer (F-46)",
    "stall": "silence for delay_s, then the end (F-60)",
    "malformed": "an event that is not JSON (F-58)",
    "malformed_utf8": "an event that is not UTF-8 (F-58)",
    "huge_line": "a comment line of size_bytes (trap 21)",
    "noise": "comments, unknown events, CRLF, odd chunks, a stray [DONE]; still a good answer",
    "repeat": "every delta comes twice with the same sequence_number (F-58)",
    "error_event": "an error event, flat (trap 16): code?, message?",
    "error_event_nested": "an error event, nested: code?, message?",
    "failed": "response.failed: code?, message?",
    "incomplete": "reason max_output_tokens or content_filter, after after_events tokens",
    "no_credits_field": "credits_consumed is missing",
    "credits": "credits_consumed is `value` (any JSON), or the text `raw`, such as NaN (F-51)",
    "no_usage": "usage is missing",
    "zero_usage": "usage says 0 input tokens (trap 5)",
}
"""Every kind of fault, and the facts it takes beside times, model and endpoint."""


class SwitchInvalid(ValueError):
    """The control request makes no sense; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`after_events` counts events (tokens for `incomplete`); None: right before the terminal."""

    kind: str
    times: int = 1
    model: str | None = None
    endpoint: str | None = None
    code: str | int | None = None
    status: int | None = None
    message: str | None = None
    reason: str = "max_output_tokens"
    retry_after_s: float | None = None
    after_events: int | None = None
    delay_s: float | None = None
    tokens_per_s: float | None = None
    size_bytes: int = 10 * 1024 * 1024
    location: str = "/elsewhere"
    value: Any = None
    raw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The next answer, word for word; `match` must stand in the question."""

    text: str = ""
    thoughts: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments (JSON text)."""
    times: int = 1
    model: str | None = None
    match: str | None = None


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "kind": (str,),
    "times": (int,),
    "model": (str, type(None)),
    "endpoint": (str, type(None)),
    "code": (str, int, type(None)),
    "status": (int, type(None)),
    "message": (str, type(None)),
    "reason": (str,),
    "retry_after_s": (int, float, type(None)),
    "after_events": (int, type(None)),
    "delay_s": (int, float, type(None)),
    "tokens_per_s": (int, float, type(None)),
    "size_bytes": (int,),
    "location": (str,),
    "raw": (str, type(None)),
}


def parse_fault(body: Json) -> Fault:
    """Read a control request; raises `SwitchInvalid`."""
    for name, value in body.items():
        if name != "value" and name not in _TYPES:
            raise SwitchInvalid(f"unknown fact {name!r}; known: {', '.join(_TYPES)}, value")
        if name != "value" and (isinstance(value, bool) or not isinstance(value, _TYPES[name])):
            raise SwitchInvalid(f"{name} has the wrong type")
    if body.get("kind") not in KINDS:
        raise SwitchInvalid(f"kind must be one of {', '.join(KINDS)}")
    fault = Fault(**body)
    _check(fault)
    return fault


def _check(fault: Fault) -> None:
    numbers = (fault.retry_after_s, fault.delay_s, fault.tokens_per_s)
    rules = {
        f"times must be 1 to {TIMES_MAX}": 1 <= fault.times <= TIMES_MAX,
        f"seconds must be 0 to {DELAY_S_MAX:g}": all(
            n is None or (math.isfinite(n) and n >= 0) for n in numbers
        )
        and (fault.delay_s or 0) <= DELAY_S_MAX,
        "after_events must not be negative": (fault.after_events or 0) >= 0,
        f"size_bytes must be 1 to {LINE_BYTES_MAX}": 1 <= fault.size_bytes <= LINE_BYTES_MAX,
        f"endpoint must be one of {', '.join(ENDPOINTS)}": fault.endpoint in {None, *ENDPOINTS},
        f"code must be one of {', '.join(BY_CODE)}": fault.kind != "error" or fault.code in BY_CODE,
        "status must be 400 to 599": fault.status is None or 400 <= fault.status <= 599,
        "reason must be max_output_tokens or content_filter": fault.reason
        in {"max_output_tokens", "content_filter"},
        "location must be one line": not {"\r", "\n"} & set(fault.location),
    }
    for rule, holds in rules.items():
        if not holds:
            raise SwitchInvalid(rule)


def parse_script(body: Json) -> Script:
    """Read {text?, thoughts?, tool_calls?: [{name, arguments}], times?, model?, match?}."""
    known = {"text", "thoughts", "tool_calls", "tool_call", "times", "model", "match"}
    if unknown := set(body) - known:
        raise SwitchInvalid(f"unknown: {', '.join(sorted(unknown))}")
    for name in ("text", "thoughts", "model", "match"):
        value = body.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > TEXT_CHARS_MAX):
            raise SwitchInvalid(f"{name} must be a string of at most {TEXT_CHARS_MAX} characters")
    times = body.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= TIMES_MAX:
        raise SwitchInvalid(f"times must be 1 to {TIMES_MAX}")
    given = body.get("tool_calls", [])
    if body.get("tool_call") is not None:
        given = [body["tool_call"]]
    if not isinstance(given, list) or len(given) > CALLS_MAX:
        raise SwitchInvalid(f"tool_calls must be a list of at most {CALLS_MAX}")
    calls = tuple(_call(item) for item in given)
    if not calls and not body.get("text"):
        raise SwitchInvalid("text or tool_calls is needed")
    return Script(
        text=body.get("text") or "",
        thoughts=body.get("thoughts") or "",
        calls=calls,
        times=times,
        model=body.get("model"),
        match=body.get("match"),
    )


def _call(item: Any) -> tuple[str, str]:
    """`arguments` may be an object, or text to be sent as it is (to try broken JSON)."""
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise SwitchInvalid("a tool call needs a name")
    arguments = item.get("arguments", {})
    text = arguments if isinstance(arguments, str) else dumps(arguments)
    if len(text) > TEXT_CHARS_MAX:
        raise SwitchInvalid(f"arguments are limited to {TEXT_CHARS_MAX} characters")
    return item["name"], text


@dataclass(slots=True)
class _Waiting:
    switch: Fault | Script
    left: int


@dataclass(slots=True)
class Switches:
    """All faults and scripts that still wait."""

    _faults: list[_Waiting] = field(default_factory=list)
    _scripts: list[_Waiting] = field(default_factory=list)

    def add(self, switch: Fault | Script) -> None:
        waiting = self._faults if isinstance(switch, Fault) else self._scripts
        if len(waiting) >= FAULTS_MAX:
            raise SwitchInvalid(f"{FAULTS_MAX} switches wait already")
        waiting.append(_Waiting(switch, switch.times))

    def take_fault(self, *, endpoint: str, model: str | None) -> Fault | None:
        """The oldest fault that fits; without an endpoint it means the two chat endpoints."""
        for waiting in self._faults:
            fault = waiting.switch
            assert isinstance(fault, Fault)
            if endpoint != (fault.endpoint or endpoint) or fault.model not in {None, model}:
                continue
            if fault.endpoint is None and endpoint == "credits":
                continue
            _use(self._faults, waiting)
            return fault
        return None

    def take_script(self, *, model: str, question: str) -> Script | None:
        for waiting in self._scripts:
            script = waiting.switch
            assert isinstance(script, Script)
            if script.model in {None, model} and (script.match or "") in question:
                _use(self._scripts, waiting)
                return script
        return None

    def clear_faults(self) -> None:
        self._faults.clear()

    def clear_scripts(self) -> None:
        self._scripts.clear()

    def waiting(self) -> list[Json]:
        """The faults that wait, oldest first."""
        return [
            {"kind": w.switch.kind, "model": w.switch.model, "times": w.left}
            for w in self._faults
            if isinstance(w.switch, Fault)
        ]


def _use(waiting: list[_Waiting], one: _Waiting) -> None:
    one.left -= 1
    if one.left == 0:
        waiting.remove(one)
