"""Colours and chance, both from a digest: the same words give the same picture."""

from __future__ import annotations

import colorsys
import hashlib
import random
from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """From the sky to the ground: `sky` top and bottom, four layers, a light and a spark."""

    sky: tuple[Colour, Colour]
    layers: tuple[Colour, ...]
    light: Colour
    spark: Colour


def chance(*words: object) -> random.Random:
    """Reproducible chance of these words."""
    digest = hashlib.sha256("\n".join(str(word) for word in words).encode()).digest()
    # Pictures need variety, not secrecy.
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - no secret.


def hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` 0 is `one`, 1 is `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def palette(rng: random.Random, *, night: bool) -> Palette:
    """Neighbouring hues with one opposite spark, by day or by night."""
    # By night from teal to violet: a dark olive sky is nobody's night.
    hue = rng.uniform(0.5, 0.82) if night else rng.random()
    reach = rng.uniform(0.06, 0.16) * rng.choice((-1, 1))
    top = hsv(hue, 0.62, 0.24 if night else 0.66)
    bottom = hsv(hue + reach, 0.42 if night else 0.30, 0.50 if night else 0.98)
    ground = hsv(hue + reach * 2, 0.55, 0.10 if night else 0.22)
    near = hsv(hue + reach * 1.5, 0.50, 0.34 if night else 0.62)
    layers = tuple(mix(near, ground, step / 3) for step in range(4))
    light = hsv(hue + 0.5 + reach, 0.18, 1.0)
    return Palette(sky=(top, bottom), layers=layers, light=light, spark=hsv(hue + 0.5, 0.55, 0.98))
