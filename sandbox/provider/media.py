"""Look at files of a request that lie on loopback, such as the attachments of the sandbox.

The real provider fetches every link. Here only loopback is in reach: a link to elsewhere is
described by its name alone, and nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from sandbox.provider.ask import Media
from sandbox.provider.errors import invalid

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
FILE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Above Discord's upload limit, so that every attachment can be read."""
HEAD_BYTES_MAX: Final = 256 * 1024
"""Kept of a file: the dimensions of a picture stand at its beginning."""
FETCH_TIMEOUT_S: Final = 5.0
"""A file on this machine comes at once."""
FILES_AT_ONCE: Final = 4
QUOTE_CHARS_MAX: Final = 120
"""Of a text file's first line."""


async def look_at(session: aiohttp.ClientSession, files: tuple[Media, ...]) -> Mapping[str, str]:
    """What is seen in each file, by its link; raises 400 for a file that cannot be fetched."""
    gate = asyncio.Semaphore(FILES_AT_ONCE)

    async def one(file: Media) -> tuple[str, str]:
        async with gate:
            return file.url, await _look(session, file)

    near = [file for file in files if urlsplit(file.url).hostname in LOOPBACK]
    return dict(await asyncio.gather(*(one(file) for file in near)))


async def _look(session: aiohttp.ClientSession, file: Media) -> str:
    try:
        async with session.get(file.url, allow_redirects=False) as response:
            if response.status != 200:
                raise invalid(file.field, "could not be fetched.")
            head = bytearray()
            size = 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > FILE_BYTES_MAX:
                    raise invalid(file.field, "is too large.")
                head += chunk[: HEAD_BYTES_MAX - len(head)]
            return describe(bytes(head), size, response.content_type)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise invalid(file.field, "could not be fetched.") from error


def describe(head: bytes, size_bytes: int, content_type: str) -> str:
    """Such as `PNG, 640 × 480 pixels, 12,345 bytes`."""
    facts = [_form(head, content_type), f"{size_bytes:,} bytes"]
    if dimensions := _dimensions(head):
        facts.insert(1, f"{dimensions[0]} × {dimensions[1]} pixels")
    if content_type.startswith("text/") and head:
        lines = head.decode(errors="replace").strip().splitlines() or [""]
        facts.append(f"beginning with “{lines[0][:QUOTE_CHARS_MAX]}”")
    return ", ".join(facts)


_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"%PDF-", "PDF"),
    (b"OggS", "Ogg"),
    (b"ID3", "MP3"),
    (b"fLaC", "FLAC"),
    (b"\x1aE\xdf\xa3", "WebM"),
)


def _form(head: bytes, content_type: str) -> str:
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF":
        return {b"WEBP": "WebP", b"WAVE": "WAV"}.get(head[8:12], "RIFF")
    if head[4:8] == b"ftyp":
        return "MP4"
    return content_type


def _dimensions(head: bytes) -> tuple[int, int] | None:
    """Width and height of PNG, GIF and JPEG."""
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if head.startswith(b"GIF8") and len(head) >= 10:
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg_dimensions(head)
    return None


def _jpeg_dimensions(head: bytes) -> tuple[int, int] | None:
    """Walk the segments to the frame header; each step moves on by at least four bytes."""
    place = 2
    while place + 9 <= len(head) and head[place] == 0xFF:
        marker = head[place + 1]
        length = int.from_bytes(head[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height = int.from_bytes(head[place + 5 : place + 7], "big")
            return int.from_bytes(head[place + 7 : place + 9], "big"), height
        place += 2 + max(length, 2)
    return None
