"""Width and height of an MP4 film, which Discord tells beside its address."""

from __future__ import annotations

import struct
from collections.abc import Iterator

BOXES_MAX = 64
"""Looked at on one level; a film of ours has a handful."""
_HEAD_BYTES = 8
_SIZES_BYTES = 8
"""The last two fields of a track's header: 16.16 fixed point."""


def film_size(data: bytes) -> tuple[int, int] | None:
    """Pixels of the first track that can be seen; None for anything but such a film."""
    if data[4:8] != b"ftyp":
        return None
    for moov in _boxes(data, b"moov"):
        for track in _boxes(moov, b"trak"):
            for header in _boxes(track, b"tkhd"):
                if len(header) < _SIZES_BYTES:
                    continue
                width, height = struct.unpack(">II", header[-_SIZES_BYTES:])
                if width and height:
                    return width >> 16, height >> 16
    return None


def _boxes(data: bytes, kind: bytes) -> Iterator[bytes]:
    """The contents of the boxes of this kind, one level deep."""
    place = 0
    for _ in range(BOXES_MAX):
        size = int.from_bytes(data[place : place + 4], "big")
        if size < _HEAD_BYTES or place + size > len(data):
            return
        if data[place + 4 : place + _HEAD_BYTES] == kind:
            yield data[place + _HEAD_BYTES : place + size]
        place += size
