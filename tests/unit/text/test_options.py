"""A request that does not fit its model: the text names the field and what it may be."""

from __future__ import annotations

import pytest

from bot.catalogue.media_checks import MediaFault
from bot.errors import RequestInvalid
from bot.text.options import request_invalid


def invalid(rule: str, field: str = "prompt", **facts: object) -> RequestInvalid:
    return RequestInvalid(model="veo-3", field=field, rule=rule, **facts)  # type: ignore[arg-type]  # facts are typed where they are given


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (invalid("empty"), "veo-3 needs words that say what to make."),
        (invalid("too_long", limit=5_000), "veo-3 takes at most 5,000 characters."),
        (invalid("too_few", "image_urls", limit=1), "veo-3 needs at least 1 for this."),
        (invalid("too_many", "image_urls", limit=3), "veo-3 takes at most 3 for this."),
        (
            invalid("unknown_value", "mode", allowed=("fast", "quality")),
            "For veo-3, the mode can be: fast, quality.",
        ),
        (
            invalid("out_of_range", "duration", allowed=("6", "30")),
            "For veo-3, the length goes from 6 to 30.",
        ),
        (
            invalid("exclusive", "aspect_ratio", allowed=("16:9",)),
            "With the other options, the aspect ratio of veo-3 can only be: 16:9.",
        ),
        (
            invalid("unknown_value", "shot_type", allowed=("single",)),
            "For veo-3, shot type can be: single.",
        ),
        (
            invalid("unknown_value", "image_urls[2]", allowed=("x",)),
            "For veo-3, the pictures can be: x.",
        ),
    ],
)
def test_the_rule_is_told_with_its_facts(error: RequestInvalid, what: str) -> None:
    assert request_invalid(error)[1] == what


@pytest.mark.parametrize("rule", [*MediaFault, "duplicate", "exclusive"])
def test_without_facts_the_text_is_still_a_whole_sentence(rule: str) -> None:
    """Chat's own checks give none."""
    heading, what, advice = request_invalid(invalid(rule))

    assert heading
    assert "{" not in what + advice
    assert ": ." not in what
    assert what.endswith(".")
    assert advice.endswith(".")


def test_a_long_list_of_values_is_cut() -> None:
    error = invalid("unknown_value", allowed=tuple(str(value) for value in range(100)))

    assert request_invalid(error)[1].endswith("14, 15.")
