"""One line of a model's Markdown in Discord's dialect, with nothing hidden in it. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MARKS_MAX = 4
"""Combining marks kept on one letter: more than any script needs, less than a flood (F-143)."""
LINK_TEXT_CHARS_MAX = 300
"""Bounds the search for the end of a link's text."""

SMALL_PRINT = "-# "
"""Begins a line of the bot's own about an answer: its price, its sources, a reference."""

_COMBINING = r"\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_MARK_FLOOD = re.compile(f"([{_COMBINING}]{{{MARKS_MAX}}})[{_COMBINING}]+")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Controls, zero-width characters and bidi overrides; joiners stay, scripts and emoji need them."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_JOINED = re.compile(f"[{_COMBINING}\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")

_CODE_SPAN = r"(?P<code>(?P<ticks>`{1,2})(?!`).+?(?<!`)(?P=ticks)(?!`))"
_LINK = (
    rf"!?\[(?P<text>[^\[\]\n]{{0,{LINK_TEXT_CHARS_MAX}}})\]"
    r"\(\s*<?(?P<url>[^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+\"[^\"\n]*\")?\s*\)"
)
_CODE_OR_LINK = re.compile(f"{_CODE_SPAN}|{_LINK}")
_DEEP_HEADING = re.compile(r"^\s*#{4,6}\s")
_SUBTEXT = re.compile(r"^(\s*)-#")
_LOOKS_LIKE_ADDRESS = re.compile(r"://|^\s*[\w-]+(?:\.[\w-]+)+(?:/\S*)?\s*$")


def clean(text: str) -> str:
    """Without what cannot be seen: controls, zero-width and bidi characters, piled-up marks."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _SURROGATE.sub("\ufffd", text)
    return _MARK_FLOOD.sub(r"\1", _INVISIBLE.sub("", text))


def discord_line(line: str) -> str:
    """A line of text: headings that Discord lacks in bold, links with their real host.

    `-#` is the bot's own small print (price, reference), so a model may not begin a line with it.
    """
    if _DEEP_HEADING.match(line):
        title = line.strip().strip("#").strip().replace("**", "")
        line = f"**{title}**" if title else ""
    line = _SUBTEXT.sub(r"\1\\-#", line)
    return _CODE_OR_LINK.sub(_link_with_host, line)


def _link_with_host(match: re.Match[str]) -> str:
    if match["code"] is not None:
        return match[0]
    text, url = match["text"].strip(), match["url"]
    host = host_of(url)
    if host is None:
        return match[0].lstrip("!").replace("[", "\\[", 1)
    if not text or _LOOKS_LIKE_ADDRESS.search(text):
        return f"<{url}>"
    return f"[{text}](<{url}>) ({host})"


def host_of(url: str) -> str | None:
    """The host a browser would go to, in ASCII; None when `url` is no web address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host:
        return None
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return None


def safe_cut(text: str, count: int, *, is_code: bool) -> int:
    """Where to cut `text` at or before `count`: after a sentence, a word, or a whole character."""
    if count >= len(text):
        return len(text)
    spaces = [at for at in range(count, 0, -1) if text[at] == " "]
    if not is_code:
        spans = [
            match.span() for match in _CODE_OR_LINK.finditer(text, 0, count + LINK_TEXT_CHARS_MAX)
        ]
        spaces = [at for at in spaces if not any(low < at < high for low, high in spans)]
        sentence = next((at for at in spaces if text[at - 1] in ".!?:;"), 0)
        if sentence > count * 0.6:
            return sentence
    if spaces and spaces[0] > count * 0.3:
        return spaces[0]
    return _whole_character(text, count)


def _whole_character(text: str, count: int) -> int:
    """Keep a letter and its marks, and joined emoji, together when that is near."""
    for at in range(count, max(count - 4 * MARKS_MAX, 0), -1):
        if not _JOINED.match(text[at]) and text[at - 1] != "\u200d":
            return at
    return count
