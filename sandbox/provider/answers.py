"""The deterministic brain: from a checked request to an answer that refers to it.

The same request gives the same answer. Nothing is remembered between requests.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from sandbox.provider.ask import Ask, Media, Turn
from sandbox.provider.memory import acknowledge, recall
from sandbox.provider.prose import LONG_CHARS_DEFAULT, essay, long_text, searched, table, thoughts
from sandbox.provider.reply import Reply
from sandbox.provider.snippets import code, wants_code
from sandbox.provider.toolpick import calls_for, filled
from sandbox.provider.wire import dumps
from sandbox.provider.words import clean

RESULT_CHARS_MAX: Final = 1_500
"""Of one tool result that is said again in the answer."""

ITEM_CHARS_MAX: Final = 200
"""Of one item in a result."""

SENTENCES: Final[Mapping[str, int]] = {"minimal": 0, "low": 0, "medium": 1, "high": 3, "xhigh": 5}
"""Reasoning by effort; Gemini's `low` still thinks a little."""
GEMINI_LOW_SENTENCES: Final = 1


def answer(ask: Ask, looks: Mapping[str, str], note: str = "") -> Reply:
    """Answer `ask`. `looks` says what was seen in files, by link; `note` goes into JSON texts."""
    sentences = SENTENCES[ask.effort]
    if ask.effort == "low" and not ask.model.bills_reasoning:
        sentences = GEMINI_LOW_SENTENCES
    return replace(_said(ask, looks, note), thoughts=thoughts(ask.question, sentences))


def _said(ask: Ask, looks: Mapping[str, str], note: str) -> Reply:
    if ask.results:
        return Reply(text=_from_results(ask))
    if calls := calls_for(ask):
        return Reply(calls=calls)
    if ask.schema is not None:
        return Reply(text=dumps(filled(ask.schema, ask.question, note)))
    plain = _plain(ask, looks)
    if plain is not None:
        return Reply(text=plain)
    if ask.search:
        return searched(ask.question)
    return Reply(text=essay(ask.question, variety=str(len(ask.turns))))


def _plain(ask: Ask, looks: Mapping[str, str]) -> str | None:
    """Answers that need neither tools nor sources; None when nothing special is asked."""
    question = clean(ask.question)
    if ask.files:
        return _about_files(ask, looks)
    if (known := recall(ask)) is not None:
        return known
    for wanted, make in _KINDS:
        if wanted(question):
            return make(question)
    return acknowledge(ask)


def _from_results(ask: Ask) -> str:
    """What the tools gave, in words."""
    return "\n\n".join(["I looked that up:", *(_result(turn) for turn in ask.results)])


def _result(turn: Turn) -> str:
    try:
        value: Any = json.loads(turn.text)
    except ValueError:
        return turn.text[:RESULT_CHARS_MAX]
    if isinstance(value, dict) and value:
        lines = [_line(str(key).replace("_", " "), inner) for key, inner in value.items()]
    elif isinstance(value, list) and value:
        lines = [f"- {_scalar(item)}" for item in value]
    else:
        lines = [_scalar(value) if value not in ({}, [], "") else "Nothing was found."]
    return "\n".join(lines)[:RESULT_CHARS_MAX]


def _line(name: str, value: Any) -> str:
    """One fact; a list gets a line for each of its items."""
    if not isinstance(value, list):
        return f"- **{name}**: {_scalar(value)}"
    if not value:
        return f"- **{name}**: none"
    return "\n".join([f"- **{name}**:", *(f"  - {_scalar(item)}" for item in value)])


def _scalar(value: Any) -> str:
    """On one line; a record's values beside each other."""
    if isinstance(value, dict):
        return " · ".join(_scalar(inner) for inner in value.values())[:ITEM_CHARS_MAX]
    text = value if isinstance(value, str) else dumps(value)
    return " ".join(text.split())[:ITEM_CHARS_MAX]


