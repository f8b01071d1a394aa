"""A model's Markdown as Discord messages. Pure: text in, pages out.

While a text grows only its last page changes, so that a streamed answer is edited in one place.
Widths are UTF-16 units, the larger of the two ways in which Discord's limit can be counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from bot.discordio.markdown import clean, discord_line, safe_cut
from bot.discordio.tables import TableReader
from bot.limits import MESSAGE_CHARS_MAX

FENCE = "```"
PAGE_LIMIT_MIN = 100
"""Below this a fence with its language and one line of code might not fit."""
FILLED = 0.6
"""A page this full may end early, at a paragraph or before a code block."""

_FENCE_LINE = re.compile(r"^\s*(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
_FENCE_TAIL = re.compile(r"^`{3,}(?P<info>[\w+#.-]*)\s*$")
_LANGUAGE = re.compile(r"^[\w+#.-]{1,30}$", re.ASCII)
_LONG_TICKS = re.compile(r"`{3,}")
_HEADING = re.compile(r"^#{1,6}\s")


class _Kind(Enum):
    TEXT = auto()
    OPEN = auto()
    CODE = auto()
    CLOSE = auto()
    BLOCK = auto()
    """Several lines that stay together: a table."""


@dataclass(frozen=True, slots=True)
class _Line:
    kind: _Kind
    text: str

    @property
    def is_blank(self) -> bool:
        return self.kind is _Kind.TEXT and not self.text.strip()

    @property
    def belongs_to_next(self) -> bool:
        """A heading or an opened fence makes no sense as the last line of a page."""
        is_heading = self.kind is _Kind.TEXT and _HEADING.match(self.text) is not None
        return is_heading or self.kind is _Kind.OPEN


def width(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def pages(markdown: str, limit: int = MESSAGE_CHARS_MAX) -> list[str]:
    """Split an answer into messages of at most `limit` UTF-16 units; none is empty.

    A code fence that crosses a border is closed and opened again with its language. Tables become
    aligned code blocks, masked links show their real host, invisible characters go (F-143).
    """
    assert limit >= PAGE_LIMIT_MIN
    lines = _lines(clean(markdown), limit)
    shown: list[str] = []
    start, fence = 0, ""
    while start < len(lines):
        if not fence and lines[start].is_blank:
            start += 1
            continue
        end = _cut(lines, start, fence, limit)
        page, fence = _assemble(lines[start:end], fence)
        shown.append(page)
        start = end
    return shown


# --- Reading -----------------------------------------------------------------------------------


def _lines(text: str, limit: int) -> list[_Line]:
    """The answer in Discord's dialect, line by line."""
    lines: list[_Line] = []
    tables = TableReader(text.split("\n"), limit - 2 * (len(FENCE) + 1))
    mark = ""
    while not tables.is_done():
        if mark:
            raw = tables.take()
            if tables.is_done() and _begins_to_close(raw, mark):
                break
            closing = _closes(raw, mark)
            mark = "" if closing else mark
            code = _LONG_TICKS.sub(lambda run: "~" * len(run[0]), raw)
            lines.append(_Line(_Kind.CLOSE, FENCE) if closing else _Line(_Kind.CODE, code))
        elif (block := tables.take_table()) is not None:
            lines.extend(_Line(_Kind.BLOCK, chunk) for chunk in block)
        else:
            mark = _read_text(tables.take(), lines, is_last=tables.is_done())
    return lines


def _read_text(raw: str, lines: list[_Line], *, is_last: bool) -> str:
    """Add a line outside code; the fence that it opens, or "" when it opens none."""
    opened = _FENCE_LINE.match(raw)
    if opened is not None:
        lines.append(_Line(_Kind.OPEN, FENCE + _language(opened["info"])))
        return opened["mark"]
    at = raw.find(FENCE)
    trailing = None if is_last or at < 0 else _FENCE_TAIL.match(raw[at:])
    if trailing is not None:  # "1. Run this: ```bash", as some models write inside lists
        lines.append(_Line(_Kind.TEXT, discord_line(raw[:at].rstrip())))
        lines.append(_Line(_Kind.OPEN, FENCE + _language(trailing["info"])))
        return FENCE
    lines.append(_Line(_Kind.TEXT, discord_line(_LONG_TICKS.sub("``", raw))))
    return ""


def _closes(raw: str, mark: str) -> bool:
    bare = raw.strip()
    return len(bare) >= len(mark) and bare == mark[0] * len(bare)


def _begins_to_close(raw: str, mark: str) -> bool:
    """The rest of a closing fence is still to come; shown, it would be code for a moment."""
    bare = raw.strip()
    return 0 < len(bare) < len(mark) and bare == mark[0] * len(bare)


def _language(info: str) -> str:
    first = info.split()[:1]
    return first[0] if first and _LANGUAGE.match(first[0]) else ""


# --- Cutting -----------------------------------------------------------------------------------


def _cut(lines: list[_Line], start: int, fence: str, limit: int) -> int:
    """Where the page that begins at `start` ends; may split a line of `lines` in two."""
    used = width(fence) + 1 if fence else 0
    quiet_end = None
    for at in range(start, len(lines)):
        line = lines[at]
        is_full = used >= limit * FILLED
        if is_full and at > start and (line.is_blank or line.kind is _Kind.OPEN):
            quiet_end = at
        fence = _fence_after(line, fence)
        room = limit - used - (len(FENCE) + 1 if fence else 0)
        if width(line.text) > room:
            can_split = line.kind in {_Kind.TEXT, _Kind.CODE}
            if can_split and (not is_full or at == start):
                return _split(lines, at, room)
            return _without_orphans(lines, start, at if quiet_end is None else quiet_end)
        used += width(line.text) + 1
    return len(lines)


def _fence_after(line: _Line, fence: str) -> str:
    match line.kind:
        case _Kind.OPEN:
            return line.text
        case _Kind.CLOSE:
            return ""
        case _:
            return fence


def _without_orphans(lines: list[_Line], start: int, end: int) -> int:
    """Leave no heading and no opened fence behind as the last line of a page."""
    kept = end
    while kept > start and (lines[kept - 1].belongs_to_next or lines[kept - 1].is_blank):
        kept -= 1
    return kept if kept > start else end


def _split(lines: list[_Line], at: int, room: int) -> int:
    """Cut line `at` so that its first part is at most `room` wide; the page ends after it."""
    kind, text = lines[at].kind, lines[at].text
    if kind is _Kind.TEXT:
        text = text.strip()
    cut = safe_cut(text, _longest_prefix(text, room), is_code=kind is _Kind.CODE)
    head, tail = text[:cut], text[cut:]
    if kind is _Kind.TEXT:
        head, tail = head.rstrip(), tail.lstrip()
    lines[at : at + 1] = [_Line(kind, head), *([_Line(kind, tail)] if tail else [])]
    return at + 1


def _longest_prefix(text: str, room: int) -> int:
    """How many characters of `text` are at most `room` wide, and at least one."""
    used = 0
    for count, char in enumerate(text):
        used += 2 if char > "\uffff" else 1
        if used > room:
            return max(count, 1)
    return len(text)


def _assemble(lines: list[_Line], fence: str) -> tuple[str, str]:
    """The page, and the fence that the next page must open again."""
    parts = [fence] if fence else []
    for line in lines:
        parts.append(line.text)
        fence = _fence_after(line, fence)
    if fence:
        parts.append(FENCE)
    return "\n".join(parts).strip("\n").rstrip(), fence
