"""One picture: a motif, or the given pictures in new colours, with the prompt as its caption."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from sandbox.provider.studio.palette import chance, palette
from sandbox.provider.studio.scenes import gradient, is_night, scene_of

DRAWN_SIDE_MAX: Final = 1_280
"""Motifs are drawn at most this large and then enlarged: 4k must not take seconds."""
REFERENCES_SHOWN_MAX: Final = 6
REFERENCE_PIXELS_MAX: Final = 40_000_000
"""Of a given picture; a larger one is a decompression bomb."""
CAPTION_CHARS_MAX: Final = 160
CAPTION_LINES_MAX: Final = 2
LATIN_MAX: Final = "\u024f"
"""The last character that the built-in typeface draws, but for some punctuation."""
PUNCTUATION: Final = "–—‘’“”…•€"
_BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class NoPicture(ValueError):
    """The bytes are no picture that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What to draw. `variant` tells repeated orders apart; sizes are pixels."""

    prompt: str
    size: tuple[int, int]
    variant: int = 0
    label: str = "simulated"
    references: tuple[bytes, ...] = ()
    faithful: bool = False
    """Keep the colours of the given pictures, as a film that begins with them does."""


def draw(draft: Draft, *, caption: bool = True) -> Image.Image:
    """Raises `NoPicture` for a reference that cannot be read."""
    rng = chance(draft.prompt, draft.variant)
    colours = palette(rng, night=is_night(draft.prompt, rng))
    shrink = min(1.0, DRAWN_SIDE_MAX / max(draft.size))
    small = (max(8, round(draft.size[0] * shrink)), max(8, round(draft.size[1] * shrink)))
    canvas = gradient(small, *colours.sky)
    if draft.references:
        given = [open_picture(data) for data in draft.references[:REFERENCES_SHOWN_MAX]]
        canvas = _derived(given, canvas, draft)
    else:
        scene_of(draft.prompt, rng)(canvas, colours, rng)
    if canvas.size != draft.size:
        canvas = canvas.resize(draft.size, Image.Resampling.BICUBIC)
    if caption:
        write_caption(canvas, draft.prompt, draft.label)
    return canvas


def open_picture(data: bytes) -> Image.Image:
    """Raises `NoPicture`."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > REFERENCE_PIXELS_MAX:
                raise NoPicture("the picture is too large")
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, *_BOMBS) as error:
        # Pillow reports broken files by any of the first three.
        raise NoPicture("the picture cannot be read") from error


def _derived(given: Sequence[Image.Image], sky: Image.Image, draft: Draft) -> Image.Image:
    """The given pictures side by side, toned by the prompt's own colours: plainly made of them."""
    rng = chance("tone", draft.prompt, draft.variant)
    colours = palette(rng, night=False)
    width, height = sky.size
    canvas = sky.copy()
    across = len(given)
    for index, picture in enumerate(given):
        left, right = width * index // across, width * (index + 1) // across
        canvas.paste(ImageOps.fit(picture, (max(1, right - left), height)), (left, 0))
    grey = ImageOps.grayscale(canvas)
    toned = ImageOps.colorize(
        grey, colours.layers[3], colours.light, mid=colours.layers[0], midpoint=110
    )
    canvas = Image.blend(canvas, toned, 0.12 if draft.faithful else rng.uniform(0.45, 0.6))
    if draft.faithful:
        return canvas
    canvas = ImageChops.soft_light(canvas, sky)
    edge = max(4, min(canvas.size) // 40)
    ImageDraw.Draw(canvas).rectangle(
        (edge, edge, width - edge, height - edge), outline=colours.spark, width=max(2, edge // 4)
    )
    return canvas


# --- Words on the picture ------------------------------------------------------------------------


def write_caption(canvas: Image.Image, prompt: str, label: str) -> None:
    """The prompt at the foot, and in the corner that nothing here is real."""
    unit = max(11, min(canvas.size) // 34)
    font = ImageFont.load_default(unit)
    width, height = canvas.size
    lines = _lines(drawable(prompt), font, width - 4 * unit)
    if lines:
        foot = round(unit * (1.35 * len(lines) + 1.3))
        _darken(canvas, (0, height - foot, width, height), 0.5)
        draw = ImageDraw.Draw(canvas)
        for index, line in enumerate(lines):
            place = (2 * unit, height - foot + unit * (0.6 + 1.35 * index))
            draw.text(place, line, font=font, fill=(255, 255, 255))
    _badge(canvas, label, unit)


def _badge(canvas: Image.Image, label: str, unit: int) -> None:
    font = ImageFont.load_default(max(10, round(unit * 0.8)))
    wide = font.getlength(label)
    left, top = canvas.width - wide - 2.2 * unit, unit * 0.8
    box = (round(left), round(top), round(canvas.width - unit * 0.8), round(top + unit * 1.5))
    _darken(canvas, box, 0.45)
    draw = ImageDraw.Draw(canvas)
    draw.text((left + unit * 0.7, top + unit * 0.22), label, font=font, fill=(255, 255, 255))


def _darken(canvas: Image.Image, box: tuple[int, int, int, int], share: float) -> None:
    # Blurred, because a given picture may have a caption of its own in the same place.
    part = canvas.crop(box).filter(ImageFilter.BoxBlur(max(3, (box[3] - box[1]) // 5)))
    canvas.paste(Image.blend(part, Image.new("RGB", part.size), share), box[:2])


def drawable(prompt: str) -> str:
    """The prompt on one line, without what the typeface lacks."""
    kept = (char if char <= LATIN_MAX or char in PUNCTUATION else " " for char in prompt[:2_000])
    words = " ".join("".join(kept).split())
    if len(words) <= CAPTION_CHARS_MAX:
        return words
    return words[: CAPTION_CHARS_MAX - 1].rstrip() + "…"


def _lines(
    words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> list[str]:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) < CAPTION_LINES_MAX:
            lines.append(word)
        else:
            lines[-1] = lines[-1].rstrip("…") + "…"
            break
    return [line for line in lines if line]


def png(picture: Image.Image) -> bytes:
    """Packed quickly rather than tightly."""
    target = io.BytesIO()
    picture.save(target, "PNG", compress_level=3)
    return target.getvalue()
