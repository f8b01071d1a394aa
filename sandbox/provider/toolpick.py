"""Which of the offered functions a question calls for, and values that fit a JSON schema."""

from __future__ import annotations

import re
from typing import Any, Final

from sandbox.provider.ask import Ask, Tool
from sandbox.provider.wire import Json, dumps
from sandbox.provider.words import clean, keywords, pick, topic_of

CALLS_MAX: Final = 4
"""Functions called at once."""
DEPTH_MAX: Final = 6
"""Of a schema that is filled in; deeper parts are null."""
ITEMS_MAX: Final = 3
"""Of an array that is filled in."""
NAME_WORD_CHARS_MIN: Final = 4
"""A shorter word of a function's name stands in too many questions."""

_TIME: Final = (
    r"\bwhat time\b|\bthe time\b|current time|\btoday'?s date|\bwhat (?:day|date)|the date\b"
)
_MONEY: Final = r"\bbalance\b|\bcredits?\b|\bhow much (?:do i|have i)"
_PRICES: Final = r"\bprices?\b|\bwhat do(?:es)? .{1,60} cost\b"
_CHANNEL: Final = (
    r"\b(?:this|the|our) channel\b|\bwho (?:said|wrote|mentioned)\b|\bearlier messages\b"
    r"|\bwhat did (?!i\b|you\b)\w+ (?:say|write)\b"
)
_WEATHER: Final = r"\bweather\b|\bforecast\b|\bhow (?:hot|warm|cold)\b|\btemperature\b"
_WEB: Final = (
    r"\bnews\b|\blatest\b|\bsearch the (?:web|internet)\b|\bon the web\b|\blook .{0,40}\bup\b"
    r"|\bgoogle\b"
)
_INTENTS: Final = (
    (_TIME, ("time", "clock", "date")),
    (_MONEY, ("balance", "credit", "wallet")),
    (_PRICES, ("price", "cost", "balance", "credit")),
    (_CHANNEL, ("channel", "message", "history")),
    (_WEATHER, ("weather", "search_web", "web_search")),
    (_WEB, ("search_web", "web_search", "news")),
)
"""What a question may want, and parts of the names of functions that give it, best first."""
_PLAIN: Final = frozenset({"tool", "call", "current", "search", "find", "list", "this", "with"})
_TEXT_FIELDS: Final = re.compile(
    r"^(q|query|queries|text|words?|keywords?|search|search_?terms?|terms?|phrase|topic|question"
    r"|location|city|place)$"
)
_PLACE_FIELDS: Final = re.compile(r"location|city|place|country")
_PLACE: Final = re.compile(r"\b(?:in|for|at|near) ((?:[A-Z][\w'-]+)(?: [A-Z][\w'-]+)*)")
_QUOTED: Final = re.compile(r"[\"“'‘`]([^\"“”'‘’`]{2,80})[\"”'’`]")


def calls_for(ask: Ask) -> tuple[tuple[str, str], ...]:
    """The functions to call, with their arguments as JSON text."""
    if not ask.tools or ask.tool_choice == "none" or ask.results:
        return ()
    chosen = _chosen(ask)
    if not chosen and ask.tool_choice == "required":
        chosen = [ask.tools[0]]
    question = clean(ask.question)
    return tuple((t.name, dumps(arguments(t, question))) for t in chosen[:CALLS_MAX])


def _chosen(ask: Ask) -> list[Tool]:
    question = clean(ask.question)
    found: dict[str, Tool] = {}
    for pattern, stems in _INTENTS:
        if re.search(pattern, question, re.IGNORECASE):
            tool = next((t for stem in stems for t in ask.tools if stem in t.name.lower()), None)
            if tool is not None:
                found.setdefault(tool.name, tool)
    if found:
        return list(found.values())
    lowered = question.lower()
    return [tool for tool in ask.tools if any(word in lowered for word in _name_words(tool))][:1]


def _name_words(tool: Tool) -> list[str]:
    """The telling words of a function's name, such as `weather` of `get_weather`."""
    words = re.split(r"[_-]+", tool.name.lower())
    return [w for w in words if len(w) >= NAME_WORD_CHARS_MIN and w not in _PLAIN]


_EXAMPLES: Final = {
    "name": ("Marie Curie", "Isaac Newton", "Ada Lovelace"),
    "field": ("physics", "mathematics", "computing"),
    "country": ("Poland", "England", "Italy"),
    "city": ("Warsaw", "Lincoln", "Turin"),
}


def arguments(tool: Tool, question: str) -> Json:
    """The required properties, and those that take the words of the question."""
    properties = tool.parameters.get("properties", {})
    required = tool.parameters.get("required", [])
    filler = _Filler(question, "", every=False)
    return {
        name: filler.value(schema, name)
        for name, schema in properties.items()
        if name in required or _TEXT_FIELDS.match(name)
    }


def filled(schema: Json, question: str, note: str = "") -> Any:
    """A value of this schema about the question; `note` is added to every free text."""
    return _Filler(question, note, every=True).value(schema, "")


class _Filler:
    """Makes values. `every` fills in all there is; else the least that a call needs."""

    def __init__(self, question: str, note: str, *, every: bool) -> None:
        self._question = question
        self._note = note
        self._every = every

    def value(self, schema: Any, name: str, number: int = 0, depth: int = 0) -> Any:
        """The value of property `name`, as item `number` of its list."""
        if not isinstance(schema, dict) or depth > DEPTH_MAX:
            return None
        if fixed := [schema[key] for key in ("const", "default") if key in schema]:
            return fixed[0]
        if schema.get("enum"):
            return pick(schema["enum"], self._question) if self._every else schema["enum"][0]
        match _type(schema):
            case "object":
                inner = schema.get("properties", {}).items()
                return {key: self.value(part, key, number, depth + 1) for key, part in inner}
            case "array":
                items = schema.get("items", {"type": "string"})
                count = ITEMS_MAX if self._every else 1
                return [self.value(items, name, n, depth + 1) for n in range(count)]
            case kind:
                return self._scalar(kind, schema, name, number)

    def _scalar(self, kind: str, schema: Json, name: str, number: int) -> Any:
        match kind:
            case "integer" | "number":
                low = schema.get("minimum", 1)
                return min(low + number, schema.get("maximum", max(low, 10)))
            case "boolean":
                return self._every
            case "null":
                return None
            case _:
                text = self._example(name, number) if self._every else self._wanted(name)
                limit = schema.get("maxLength")
                return text[:limit] if isinstance(limit, int) else text

    def _example(self, name: str, number: int) -> str:
        words = tuple(keywords(self._question)) or (topic_of(self._question),)
        examples = _EXAMPLES.get(name, words)
        text = examples[number % len(examples)]
        return f"{text} ({self._note})" if self._note else text

    def _wanted(self, name: str) -> str:
        """What the question says about this property."""
        if _PLACE_FIELDS.search(name):
            place = _PLACE.search(self._question)
            return place[1] if place else topic_of(self._question)
        if re.search(r"timezone|\btz\b", name):
            return "UTC"
        if quoted := _QUOTED.search(self._question):
            return quoted[1]
        return " ".join(keywords(self._question)) or topic_of(self._question)


def _type(schema: Json) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        return next((str(one) for one in kind if one != "null"), "null")
    return str(kind)
