"""Kinds of values that several tables of a `models.toml` share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from bot.errors import Problem

# Limits.
MODELS_MAX = 100
"""Bounds the texts and choices made from them."""
NAME_CHARS_MAX = 100
"""Discord's limit for the name and the value of a choice."""

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS_MAX)
]


def _key(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", text):
        raise ValueError(
            "must be a name of small letters, digits and underscores, beginning with a letter,"
            " at most 32 long"
        )
    return text


Key = Annotated[str, AfterValidator(_key)]
"""A name that goes over the wire and into Discord's options."""

TEXT = "must be a text in quotes"
_TABLE = "must be a table: {{ name = value }}"
_LIST = "must be a list: [value, value]"
_NUMBER = 'must be a number, such as 2 or "2.5"'
_WHOLE = "must be a whole number"
_FLAG = "must be true or false"
_ONE_OF = "must be one of: {expected}"
UNFIT = "has a value that does not fit here"

_PLAIN_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "set_item_not_hashable": "must be a list of words",
    "string_type": TEXT,
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_type": _NUMBER,
    "decimal_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "enum": _ONE_OF,
    "literal_error": _ONE_OF,
    "value_error": "{error}",
    "assertion_error": "{error}",
}
"""pydantic's error types in an operator's words; any other one is `UNFIT`."""


def plain_words(kind: str, facts: Mapping[str, Any]) -> str:
    """Say what one of pydantic's errors asks for; `facts` is its `ctx`."""
    if facts.get("min_length") == 1:
        return "must not be empty"
    said = dict(facts)
    if "expected" in said:  # "'a', 'b' or 'c'"
        said["expected"] = str(said["expected"]).replace(" or ", ", ").replace("'", "")
    try:
        return _PLAIN_WORDS.get(kind, UNFIT).format_map(said)
    except KeyError:  # another release may name the facts differently
        return UNFIT


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
        raise ValueError(_NUMBER)
    return number


def where(path: Sequence[int | str]) -> str:
    """Write a path as `chat_model[2].price.input`; positions count from 0.

    Left out is what stands in no file: pydantic's mark of a key, and the name of the one amount.
    """
    text = ""
    for step in path:
        if step not in {"[key]", ""}:
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def shape_problems(error: ValidationError, *, inside: tuple[int | str, ...] = ()) -> list[Problem]:
    """List what pydantic found; `inside` is the path of the validated table."""
    return [
        Problem(
            where=where((*inside, *fact["loc"])),
            what=plain_words(fact["type"], fact.get("ctx", {})),
        )
        for fact in error.errors(include_url=False, include_input=False)
    ]
