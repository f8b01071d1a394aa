"""How long tasks take, and how their callbacks are tried: one record, changed by control."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sandbox.provider.faults import SwitchInvalid
from sandbox.provider.wire import Json

SECONDS_MAX: Final = 86_400.0
"""A day: longer than any deadline of a client."""
ATTEMPTS_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksPace:
    """New tasks go by it. `callback_delays_s`: one attempt each, counted from the one before."""

    image_s: float = 4.0
    video_s: float = 10.0
    pending_share: float = 0.15
    """Of the time, before `processing`."""
    callback_delays_s: tuple[float, ...] = (0.0, 180.0, 600.0)
    callback_timeout_s: float = 10.0
    progress: str = "number"
    """How it is written: one of `PROGRESS`."""
    video_url: bool = True
    """Whether the OpenAI format tells a `url`, or leaves it to `/content` (trap 39)."""


PROGRESS: Final = ("number", "percent", "null", "absent")
_SECONDS: Final = ("image_s", "video_s", "callback_timeout_s")


def changed(pace: TasksPace, body: Json) -> TasksPace:
    """Raises `SwitchInvalid`."""
    known = asdict(pace)
    if unknown := set(body) - set(known):
        raise SwitchInvalid(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    for name in _SECONDS:
        if name in body and not _is_number(body[name], SECONDS_MAX):
            raise SwitchInvalid(f"{name} must be 0 to {SECONDS_MAX:g} seconds")
    if "pending_share" in body and not _is_number(body["pending_share"], 1):
        raise SwitchInvalid("pending_share must be 0 to 1")
    if body.get("progress", PROGRESS[0]) not in PROGRESS:
        raise SwitchInvalid(f"progress must be one of {', '.join(PROGRESS)}")
    if not isinstance(body.get("video_url", True), bool):
        raise SwitchInvalid("video_url must be true or false")
    return replace(pace, **{**body, **_delays(body)})


def _delays(body: Json) -> Mapping[str, Any]:
    if "callback_delays_s" not in body:
        return {}
    delays = body["callback_delays_s"]
    if (
        not isinstance(delays, list)
        or len(delays) > ATTEMPTS_MAX
        or not all(_is_number(delay, SECONDS_MAX) for delay in delays)
    ):
        raise SwitchInvalid(f"callback_delays_s must be a list of at most {ATTEMPTS_MAX} numbers")
    return {"callback_delays_s": tuple(delays)}


def _is_number(value: Any, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= high
