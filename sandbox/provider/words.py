"""Small tools for reading a question and for choosing words, the same way each time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final, TypeVar

TOPIC_CHARS_MAX: Final = 80
"""A topic is said inside a sentence."""
KEYWORDS_MAX: Final = 6

_MARKUP: Final = re.compile(r"<[@#:/a][^<>]{0,100}>|https?://\S+")
_LEAD: Final = re.compile(
    r"^(?:(?:hey|hi|hello|please|could you|can you|would you|tell me|explain|describe|summari[sz]e"
    r"|write|give me|show me|what(?:'s| is| are| was| were)?|why(?: is| are| do| does)?"
    r"|how(?: do i| do you| can i| does| do| is| are| to)?|who(?: is| was)?|when(?: is| was)?"
    r"|where(?: is| are)?|which|should i|is it|are there"
    r"|any|news|the latest|latest|search(?: the web| this channel)?"
    r"|about|for|me|to me|the|a|an|some)\b[\s,:]*)+",
    re.IGNORECASE,
)
_STOP_WORDS: Final = """
a about all an and any are as at be been but by can could did do does for from get give had has
have how i if in into is it its just like make me more my no not of on one or our out please say
said search show so some tell than that the their them then there these they this to today up us
use was we were what when where which who why will with would write you your channel channels
message messages anyone anybody someone somebody wrote written look find web latest news
summarize summarise explain describe compare comparing sentence sentences characters chars words
short long longer answer text essay briefly detail terms simple very really code table write top
"""
_STOP: Final = frozenset(_STOP_WORDS.split())
_SIZE: Final = re.compile(
    r"\b(?:(?:a|an) )?(?:very )?(?:long(?:er)?|\d[\d,. ]{0,10}(?:characters|chars|words)(?: long)?)"
    r"(?: (?:answer|text|story|essay|article|post))?(?: (?:about|on|of))?\b"
    r"|\bin (?:one|two|three|a few|simple|\d{1,3}) (?:short )?(?:sentences?|words?|lines?|terms)\b"
    r"|\b(?:please|briefly|in detail|at length)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W\d_][\w'-]*")

T = TypeVar("T")


def clean(text: str) -> str:
    """One line without mentions and links."""
    return " ".join(_MARKUP.sub(" ", text).split())


def pick(options: Sequence[T], key: str) -> T:
    """One of `options`; the same for the same key."""
    digest = hashlib.sha256(key.encode()).digest()
    return options[int.from_bytes(digest[:8], "big") % len(options)]


def number_from(key: str, low: int, high: int) -> int:
    """A number from `low` to `high`; the same for the same key."""
    return pick(range(low, high + 1), key)


def topic_of(question: str) -> str:
    """What the question is about, as a phrase; "that" for an empty question."""
    first = re.split(r"(?<=[.!?])\s", clean(question), maxsplit=1)[0]
    topic = _LEAD.sub("", " ".join(_SIZE.sub(" ", first).split())).strip(" .!?:,;*_`\"'")
    if len(topic) > TOPIC_CHARS_MAX:
        topic = topic[:TOPIC_CHARS_MAX].rsplit(" ", 1)[0] + " …"
    return topic or first.strip(" .!?") or "that"


def keywords(text: str, limit: int = KEYWORDS_MAX) -> list[str]:
    """The words that carry the meaning, in order, each once."""
    found: dict[str, str] = {}
    for word in _WORD.findall(clean(text)):
        if len(word) > 1 and word.lower() not in _STOP:
            found.setdefault(word.lower(), word)
    return list(found.values())[:limit]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def slug(text: str) -> str:
    """For an address: lower-case ASCII words joined by hyphens."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words[:KEYWORDS_MAX]) or "page"
