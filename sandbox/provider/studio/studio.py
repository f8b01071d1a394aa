"""Draw without stopping the world: two threads, a bounded store of results, given pictures.

Only loopback is in reach, as everywhere in the sandbox: a picture from elsewhere is stood in for
by one that is drawn from its address.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from sandbox.provider.media import FILE_BYTES_MAX, LOOPBACK
from sandbox.provider.studio.film import mp4
from sandbox.provider.studio.picture import Draft, NoPicture, draw, open_picture, png
from sandbox.provider.tasks.models import Kind
from sandbox.provider.tasks.orders import Order

THREADS: Final = 2
"""Drawing releases the interpreter most of the time; more would only crowd a small machine."""
STORE_BYTES_MAX: Final = 128 * 1024 * 1024
"""Some hundred results; older ones are gone, as the provider's are after a day."""
STAND_IN_PIXELS: Final = (640, 640)
PIXELS_LONG_4K: Final = 3_840
PIXELS_SIDE: Final = {"1k": 1_024, "2k": 2_048}
"""Of the square of the same area."""
PIXELS_SHORT: Final = {"480p": 480, "720p": 720, "1080p": 1_080}
"""Of a film's shorter side."""
RATIO_MAX: Final = 3.0
"""Of a given picture's sides, either way."""


class CannotRender(Exception):
    """A given picture cannot be had or read; the text is for the task's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A finished file. `name` is its path below `/files/` and never changes."""

    name: str
    content_type: str
    data: bytes = field(repr=False)


class Studio:
    """`label` is written on every result."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._store: OrderedDict[str, Rendered] = OrderedDict()
        self._stored_bytes = 0
        self._stop = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(self, session: aiohttp.ClientSession) -> AsyncIterator[None]:
        self._session = session
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="studio")
        try:
            yield
        finally:
            self._stop.set()
            self._threads.shutdown(wait=True, cancel_futures=True)

    def find(self, name: str) -> Rendered | None:
        return self._store.get(name)

    async def render(self, order: Order, *, variant: int, folder: str) -> Rendered:
        """Draw, or find, the result of an order. Raises `CannotRender`."""
        references = (*order.images, *[await self._fetch(order, url) for url in order.image_urls])
        seen = [hashlib.sha256(data).hexdigest() for data in references]
        words = [order.kind, order.prompt, order.aspect_ratio, order.resolution, order.size]
        key = hashlib.sha256("\n".join([*map(str, words), str(variant), *seen]).encode())
        suffix = "png" if order.kind is Kind.IMAGE else "mp4"
        name = f"{order.kind}s/{folder}/{key.hexdigest()[:32]}.{suffix}"
        if (known := self._store.get(name)) is not None:
            self._store.move_to_end(name)
            return known
        assert self._threads is not None, "the application has started"
        loop = asyncio.get_running_loop()
        draft = Draft(
            prompt=order.prompt,
            size=(0, 0),
            variant=variant,
            label=self._label,
            references=references,
        )
        try:
            data = await loop.run_in_executor(self._threads, _make, order, draft, self._stop)
        except NoPicture as error:
            raise CannotRender("A reference image could not be decoded.") from error
        content_type = "image/png" if order.kind is Kind.IMAGE else "video/mp4"
        rendered = Rendered(name=name, content_type=content_type, data=data)
        self._keep(rendered)
        return rendered

    def _keep(self, rendered: Rendered) -> None:
        self._store[rendered.name] = rendered
        self._stored_bytes += len(rendered.data)
        while self._stored_bytes > STORE_BYTES_MAX and len(self._store) > 1:
            _, oldest = self._store.popitem(last=False)
            self._stored_bytes -= len(oldest.data)

    async def _fetch(self, order: Order, url: str) -> bytes:
        if urlsplit(url).hostname not in LOOPBACK:
            stand_in = Draft(prompt=urlsplit(url).path, size=STAND_IN_PIXELS, label=self._label)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _stand_in, stand_in)
        assert self._session is not None, "the application has started"
        number = order.image_urls.index(url)
        failed = CannotRender(f"Failed to download image_urls[{number}].")
        data = bytearray()
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise failed
                async for chunk in response.content.iter_any():
                    data += chunk
                    if len(data) > FILE_BYTES_MAX:
                        raise failed
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise failed from error
        return bytes(data)


def _stand_in(draft: Draft) -> bytes:
    return png(draw(draft, caption=False))


def _make(order: Order, draft: Draft, stop: threading.Event) -> bytes:
    shape = None
    if draft.references:
        first = open_picture(draft.references[0])
        shape = min(max(first.width / first.height, 1 / RATIO_MAX), RATIO_MAX)
    sized = replace(draft, size=size_of(order, shape))
    if order.kind is Kind.IMAGE:
        return png(draw(sized))
    return mp4(sized, seconds=order.seconds, stop=stop)


def size_of(order: Order, shape: float | None) -> tuple[int, int]:
    """Pixels of the result; `shape` is width ÷ height of the first given picture."""
    if order.size:
        width, height = order.size.split("x")
        return int(width), int(height)
    wide, _, high = order.aspect_ratio.partition(":")
    if high:
        ratio = int(wide) / int(high)
    else:
        ratio = shape or (1.0 if order.kind is Kind.IMAGE else 16 / 9)
    if order.kind is Kind.VIDEO:
        short = PIXELS_SHORT.get(order.resolution, 720)
        return (round(short * ratio), short) if ratio >= 1 else (short, round(short / ratio))
    if order.resolution == "4k":
        long = PIXELS_LONG_4K
        return (long, _even(long / ratio)) if ratio >= 1 else (_even(long * ratio), long)
    side = PIXELS_SIDE[order.resolution]
    return _even(side * math.sqrt(ratio)), _even(side / math.sqrt(ratio))


def _even(pixels: float) -> int:
    return round(pixels / 16) * 16
