"""Kinds of values that several tables of a `models.toml` share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from bot.errors import Problem

# Limits.
MODELS_MAX = 100
"""Bounds the texts and choices made from them."""
NAME_CHARS_MAX = 100
"""Discord's limit for the name and the value of a choice."""

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS_MAX)
]

_PLAIN_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
}
"""pydantic's error types that an operator should read in plainer words."""


class Strict(BaseModel):
    """A table of the file: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def exact(value: object) -> Decimal:
    """Read a whole number, a TOML float (already `Decimal`) or a decimal string."""
    number = Decimal("NaN")
    if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            number = Decimal(value)
    if not number.is_finite():
        raise ValueError("must be a finite number or decimal string")
    return number


def where(path: Sequence[int | str]) -> str:
    """Write a path as `chat_model[2].price.input`; positions count from 0."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def shape_problems(error: ValidationError, *, inside: tuple[int | str, ...] = ()) -> list[Problem]:
    """List what pydantic found; `inside` is the path of the validated table."""
    return [
        Problem(
            where=where((*inside, *fact["loc"])),
            what=_PLAIN_WORDS.get(fact["type"], fact["msg"].removeprefix("Value error, ")),
        )
        for fact in error.errors(include_url=False, include_input=False)
    ]