def _about_files(ask: Ask, looks: Mapping[str, str]) -> str:
    lines = [f"- {_file(file, looks.get(file.url))}" for file in ask.files]
    head = "Thank you, I received " + ("this file:" if len(lines) == 1 else "these files:")
    question = clean(ask.question)
    tail = f"\n\n{essay(question)}" if question else "\n\nWhat would you like to know about it?"
    return head + "\n" + "\n".join(lines) + tail


def _file(file: Media, look: str | None) -> str:
    article = "an" if file.kind in {"image", "audio"} else "a"
    kind = "audio file" if file.kind == "audio" else file.kind
    return f"`{file.name.replace('`', '')}`, {article} {kind}" + (f" ({look})" if look else "")


# --- kinds of questions ---------------------------------------------------------------------------

_CHARS: Final = re.compile(r"(\d[\d,. ]{0,8}\d|\d)\s*(?:characters|chars)\b", re.IGNORECASE)
_LONG: Final = re.compile(r"(?<!how )\blong(?:er)?\b|\bat length\b", re.IGNORECASE)
_TABLE: Final = re.compile(r"\btable\b", re.IGNORECASE)
_HELLO: Final = re.compile(
    r"^(?:hi|hello|hey|good (?:morning|evening|day))\b[\s,!.]*(?:there|atelier|bot)?[\s!.]*$",
    re.IGNORECASE,
)
_THANKS: Final = re.compile(r"^(?:thanks|thank you)\b", re.IGNORECASE)
_WHO: Final = re.compile(r"\bwho are you\b|\bintroduce yourself\b", re.IGNORECASE)
_SUM: Final = re.compile(
    r"(-?\d{1,9}(?:\.\d{1,6})?)\s*(\+|-|\*|×|x|/|÷|plus|minus|times|divided by)"
    r"\s*(-?\d{1,9}(?:\.\d{1,6})?)",
    re.IGNORECASE,
)
_ROOT: Final = re.compile(r"square root of (\d{1,12})", re.IGNORECASE)
_ASKS_SUM: Final = re.compile(
    r"what|how much|calculate|compute|=|^[\d\s.+*/×÷x-]+\??$", re.IGNORECASE
)


def _wants_long(question: str) -> bool:
    return bool(_CHARS.search(question) or _LONG.search(question))


def _long(question: str) -> str:
    asked = _CHARS.search(question)
    digits = re.sub(r"\D", "", asked[1]) if asked else ""
    return long_text(question, int(digits) if digits else LONG_CHARS_DEFAULT)


def _wants_sum(question: str) -> bool:
    return bool(_ROOT.search(question)) or bool(
        _SUM.search(question) and _ASKS_SUM.search(question)
    )


def _sum(question: str) -> str:
    if root := _ROOT.search(question):
        value = math.sqrt(int(root[1]))
        return f"The square root of {root[1]} is **{value:.10g}**."
    found = _SUM.search(question)
    assert found is not None, "asked for by _wants_sum"
    left, right = float(found[1]), float(found[3])
    match found[2].lower():
        case "+" | "plus":
            result = left + right
        case "-" | "minus":
            result = left - right
        case "/" | "÷" | "divided by" if right == 0:
            return "Division by zero has no result."
        case "/" | "÷" | "divided by":
            result = left / right
        case _:
            result = left * right
    return f"{found[0]} = **{result:.15g}**"


def _hello(question: str) -> str:
    del question
    return "Hello! Ask me anything, or show me a picture or a file."


def _thanks(question: str) -> str:
    del question
    return "You are welcome. Anything else?"


def _who(question: str) -> str:
    del question
    return (
        "I am a **simulated model**: a stand-in that answers without a network, so that everything"
        " around me can be tried at no cost. I read your message and what was said before it,"
        " look at files, call tools, and count tokens exactly."
    )


_KINDS: Final[tuple[tuple[Callable[[str], Any], Callable[[str], str]], ...]] = (
    (_HELLO.search, _hello),
    (_THANKS.search, _thanks),
    (_WHO.search, _who),
    (_wants_long, _long),
    (wants_code, code),
    (_TABLE.search, table),
    (_wants_sum, _sum),
)
