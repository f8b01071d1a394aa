"""One short film: a slow move over a picture, with light that drifts across it."""

from __future__ import annotations

import math
import tempfile
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from PIL import Image, ImageChops

from sandbox.provider.studio.palette import chance, hsv, mix
from sandbox.provider.studio.picture import Draft, draw, write_caption

FPS: Final = 24
SECONDS_MIN: Final = 2
SECONDS_MAX: Final = 3
"""A longer order is shown by this much of it: nobody waits for an encoder here."""
SIDE_SHORT_MAX: Final = 480
ZOOM: Final = 1.18
"""How much larger the picture is than the frame: room to move in."""


def frame_size(size: tuple[int, int]) -> tuple[int, int]:
    """Even sides, the shorter one at most `SIDE_SHORT_MAX`, the same shape."""
    shrink = min(1.0, SIDE_SHORT_MAX / min(size))
    width, height = (max(16, round(side * shrink / 2) * 2) for side in size)
    return width, height


class Stopped(Exception):
    """Nobody wants the film any longer."""


def mp4(draft: Draft, *, seconds: int, stop: threading.Event) -> bytes:
    """H.264 in yuv420p, the index first. Raises `NoPicture`, and `Stopped` soon after `stop`."""
    size = frame_size(draft.size)
    large = (round(size[0] * ZOOM), round(size[1] * ZOOM))
    backdrop = draw(replace(draft, size=large, faithful=True), caption=False)
    count = FPS * min(max(seconds, SECONDS_MIN), SECONDS_MAX)
    # Moving the index to the front re-reads the file, so it needs a name.
    with tempfile.TemporaryDirectory(prefix="atelier-film-") as folder:
        path = Path(folder) / "film.mp4"
        _encode(path, draft, backdrop, count, stop)
        return path.read_bytes()


def _encode(
    path: Path, draft: Draft, backdrop: Image.Image, count: int, stop: threading.Event
) -> None:
    size = frame_size(draft.size)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"preset": "ultrafast", "crf": "30", "profile": "baseline"}
        stream.codec_context.thread_count = 1
        words = _words(draft, size)
        light = _light(draft, size)
        for index in range(count):
            if stop.is_set():
                raise Stopped
            picture = _frame(draft, backdrop, light, size, index / count)
            picture.paste(words, (0, 0), words)
            # PyAV types `from_image` only in parts.
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call] # see above
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frame(
    draft: Draft, backdrop: Image.Image, light: Image.Image, size: tuple[int, int], share: float
) -> Image.Image:
    """`share` 0 to 1 through the film: an ellipse over the picture, closing on itself."""
    rng = chance("move", draft.prompt, draft.variant)
    turn = math.tau * (share + rng.random())
    grow = 1.0 + 0.08 * (0.5 + 0.5 * math.cos(math.tau * share))
    wide, high = size[0] * grow, size[1] * grow
    room = (backdrop.width - wide, backdrop.height - high)
    left = room[0] * (0.5 + 0.5 * math.cos(turn))
    top = room[1] * (0.5 + 0.5 * math.sin(turn))
    picture = backdrop.resize(
        size, Image.Resampling.BILINEAR, box=(left, top, left + wide, top + high)
    )
    place = round(-light.width + (size[0] + light.width) * share)
    box = (place, 0, place + light.width, size[1])
    picture.paste(ImageChops.screen(picture.crop(box), light), (place, 0))
    return picture


def _light(draft: Draft, size: tuple[int, int]) -> Image.Image:
    """A soft upright beam."""
    rng = chance("light", draft.prompt, draft.variant)
    colour = hsv(rng.random(), 0.35, 0.38)
    wide = max(8, size[0] // 3)
    row = Image.new("RGB", (wide, 1))
    for x in range(wide):
        share = math.sin(math.pi * x / wide) ** 2
        row.putpixel((x, 0), mix((0, 0, 0), colour, share))
    return row.resize((wide, size[1]))


def _words(draft: Draft, size: tuple[int, int]) -> Image.Image:
    """Caption and badge on glass: written once, laid over every frame."""
    black = Image.new("RGB", size)
    grey = Image.new("RGB", size, (128, 128, 128))
    write_caption(black, draft.prompt, draft.label)
    write_caption(grey, draft.prompt, draft.label)
    # Where the two agree are letters; where grey became darker is the strip behind them.
    letters = black.convert("L")
    strip = ImageChops.subtract(Image.new("L", size, 128), grey.convert("L"))
    mask = ImageChops.lighter(letters, strip.point(lambda value: min(value * 2, 160)))
    glass = Image.merge("RGB", (letters, letters, letters))
    glass.putalpha(mask)
    return glass
