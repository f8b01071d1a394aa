"""Markdown tables, which Discord does not know, as aligned code blocks. Pure."""

from __future__ import annotations

import re
import unicodedata

TABLE_WIDTH_MAX = 72
"""Wider ones wrap even on a desktop; they become one short list per row."""

_RULE_CELL = re.compile(r":?-+:?")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\(\s*<?([^\s<>()]*)>?[^()\n]*\)")
_MARKUP = re.compile(r"\*\*|__|`+|~~")


class TableReader:
    """Hands out the lines of a text one by one, or a whole table where one begins."""

    def __init__(self, lines: list[str], limit: int) -> None:
        """`limit` is the widest block to return, in UTF-16 units, fences not counted."""
        self._lines = lines
        self._limit = limit
        self._at = 0

    def is_done(self) -> bool:
        """Whether every line was taken."""
        return self._at >= len(self._lines)

    def take(self) -> str:
        """The next line."""
        line = self._lines[self._at]
        self._at += 1
        return line

    def take_table(self) -> list[str] | None:
        """The table that begins here, as blocks that each fit a page; None when there is none."""
        header = self._header()
        if header is None:
            return None
        end = self._at + 2
        while end < len(self._lines) and _is_row(self._lines[end]):
            end += 1
        rows = [_cells(line, len(header)) for line in self._lines[self._at + 2 : end]]
        blocks = _blocks(header, rows, self._limit)
        if blocks is not None:
            self._at = end
        return blocks

    def _header(self) -> list[str] | None:
        if self._at + 1 >= len(self._lines) or not _is_row(self._lines[self._at]):
            return None
        below = self._lines[self._at + 1]
        if not _is_row(below):
            return None
        rule = _split_cells(below)
        header = _split_cells(self._lines[self._at])
        is_rule = len(rule) == len(header) and all(map(_RULE_CELL.fullmatch, rule))
        return header if is_rule else None


def _is_row(line: str) -> bool:
    return _CELL_BORDER.search(line) is not None


def _split_cells(line: str) -> list[str]:
    inner = line.strip()
    inner = inner.removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [_plain(cell) for cell in _CELL_BORDER.split(inner)]


def _cells(line: str, count: int) -> list[str]:
    cells = _split_cells(line)[:count]
    return cells + [""] * (count - len(cells))


def _plain(cell: str) -> str:
    """A cell's words: code blocks show markup as it is written, so it goes."""
    shown = _LINK.sub(r"\1 (\2)", cell).replace("\\|", "|")
    shown = re.sub(r"<br\s*/?>", " ", shown)
    return _MARKUP.sub("", shown).strip()


def _blocks(header: list[str], rows: list[list[str]], limit: int) -> list[str] | None:
    """Blocks of as many rows as fit; None when a single row does not (it stays as written)."""
    blocks: list[str] = []
    taken: list[list[str]] = []
    for row in rows:
        if taken and _units(_block(header, [*taken, row])) > limit:
            blocks.append(_block(header, taken))
            taken = []
        taken.append(row)
        if _units(_block(header, taken)) > limit:
            return None
    blocks.append(_block(header, taken))
    return blocks if _units(blocks[-1]) <= limit else None


def _block(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(_columns(row[at]) for row in [header, *rows]) for at in range(len(header))]
    if sum(widths) + 3 * (len(widths) - 1) > TABLE_WIDTH_MAX:
        return "\n".join(_as_list(header, row) for row in rows) or " · ".join(header)
    rule = "─┼─".join("─" * column for column in widths)
    body = [_aligned(header, widths), rule, *(_aligned(row, widths) for row in rows)]
    return "\n".join(["```", *body, "```"])


def _aligned(cells: list[str], widths: list[int]) -> str:
    padded = [
        cell + " " * (column - _columns(cell)) for cell, column in zip(cells, widths, strict=True)
    ]
    return " │ ".join(padded).rstrip()


def _as_list(header: list[str], row: list[str]) -> str:
    pairs = [f"{name}: {cell}" if name else cell for name, cell in zip(header, row, strict=True)]
    return "- " + " · ".join(pair for pair in pairs if pair)


def _columns(text: str) -> int:
    """Columns on a fixed-width screen: East Asian characters and emoji take two, marks none."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
