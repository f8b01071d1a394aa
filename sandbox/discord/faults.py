"""Faults that a test orders: wrong answers, delays and lost connections on chosen requests."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.discord.compression import dumps
from sandbox.discord.errors import Json
from sandbox.discord.ratelimits import VIA

# --- limits ------------------------------------------------------------------------------------
FAULTS_MAX = 100
"""Orders waiting at once."""
DELAY_S_MAX = 600.0
"""A fault is no way to hang the sandbox for ever."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One order. Without `status` and `drop` only the delay applies.

    `after_effect`: the request takes effect first, and then the answer is lost or wrong.
    """

    method: str
    path: re.Pattern[str]
    times: int
    status: int | None = None
    body: Any = None
    headers: dict[str, str] | None = None
    delay_s: float = 0.0
    after_effect: bool = False
    drop: bool = False

    @property
    def answers(self) -> bool:
        """True when the fault is more than a delay."""
        return self.drop or self.status is not None

    def answer(self) -> web.Response:
        """The wrong answer: JSON as Discord's, or any text as a proxy would send it."""
        status = self.status or 500
        headers = dict(self.headers or {})
        body = self.body
        if isinstance(body, str):
            headers.setdefault("Content-Type", "text/html")
            return web.Response(status=status, headers=headers, body=body.encode())
        if status == 429:
            headers.setdefault("Via", VIA)
            body = body or {
                "message": "You are being rate limited.",
                "retry_after": 1.0,
                "global": False,
            }
        if body is None:
            body = {"message": f"{status}: sandbox fault", "code": 0}
        headers.setdefault("Content-Type", "application/json")
        return web.Response(status=status, headers=headers, body=dumps(body).encode())


def parse_fault(order: Json) -> Fault:
    """Read an order of the control surface; ValueError names what is wrong."""
    try:
        path = re.compile(str(order["path_regex"]))
    except KeyError as error:
        raise ValueError("path_regex is missing") from error
    except re.error as error:
        raise ValueError(f"path_regex: {error}") from error
    times = int(order.get("times", 1))
    delay_s = float(order.get("delay_s") or 0)
    if times < 1 or not 0 <= delay_s <= DELAY_S_MAX:
        raise ValueError(f"times must be at least 1, delay_s within 0..{DELAY_S_MAX:g}")
    status = order.get("status")
    if status is not None and not 200 <= int(status) <= 599:
        raise ValueError("status must be within 200..599")
    return Fault(
        method=str(order.get("method", "*")).upper(),
        path=path,
        times=times,
        status=int(status) if status is not None else None,
        body=order.get("body"),
        headers={str(key): str(value) for key, value in (order.get("headers") or {}).items()},
        delay_s=delay_s,
        after_effect=bool(order.get("after_effect")),
        drop=bool(order.get("drop")),
    )


class Faults:
    """The orders that wait, oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque(maxlen=FAULTS_MAX)

    def add(self, fault: Fault) -> None:
        """Take an order."""
        self._waiting.append(fault)

    def clear(self) -> int:
        """Forget all orders and return how many there were."""
        count = len(self._waiting)
        self._waiting.clear()
        return count

    def take(self, method: str, path: str) -> Fault | None:
        """The first order that this request meets, counted down."""
        for fault in self._waiting:
            if fault.method in {method, "*", "ANY"} and fault.path.search(path):
                fault.times -= 1
                if fault.times == 0:
                    self._waiting.remove(fault)
                return fault
        return None
