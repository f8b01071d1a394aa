"""Reading JSON that others wrote: exact numbers, and no trust in any type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_DIGITS_MAX = 30
"""Longer whole numbers become `Decimal`: Python refuses an `int` beyond 4,300 digits."""
_NOTHING: Mapping[str, Any] = {}


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _DIGITS_MAX else Decimal(digits)


def _not_a_number(_word: str) -> None:
    """`NaN` and `Infinity` are no JSON; such a value counts as absent, the rest stays (F-51)."""


def parse_json(text: str | bytes) -> Any:
    """Parse with fractions as `Decimal`. Raises `ValueError` for anything that is no JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_int=_whole, parse_constant=_not_a_number)
    except (RecursionError, InvalidOperation) as error:
        raise ValueError("no usable JSON") from error


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def as_list(value: Any) -> list[Any]:
    """Return a JSON array, or an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    r"""Return a string that UTF-8 can carry, or "": JSON may escape half a surrogate pair."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def as_index(value: Any) -> int | None:
    """Return a whole number of zero or more, or None."""
    return value if type(value) is int and value >= 0 else None


def as_amount(value: Any) -> Decimal | None:
    """Return an amount as number or decimal string, unjudged; None when it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None
