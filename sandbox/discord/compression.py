"""How gateway frames leave: plain text, one zlib stream, or one zstd stream per connection."""

from __future__ import annotations

import importlib
import importlib.util
import json
import zlib
from typing import Any, Protocol


class Encoder(Protocol):
    """Turns one payload into one complete frame."""

    def encode(self, payload: dict[str, Any]) -> str | bytes:
        """A text frame when plain, a binary frame when compressed."""
        ...


def dumps(payload: Any) -> str:
    """Compact JSON, as Discord sends it."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


class PlainEncoder:
    """No compression."""

    def encode(self, payload: dict[str, Any]) -> str:
        return dumps(payload)


class ZlibEncoder:
    """`compress=zlib-stream`: each message ends with the four bytes of a sync flush."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj()

    def encode(self, payload: dict[str, Any]) -> bytes:
        data = self._stream.compress(dumps(payload).encode())
        return data + self._stream.flush(zlib.Z_SYNC_FLUSH)


class ZstdEncoder:
    """`compress=zstd-stream`: each message ends with a flushed block."""

    def __init__(self) -> None:
        # Imported on use: zstandard belongs to the `speed` extra and may be missing.
        self._zstd = importlib.import_module("zstandard")
        self._stream = self._zstd.ZstdCompressor().compressobj()

    def encode(self, payload: dict[str, Any]) -> bytes:
        data: bytes = self._stream.compress(dumps(payload).encode())
        block: bytes = self._stream.flush(self._zstd.COMPRESSOBJ_FLUSH_BLOCK)
        return data + block


def zstd_available() -> bool:
    """True when the zstandard package can be imported."""
    return importlib.util.find_spec("zstandard") is not None


def encoder_for(compress: str | None) -> Encoder | None:
    """The encoder that the connection asked for; None when it is not offered."""
    if compress is None:
        return PlainEncoder()
    if compress == "zlib-stream":
        return ZlibEncoder()
    if compress == "zstd-stream" and zstd_available():
        return ZstdEncoder()
    return None
