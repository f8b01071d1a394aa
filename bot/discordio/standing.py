"""What one of our messages says, read back after a restart. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.text.answers import BOOKING_NOTE, PLACEHOLDERS

_KNOWN_CHARS = 20
"""A page that begins with so many of the words that stand there is the one they belong to."""


def words_of(shown: str) -> str:
    """The model's words on a page, without what stood in for them or announced a price."""
    if shown in PLACEHOLDERS.values():
        return ""
    words, _, last = shown.rpartition("\n")
    return words if last == PLACEHOLDERS["stopped"] or last.startswith(BOOKING_NOTE) else shown


def says(components: Iterable[Any], reference: str) -> bool:
    """Whether a card, or what is in it, names the turn."""
    for component in components:
        if reference in (getattr(component, "content", None) or ""):
            return True
        if says(getattr(component, "children", ()), reference):
            return True
    return False


def page_of(shown: str, target: list[str]) -> int:
    """Which page of the whole answer stands there; -1 when it is none of them."""
    if not shown:
        return 0
    known = [_shared_chars(shown, page) for page in target]
    best = max(known)
    return known.index(best) if best >= min(_KNOWN_CHARS, len(shown)) else -1


def _shared_chars(first: str, second: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))
