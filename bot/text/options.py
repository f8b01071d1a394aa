"""What is wrong with a request for a model, in words: field by field, rule by rule."""

from __future__ import annotations

from bot.errors import RequestInvalid

_FIELDS = {
    "prompt": "the prompt",
    "image_urls": "the pictures",
    "aspect_ratio": "the aspect ratio",
    "resolution": "the resolution",
    "duration": "the length",
    "seconds": "the length",
    "size": "the size",
    "mode": "the mode",
}
"""By the provider's name of a field; others are shown as they are called."""
_VALUES_MAX = 16
"""Values named in one sentence; no model has more ratios."""

_ELSE = (
    "The model cannot do that",
    "{model} does not take this combination of words, files and options.",
    "Leave a file or an option out, or choose another model.",
)
_RULES = {
    "empty": (
        "Nothing to make",
        "{model} needs words that say what to make.",
        "Write a prompt.",
    ),
    "too_long": (
        "That prompt is too long",
        "{model} takes at most {limit} characters.",
        "Shorten it.",
    ),
    "too_few": (
        "A picture is missing",
        "{model} needs at least {limit} for this.",
        "Attach a picture, or choose another model.",
    ),
    "too_many": (
        "Too many pictures",
        "{model} takes at most {limit} for this.",
        "Attach fewer, or choose another model.",
    ),
    "unknown_value": (
        "That choice does not exist",
        "For {model}, {field} can be: {allowed}.",
        "Choose one of the suggestions.",
    ),
    "out_of_range": (
        "Out of range",
        "For {model}, {field} goes from {low} to {high}.",
        "Choose one of the suggestions.",
    ),
    "exclusive": (
        "Those do not go together",
        "With the other options, {field} of {model} can only be: {allowed}.",
        "Choose one of these.",
    ),
}
"""By `RequestInvalid.rule`, where the facts for the sentence are there."""


def request_invalid(error: RequestInvalid) -> tuple[str, str, str]:
    """Heading, what happened, advice; only our own words and values of the catalogue."""
    facts = {
        "model": error.model,
        "field": _field(error.field),
        "limit": "" if error.limit is None else f"{error.limit:,}",
        "allowed": ", ".join(error.allowed[:_VALUES_MAX]),
        "low": error.allowed[0] if error.allowed else "",
        "high": error.allowed[-1] if error.allowed else "",
    }
    heading, what, advice = _RULES.get(error.rule, _ELSE)
    needed = [name for name in ("limit", "allowed") if f"{{{name}}}" in what]
    if "{low}" in what:
        needed.append("low")
    if not all(facts[name] for name in needed):
        heading, what, advice = _ELSE
    return heading, what.format(**facts), advice


def _field(name: str) -> str:
    """`image_urls[2]` and the like by the name a member knows."""
    base = name.partition("[")[0]
    return _FIELDS.get(base, base.replace("_", " "))
