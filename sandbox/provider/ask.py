"""A checked request, in the words that both endpoints share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from sandbox.provider.models import Model
from sandbox.provider.tokens import MEDIA_TOKENS, count
from sandbox.provider.wire import Json, dumps

CALL: Final = "call"
"""Role of a turn that is the model's own tool call; its text is the arguments."""
RESULT: Final = "result"
"""Role of a turn that answers a tool call; its text is the output."""

_SPEAKER: Final = re.compile(r"^[^:\n?]{1,32}: ?")
_NOTE_LINE: Final = re.compile(r"\[[^\[\]]*\]")

_KINDS: Final = {
    "image": {"png", "jpg", "jpeg", "gif", "webp", "bmp", "avif", "heic"},
    "video": {"mp4", "mov", "webm", "mkv", "avi", "m4v"},
    "audio": {"mp3", "wav", "ogg", "oga", "flac", "m4a", "aac", "opus"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file of the request; `field` is where it stands, for errors."""

    url: str
    field: str
    kind: str
    """image, video, audio or document: as the part says, else by the ending of the name."""

    @property
    def name(self) -> str:
        return unquote(PurePosixPath(urlsplit(self.url).path).name) or "file"


def media(url: str, field: str, kind: str | None = None) -> Media:
    """Describe the file at `url`."""
    ending = PurePosixPath(urlsplit(url).path).suffix.lower().removeprefix(".")
    by_name = next((name for name, endings in _KINDS.items() if ending in endings), "document")
    return Media(url=url, field=field, kind=kind or by_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message, tool call or tool result. `name` is the tool's."""

    role: str
    text: str
    media: tuple[Media, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    description: str
    parameters: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is wanted. `effort` is filled in; `tool_choice` is auto, none or required."""

    model: Model
    stream: bool
    turns: tuple[Turn, ...]
    effort: str
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    search: bool = False
    schema: Json | None = None
    show_thoughts: bool = False

    @property
    def said(self) -> tuple[str, ...]:
        """What the user has said, oldest first; speakers' names and programs' notes left out.

        A system text that speaks of the speaker's name announces `Mira: hello`.
        """
        system = " ".join(t.text for t in self.turns if t.role in {"system", "developer"})
        named = "speaker" in system
        texts = (_plain(t.text, named=named) for t in self.turns if t.role == "user")
        return tuple(text for text in texts if text is not None)

    @property
    def question(self) -> str:
        """The last thing that the user has said."""
        return self.said[-1] if self.said else ""

    @property
    def files(self) -> tuple[Media, ...]:
        """The files of the last user message."""
        return next((t.media for t in reversed(self.turns) if t.role == "user"), ())

    @property
    def results(self) -> tuple[Turn, ...]:
        """Tool results that wait for an answer: those at the end of the conversation."""
        found: list[Turn] = []
        for turn in reversed(self.turns):
            if turn.role != RESULT:
                break
            found.append(turn)
        return tuple(reversed(found))

    @property
    def input_tokens(self) -> int:
        """All texts, tool definitions (as compact JSON) and files of the request."""
        texts = sum(count(turn.text) for turn in self.turns)
        files = sum(len(turn.media) for turn in self.turns) * MEDIA_TOKENS
        return texts + files + sum(_tool_tokens(tool) for tool in self.tools)


def _plain(text: str, *, named: bool) -> str | None:
    """One message without its speaker and its `[…]` lines; None when it is a note as a whole."""
    if text.startswith("[") and text.endswith("]"):
        return None
    own = _SPEAKER.sub("", text, count=1) if named else text
    return "\n".join(line for line in own.split("\n") if not _NOTE_LINE.fullmatch(line)).strip()


def _tool_tokens(tool: Tool) -> int:
    return count(tool.name) + count(tool.description) + count(dumps(tool.parameters))
