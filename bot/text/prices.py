"""The list of prices: answers, pictures, videos; short enough for a phone and for one card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.catalogue.media import SECONDS, MediaKind, MediaModel, PriceUnit
from bot.text.cards import CardText
from bot.text.money import counted, credits_text

LINES_CHARS_MAX = 3_500
"""Of all lines together: a card takes 4,000 characters, its heading and small print included."""

_HEADINGS = {MediaKind.IMAGE: "Pictures", MediaKind.VIDEO: "Videos"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """One model's price, in µcr per million tokens, and of an everyday answer."""

    label: str
    input_ucr: int
    output_ucr: int
    typical_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPriceLine:
    """What members pay for a model's work: µcr by choice; under "" where nothing is chosen."""

    model: MediaModel
    amounts_ucr: Sequence[tuple[str, int]]


def prices_card(prices: Iterable[PriceLine], media: Iterable[MediaPriceLine] = ()) -> CardText:
    """What the models cost."""
    lines = [
        f"**{price.label}**: about {counted(price.typical_ucr)} for an everyday answer; per "
        f"million tokens {credits_text(price.input_ucr)} read, "
        f"{credits_text(price.output_ucr)} written"
        for price in prices
    ]
    closing = "You pay what an answer really used; the exact price stands under it."
    shown = list(media)
    for kind, heading in _HEADINGS.items():
        # A dictionary: models of one family at one price, such as twins, are one line.
        found = dict.fromkeys(_media_line(line) for line in shown if line.model.kind is kind)
        if found:
            lines += [f"__{heading}, in credits__", *found]
    if shown:
        closing += " A picture or a video costs no more than its price here; a failed one nothing."
    return CardText(heading="Prices", lines=_fitting(lines), closing=closing)


def _media_line(line: MediaPriceLine) -> str:
    """`**Grok Imagine**: 2.4 (480p), 4.5 (720p) per second`."""
    model = line.model
    family = model.label.partition(",")[0]
    unit = "s" if model.price.by == SECONDS else ""
    amounts = ", ".join(
        f"{credits_text(amount_ucr)} ({choice}{f' {unit}' if unit else ''})"
        if choice
        else credits_text(amount_ucr)
        for choice, amount_ucr in line.amounts_ucr
    )
    per = "per second" if model.price.per is PriceUnit.SECOND else "each"
    return f"**{family}**: {amounts} {per}"


def _fitting(lines: Sequence[str]) -> list[str]:
    """The lines that a card has room for; how many are missing is said."""
    kept: list[str] = []
    chars = 0
    for line in lines:
        chars += len(line) + 1
        if chars > LINES_CHARS_MAX:
            return [*kept, f"… and {len(lines) - len(kept):,} more lines"]
        kept.append(line)
    return kept
