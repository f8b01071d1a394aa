"""The list of prices: everything that is offered, exact, and short enough for one card."""

from __future__ import annotations

from dataclasses import replace

from bot.catalogue.loader import load
from bot.limits import CARD_CHARS_MAX
from bot.text.prices import MediaPriceLine, PriceLine, prices_card

CATALOGUE = load()
CHAT = PriceLine(
    label="GPT-5.4", input_ucr=300_000_000, output_ucr=1_800_000_000, typical_ucr=1_020_000
)


def line(name: str) -> MediaPriceLine:
    model = (CATALOGUE.image_models | CATALOGUE.video_models)[name]  # type: ignore[operator]  # both are dicts behind the face of a Mapping
    return MediaPriceLine(model=model, amounts_ucr=tuple(model.price.amounts_ucr.items()))


def test_pictures_and_videos_stand_under_their_kind() -> None:
    """Per tier, per second or per clip, as the model is paid."""
    names = ("gpt-image-2", "grok-imagine-text-to-video", "veo-3", "kling-v2-master")
    card = prices_card([CHAT], [line(name) for name in names])

    assert list(card.lines)[1:] == [
        "__Pictures, in credits__",
        "**GPT Image 2**: 2.4 (1k), 4.8 (2k), 7.2 (4k) each",
        "__Videos, in credits__",
        "**Grok Imagine**: 2.4 (480p), 4.5 (720p) per second",
        "**Veo 3.1**: 40 (fast), 300 (quality) each",
        "**Kling 2 Master**: 56 per second",
    ]
    assert "a failed one nothing" in card.closing


def test_a_family_at_one_price_is_one_line() -> None:
    """The same model from words, from a picture, from references."""
    family = ["wan-2.6-text-to-video", "wan-2.6-image-to-video", "wan-2.6-reference-to-video"]
    dear = replace(line(family[1]), amounts_ucr=(("720p", 99_000_000),))

    assert len(prices_card([], map(line, family)).lines) == 2
    assert len(prices_card([], [line(family[0]), dear]).lines) == 3


def test_without_pictures_and_videos_nothing_is_said_of_them() -> None:
    card = prices_card([CHAT])

    assert len(card.lines) == 1
    assert "picture" not in card.closing


def test_a_catalogue_of_any_length_fits_a_card() -> None:
    """An operator may add a hundred models; Discord refuses a longer card whole."""
    model = line("veo-3").model
    many = [
        MediaPriceLine(model=replace(model, label=f"Model {n}"), amounts_ucr=(("fast", n),))
        for n in range(200)
    ]
    card = prices_card([CHAT], many)

    whole = "\n".join([f"### {card.heading}", *card.lines, f"-# {card.closing}"])
    assert len(whole) < CARD_CHARS_MAX
    assert card.lines[-1].endswith("more lines")


def test_the_shipped_catalogue_fits_whole() -> None:
    names = [*CATALOGUE.image_models, *CATALOGUE.video_models]

    assert "more lines" not in prices_card([CHAT], map(line, names)).lines[-1]
