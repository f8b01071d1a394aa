"""The motifs: each draws on a canvas of at most a megapixel; words of the prompt choose one."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from sandbox.provider.studio.palette import Colour, Palette, mix

Scene = Callable[[Image.Image, Palette, random.Random], None]
Point = tuple[float, float]
EDGE: Final = 181
"""Of Pillow's radial gradient: its value in the middle of each side."""


def gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    """From `top` to `bottom`."""
    column = Image.new("RGB", (1, 256))
    for row in range(256):
        column.putpixel((0, row), mix(top, bottom, row / 255))
    return column.resize(size, Image.Resampling.BILINEAR)


def glow(canvas: Image.Image, centre: Point, radius: float, colour: Colour, share: float) -> None:
    """Light that fades outwards, added to what is there."""
    small = Image.radial_gradient("L").point(
        lambda value: round(255 * share * (max(0, EDGE - value) / EDGE) ** 1.6)
    )
    side = max(2, round(radius * 2))
    mask = small.resize((side, side), Image.Resampling.BILINEAR)
    light = Image.composite(
        Image.new("RGB", (side, side), colour), Image.new("RGB", (side, side)), mask
    )
    left, top = round(centre[0] - radius), round(centre[1] - radius)
    box = (left, top, left + side, top + side)
    canvas.paste(ImageChops.screen(canvas.crop(box), light), (left, top))


def _ridge(width: int, rng: random.Random, base: float, height: float) -> list[Point]:
    """A skyline of mountains as the sum of a few waves."""
    waves = [
        (rng.uniform(0.6, 1.4) * octave, rng.uniform(0, math.tau), height / octave)
        for octave in (1.0, 2.1, 4.3, 9.7)
    ]
    return [
        (
            x,
            base
            - sum(
                abs(math.sin(x / width * math.pi * rate + phase)) * size
                for rate, phase, size in waves
            ),
        )
        for x in range(0, width + 8, 6)
    ]


