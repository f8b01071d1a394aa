"""Server-sent events, sans I/O: bytes in, events out (WHATWG HTML, section 9.2).

Any chunking of the same bytes gives the same events, and the same error at the same place: UTF-8
is decoded per complete line and a CR LF pair may straddle two chunks (traps 21 and 22).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.limits import SSE_LINE_BYTES_MAX

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class SseTooLongError(Exception):
    """A line, or the data of one event, is longer than the bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SseEvent:
    """One dispatched event; `data` is never empty, `event` is `message` when unnamed."""

    event: str
    data: str
    id: str


class SseReader:
    """Feed it chunks; exhaust what each call yields before the next one."""

    def __init__(self, *, line_bytes_max: int = SSE_LINE_BYTES_MAX) -> None:
        self._bytes_max = line_bytes_max
        self._pending = bytearray()
        self._after_cr = False
        self._at_start = True
        self._event = ""
        self._data: list[str] = []
        self._data_bytes = 0
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[SseEvent]:
        """Yield the events that `chunk` completes. Raises `SseTooLongError`."""
        if not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = _LINE_END.split(chunk)
        for piece in ended:
            yield from self._line(self._take(piece))
        self._pending += rest
        self._check(len(self._pending))

    def finish(self) -> Iterator[SseEvent]:
        """Yield what the end of the body leaves over.

        The standard throws an event without its closing blank line away. Servers forget that line
        after their last event, and a half event is told by its broken JSON, so it is kept.
        """
        yield from self._line(self._take(b""))
        yield from self._dispatch()

    def _take(self, piece: bytes) -> bytes:
        self._check(len(self._pending) + len(piece))
        line = bytes(self._pending) + piece
        self._pending.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        return line

    def _check(self, length: int) -> None:
        if length > self._bytes_max:
            raise SseTooLongError

    def _line(self, line: bytes) -> Iterator[SseEvent]:
        if not line:
            yield from self._dispatch()
            return
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data_bytes += len(line)
                self._check(self._data_bytes)
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case _:
                # A comment (no name), `retry` (we never reconnect: it would pay twice), unknown.
                pass

    def _dispatch(self) -> Iterator[SseEvent]:
        data = "\n".join(self._data)
        event = self._event or "message"
        self._data.clear()
        self._data_bytes = 0
        self._event = ""
        if data.strip():  # trap 19: an event with empty data is a keep-alive
            yield SseEvent(event=event, data=data, id=self._id)
