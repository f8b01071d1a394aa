"""What the user has told in this conversation, and questions that ask for it.

Nothing is kept between requests: an answer from here proves that the history was sent.
"""

from __future__ import annotations

import re
from typing import Final

from sandbox.provider.ask import Ask
from sandbox.provider.words import capital, clean

QUOTE_CHARS_MAX: Final = 300
"""Of an earlier message that is said again."""

_END: Final = r"(?=\s*(?:[.,;!?\n]|$| and | but ))"
_NAME: Final = re.compile(
    r"\b(?:my name is|i am called|i'm called|call me)\s+([\w'-]+(?: [A-Z][\w'-]+)?)", re.IGNORECASE
)
_HOME: Final = re.compile(rf"\bi live in\s+(.{{1,60}}?){_END}", re.IGNORECASE)
_MINE: Final = re.compile(
    rf"\bmy ([\w' -]{{2,40}}?) (?:is|are) (?:called |named )?(.{{1,80}}?){_END}", re.IGNORECASE
)
_NOTE: Final = re.compile(r"\bremember(?: that| this)?:? (.{3,200})", re.IGNORECASE)

_ASKS_NAME: Final = re.compile(r"\bwhat(?:'s| is| was) my name\b|\bwho am i\b", re.IGNORECASE)
_ASKS_HOME: Final = re.compile(r"\bwhere do i live\b", re.IGNORECASE)
_ASKS_MINE: Final = re.compile(
    r"\bwhat(?:'s|s| is| are| was| were) my ([\w' -]{2,40})", re.IGNORECASE
)
_ASKS_NOTE: Final = re.compile(
    r"\bwhat did i (?:ask|tell) you to remember|\bwhat should you remember", re.IGNORECASE
)
_ASKS_FIRST: Final = re.compile(
    r"\bmy first (?:question|message)|\bwhat did i (?:ask|say) first", re.IGNORECASE
)
_ASKS_LAST: Final = re.compile(
    r"\bwhat did i (?:just )?(?:ask|say|tell)|\bmy (?:last|previous) (?:question|message)",
    re.IGNORECASE,
)


def facts_of(texts: tuple[str, ...]) -> dict[str, str]:
    """What the user said of themselves; the latest word on each thing counts."""
    found: dict[str, str] = {}
    for text in texts:
        for match in _MINE.finditer(text):
            found[_key(match[1])] = match[2].strip()
        for match in _NAME.finditer(text):
            found["name"] = match[1].strip()
        for match in _HOME.finditer(text):
            found["home"] = match[1].strip()
        for match in _NOTE.finditer(text):
            found["note"] = match[1].strip()
    return found


def _key(words: str) -> str:
    return " ".join(words.lower().replace("favourite", "favorite").split())


def recall(ask: Ask) -> str | None:
    """The answer to a question about the conversation itself; None for other questions."""
    question = clean(ask.question)
    facts = facts_of(ask.said)
    if _ASKS_NAME.search(question):
        name = facts.get("name")
        return f"Your name is **{name}**." if name else _unknown("your name")
    if _ASKS_HOME.search(question):
        home = facts.get("home")
        return f"You live in **{home}**." if home else _unknown("where you live")
    if _ASKS_NOTE.search(question):
        note = facts.get("note")
        return f"You asked me to remember: {note}" if note else _unknown("anything to remember")
    if _ASKS_FIRST.search(question) or _ASKS_LAST.search(question):
        return _earlier(ask, first=_ASKS_FIRST.search(question) is not None)
    if asked := _ASKS_MINE.search(question):
        thing = _key(asked[1])
        value = facts.get(thing)
        said = asked[1].strip()
        return f"Your {said} is **{value}**." if value else _unknown(f"your {said}")
    return None


def _unknown(what: str) -> str:
    return f"You have not told me {what} in this conversation."


def _earlier(ask: Ask, *, first: bool) -> str:
    """One earlier message of the user, word for word."""
    earlier = ask.said[:-1]
    if not earlier:
        return "This is the first message of our conversation."
    text = clean(earlier[0] if first else earlier[-1])[:QUOTE_CHARS_MAX]
    return f"{'Your first message was' if first else 'Before this you wrote'}: “{text}”"


def acknowledge(ask: Ask) -> str | None:
    """An answer to a message that only tells something."""
    question = clean(ask.question)
    if "?" in question:
        return None
    facts = facts_of(ask.said[-1:])
    if "name" in facts:
        return f"Nice to meet you, **{facts['name']}**! What would you like to talk about?"
    if "home" in facts:
        return f"Noted: you live in **{facts['home']}**."
    if "note" in facts:
        return f"I will keep that in mind: {facts['note']}"
    for thing, value in facts.items():
        return f"Noted: your {thing} is **{value}**. {capital(thing)} – good to know."
    return None
