"""Half characters: JSON may carry them, but no database, socket or Discord takes them (F-143)."""

from __future__ import annotations

import re

_ANY = re.compile("[\ud800-\udfff]")
_FIRST_HALF_AT_END = re.compile("[\ud800-\udbff]$")


def mended(text: str) -> str:
    """Halves that belong together are joined, the others become U+FFFD."""
    if not _ANY.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def split_off(text: str) -> tuple[str, str]:
    """The text as far as it is whole, and a first half whose second may come with the next piece.

    A character outside the basic plane can be cut in two between the deltas of a stream.
    """
    if _FIRST_HALF_AT_END.search(text):
        return mended(text[:-1]), text[-1]
    return mended(text), ""
