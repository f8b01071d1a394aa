"""Where an answer can stand, and what can go wrong there; no Discord types."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Protocol

from bot.limits import NONCE_CHARS_MAX


class SurfaceError(Exception):
    """Root of what a surface raises."""


class MessageGone(SurfaceError):
    """The message was deleted; on a create, its twin with the same nonce was (F-91)."""


class SurfaceClosed(SurfaceError):
    """Nothing can be written here any more: no permission, channel gone, token expired, blocked."""


class SurfaceBusy(SurfaceError):
    """Not now; `retry_after_s` when Discord says how long."""

    def __init__(self, *, retry_after_s: float | None = None) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One message of an answer; `stop_reference` puts a Stop button for that turn under it."""

    text: str
    stop_reference: str | None = None


class Surface(Protocol):
    """A place for the messages of one answer. Every method may raise `SurfaceError`."""

    @property
    def lane(self) -> int:
        """Edits with the same lane share one of Discord's rate limits."""
        ...

    async def typing(self) -> None:
        """Show that somebody writes."""
        ...

    async def post(self, page: Page, *, nonce: str, is_first: bool) -> int:
        """Add a message, at most once per nonce where Discord allows; its id.

        The first one says what it answers.
        """
        ...

    async def edit(self, message_id: int, page: Page) -> None:
        """Replace a message's text and button."""
        ...

    async def remove(self, message_id: int) -> None:
        """Delete a message that the answer does not need any more."""
        ...


NOTICE_PART = 1_000
"""The part number of a notice that stands for a page: far from any page's."""
HEADING_PART = 1_001
"""That of the line above an answer which came to the asker's direct messages."""


def nonce_for(reference: str, part: int, attempt: int = 0, *, is_private: bool = False) -> str:
    """The same for the same part of the same turn, also after a restart (S-7).

    A nonce makes one message in all of Discord: what moves from its channel to the asker's direct
    messages has others there (`is_private`), or its pages would be taken for those in the channel.
    """
    place = "private/" if is_private else ""
    digest = hashlib.sha256(f"{reference}/{place}{part}/{attempt}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[: NONCE_CHARS_MAX - 1]
