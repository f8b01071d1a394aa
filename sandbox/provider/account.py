"""The books of the simulated account, exact to the micro-credit, and the list of requests."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from sandbox.provider.errors import ApiError
from sandbox.provider.models import Model
from sandbox.provider.wire import Json

UCR: Final = 1_000_000
"""Micro-credits in one credit."""
REPORT_STEP_UCR: Final = 10_000
"""`credits_consumed` is cut to two decimals: all published samples fit that (providers.md 1.6)."""
ENTRIES_MAX: Final = 1_000
"""Requests that the journal keeps; the oldest go first."""
BODY_BYTES_MAX: Final = 128 * 1024
"""A larger request body is left out of the journal; 1,000 of these are bearable."""
BALANCE_CREDITS_MAX: Final = 1_000_000_000
"""Fifteen significant digits: as JSON number still exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """`output_tokens` is what the formula bills; `reasoning_tokens` are within it or beside it."""

    input_tokens: int
    output_tokens: int
    reasoning_tokens: int


def cost_ucr(model: Model, usage: Usage) -> int:
    """The document's formula, exact."""
    return usage.input_tokens * model.input_ucr + usage.output_tokens * model.output_ucr


def credits_of(amount_ucr: int) -> Decimal:
    """Credits without trailing zeros."""
    value = (Decimal(amount_ucr) / UCR).normalize()
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


class Account:
    """What was bought and what was used. Charges are never refused, so it may go below zero."""

    def __init__(self, balance: Decimal) -> None:
        self._purchased_ucr = _ucr(balance)
        self._consumed_ucr = 0

    @property
    def balance_ucr(self) -> int:
        return self._purchased_ucr - self._consumed_ucr

    @property
    def consumed_ucr(self) -> int:
        return self._consumed_ucr

    @property
    def purchased_ucr(self) -> int:
        return self._purchased_ucr

    def require_credit(self) -> None:
        """Raises 402 when nothing is left."""
        if self.balance_ucr <= 0:
            raise ApiError("insufficient_credits", "Your credit balance is too low. Please top up.")

    def charge(self, amount_ucr: int) -> None:
        assert amount_ucr >= 0
        self._consumed_ucr += amount_ucr

    def take(self, amount_ucr: int) -> bool:
        """Charge before the work, as tasks are; False, and nothing, when less is left."""
        assert amount_ucr >= 0
        if amount_ucr > self.balance_ucr:
            return False
        self._consumed_ucr += amount_ucr
        return True

    def refund(self, amount_ucr: int) -> None:
        """Give back what was taken."""
        assert 0 <= amount_ucr <= self._consumed_ucr
        self._consumed_ucr -= amount_ucr

    def set_balance(self, balance: Decimal) -> None:
        """Buy, or hand back, until this much is left."""
        self._purchased_ucr = _ucr(balance) + self._consumed_ucr


def _ucr(balance: Decimal) -> int:
    if not (balance.is_finite() and 0 <= balance <= BALANCE_CREDITS_MAX):
        raise ValueError(f"a balance between 0 and {BALANCE_CREDITS_MAX} credits is needed")
    return int((balance * UCR).to_integral_value(ROUND_DOWN))


class Entry:
    """One request: what came, how it was answered and what it cost. Changes while it runs."""

    def __init__(self, number: int, method: str, path: str, headers: dict[str, str]) -> None:
        self.number = number
        self.method = method
        self.path = path
        self.headers = headers
        self.at_ms = time.time_ns() // 1_000_000
        self.body: Any = None
        self.status: int | None = None
        self.fault: str | None = None
        self.usage: Usage | None = None
        self.charged_ucr = 0
        self.outcome = "running"

    def keep_body(self, raw: bytes, body: Any) -> None:
        if len(raw) > BODY_BYTES_MAX:
            self.body = {"omitted_bytes": len(raw)}
        else:
            self.body = body

    def json(self) -> Json:
        usage = None
        if self.usage is not None:
            usage = {
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "reasoning_tokens": self.usage.reasoning_tokens,
            }
        return {
            "n": self.number,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": self.body,
            "status": self.status,
            "fault": self.fault,
            "usage": usage,
            "charged": str(credits_of(self.charged_ucr)),
            "outcome": self.outcome,
            "at_ms": self.at_ms,
        }


class Journal:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=ENTRIES_MAX)
        self._count = 0

    def open(self, method: str, path: str, headers: dict[str, str]) -> Entry:
        self._count += 1
        entry = Entry(self._count, method, path, headers)
        self._entries.append(entry)
        return entry

    def since(self, number: int) -> list[Json]:
        """Requests after `number` (0: all that are kept)."""
        return [entry.json() for entry in self._entries if entry.number > number]