def hills(canvas: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = canvas.size
    sun = (width * rng.uniform(0.2, 0.8), height * rng.uniform(0.22, 0.45))
    radius = min(canvas.size) * rng.uniform(0.06, 0.12)
    glow(canvas, sun, radius * 5, colours.light, 0.7)
    draw = ImageDraw.Draw(canvas)
    _disc(draw, sun, radius, colours.light)
    for layer, colour in enumerate(colours.layers):
        base = height * (0.72 + layer * 0.11)
        ridge = _ridge(width, rng, base, height * (0.20 - layer * 0.035))
        draw.polygon([*ridge, (width, height), (0, height)], fill=colour)


def waves(canvas: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = canvas.size
    moon = (width * rng.uniform(0.25, 0.75), height * rng.uniform(0.18, 0.36))
    radius = min(canvas.size) * rng.uniform(0.07, 0.13)
    glow(canvas, moon, radius * 4, colours.light, 0.6)
    draw = ImageDraw.Draw(canvas)
    _disc(draw, moon, radius, colours.light)
    for row in range(12):
        share = row / 11
        base = height * (0.5 + 0.5 * share**1.2)
        swing = height * (0.006 + 0.03 * share)
        length = width * rng.uniform(0.18, 0.5)
        phase = rng.uniform(0, math.tau)
        line = [
            (x, base + math.sin(x / length * math.tau + phase) * swing)
            for x in range(0, width + 8, 6)
        ]
        place = share * (len(colours.layers) - 1)
        first = int(place)
        after = colours.layers[min(first + 1, len(colours.layers) - 1)]
        colour = mix(colours.layers[first], after, place - first)
        draw.polygon([*line, (width, height), (0, height)], fill=colour)
        draw.line(line, fill=mix(colour, colours.light, 0.35), width=max(1, height // 320))


def city(canvas: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = canvas.size
    glow(canvas, (width * rng.uniform(0.3, 0.7), height * 0.75), width * 0.6, colours.light, 0.55)
    draw = ImageDraw.Draw(canvas)
    for layer, colour in enumerate(colours.layers[1:]):
        unit = width * (0.045 + 0.015 * layer)
        x = -rng.uniform(0, unit)
        while x < width:
            wide = unit * rng.uniform(0.7, 1.7)
            top = height * (rng.uniform(0.22, 0.66) + 0.1 * layer)
            draw.rectangle((x, top, x + wide, height), fill=colour)
            if layer:
                _windows(draw, (x, top, x + wide, height), colours, rng)
            x += wide * rng.uniform(0.9, 1.15)


def _windows(
    draw: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    colours: Palette,
    rng: random.Random,
) -> None:
    left, top, right, bottom = box
    step = max(6.0, (right - left) / 5)
    y = top + step * 0.7
    while y < bottom - step:
        x = left + step * 0.5
        while x < right - step * 0.6:
            if rng.random() < 0.42:
                colour = rng.choice((colours.light, colours.spark))
                draw.rectangle((x, y, x + step * 0.42, y + step * 0.5), fill=colour)
            x += step
        y += step * 1.1


def orbits(canvas: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = canvas.size
    draw = ImageDraw.Draw(canvas)
    for _ in range(160):
        star = (rng.uniform(0, width), rng.uniform(0, height))
        _disc(draw, star, rng.uniform(0.4, 1.7), mix(colours.sky[0], colours.light, 0.8))
    centre = (width * rng.uniform(0.3, 0.7), height * rng.uniform(0.35, 0.6))
    unit = min(canvas.size) * 0.13
    glow(canvas, centre, unit * 4.5, colours.spark, 0.7)
    draw = ImageDraw.Draw(canvas)
    _disc(draw, centre, unit, colours.spark)
    tilt = rng.uniform(0.25, 0.6)
    for ring in range(1, 5):
        far = unit * (1.3 + ring * 0.85)
        box = (centre[0] - far, centre[1] - far * tilt, centre[0] + far, centre[1] + far * tilt)
        draw.ellipse(box, outline=mix(colours.sky[1], colours.light, 0.5), width=2)
        angle = rng.uniform(0, math.tau)
        planet = (centre[0] + math.cos(angle) * far, centre[1] + math.sin(angle) * far * tilt)
        _disc(draw, planet, unit * rng.uniform(0.12, 0.3), rng.choice(colours.layers[:2]))


def facets(canvas: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = canvas.size
    draw = ImageDraw.Draw(canvas)
    across = max(4, round(width / min(canvas.size) * 7))
    down = max(4, round(height / min(canvas.size) * 7))

    def point(column: int, row: int) -> Point:
        jitter = [rng.uniform(-0.34, 0.34) if 0 < n < m else 0 for n, m in _inner(column, row)]
        return (column + jitter[0]) * width / across, (row + jitter[1]) * height / down

    def _inner(column: int, row: int) -> tuple[tuple[int, int], tuple[int, int]]:
        return (column, across), (row, down)

    grid = [[point(column, row) for column in range(across + 1)] for row in range(down + 1)]
    stops = (colours.sky[0], colours.sky[1], colours.spark, colours.layers[0])
    for row in range(down):
        for column in range(across):
            a, b = grid[row][column], grid[row][column + 1]
            c, d = grid[row + 1][column], grid[row + 1][column + 1]
            for triangle in ((a, b, c), (b, d, c)):
                share = (row / down * 0.6 + column / across * 0.4) * 2.9 + rng.uniform(-0.3, 0.3)
                share = min(max(share, 0.0), 2.99)
                colour = mix(stops[int(share)], stops[int(share) + 1], share % 1)
                draw.polygon(triangle, fill=mix(colour, colours.light, rng.uniform(0, 0.18)))


def aurora(canvas: Image.Image, colours: Palette, rng: random.Random) -> None:
    width, height = canvas.size
    small = canvas.resize((max(2, width // 8), max(2, height // 8)))
    for step in range(9):
        colour = (colours.spark, colours.layers[0], colours.sky[1])[step % 3]
        place = (rng.uniform(0, small.width), rng.uniform(0, small.height * 0.8))
        glow(small, place, min(small.size) * rng.uniform(0.25, 0.7), colour, 0.4)
    soft = small.filter(ImageFilter.GaussianBlur(3))
    canvas.paste(soft.resize(canvas.size, Image.Resampling.BICUBIC))
    draw = ImageDraw.Draw(canvas)
    ridge = _ridge(width, rng, height * 0.95, height * 0.12)
    draw.polygon([*ridge, (width, height), (0, height)], fill=colours.layers[3])


def _disc(draw: ImageDraw.ImageDraw, centre: Point, radius: float, colour: Colour) -> None:
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


SCENES: Final[Mapping[str, Scene]] = {
    "hills": hills,
    "waves": waves,
    "city": city,
    "orbits": orbits,
    "facets": facets,
    "aurora": aurora,
}
_WORDS: Final = (
    ("city", r"city|street|town|building|skyline|neon|tower|house|castle|room|market"),
    ("waves", r"sea\b|ocean|wave|beach|lake|river|water|ship|boat|harbou?r|fish|island|rain"),
    ("orbits", r"space|planet|star|galaxy|orbit|rocket|moon|astronaut|robot|atom"),
    ("hills", r"mountain|hill|forest|tree|valley|desert|field|garden|landscape|fox|deer|bee"),
    ("aurora", r"lights?\b|aurora|dream|fog|cloud|sky|smoke|magic|glow"),
    ("facets", r"logo|icon|pattern|abstract|geometric|poster|glass|crystal|paper|product"),
)
_NIGHT: Final = re.compile(r"\b(night|dark|neon|moon|stars?|starry|space|galaxy|midnight|noir)")


def scene_of(prompt: str, rng: random.Random) -> Scene:
    """By the first word that names something we can draw, else by chance."""
    words = prompt.lower()
    found = [
        (match.start(), name)
        for name, pattern in _WORDS
        if (match := re.search(rf"\b(?:{pattern})", words))
    ]
    name = min(found)[1] if found else rng.choice(tuple(SCENES))
    return SCENES[name]


def is_night(prompt: str, rng: random.Random) -> bool:
    return bool(_NIGHT.search(prompt.lower())) or rng.random() < 0.25
