"""What the chat needs from the world around it, and what it tells that world."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bot.providers.base import Citation
from bot.text.money import NOT_CHARGED, Payment


class Phase(StrEnum):
    """What the member sees while there are no words yet."""

    THINKING = "thinking"
    SEARCHING = "searching"
    WRITING = "writing"
    STOPPED = "stopped"
    """Stop was pressed: the text is frozen, the price comes with `finish`."""
    BOOKING = "booking"
    """The answer is whole, but its price is not booked yet; `Draft.payment` says what is held."""


class Ending(StrEnum):
    """Why an answer ended; each has its own line in `bot/text`."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    """The member pressed Stop."""
    LENGTH = "length"
    """The model's own output limit, or ours."""
    CREDITS = "credits"
    """No more credits could be held."""
    BUDGET = "budget"
    """No more of the server's budget could be held."""
    INSTALLATION = "installation"
    """No more of the operator's budget for all servers could be held."""
    STORE = "store"
    """No more could be held, because the database did not take it (F-110)."""
    FAILED = "failed"
    """`error` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The answer so far: the whole text each time, so that only the newest matters."""

    text: str
    phase: Phase
    payment: Payment = NOT_CHARGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was paid and what is left, in µcr; `charged_ucr` 0 means *not charged*."""

    model_label: str
    charged_ucr: int
    available_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer:
    """The end of a turn, exactly one. `error` is set when `ending` is FAILED."""

    text: str
    ending: Ending
    sources: tuple[Citation, ...] = ()
    receipt: Receipt | None = None
    error: Exception | None = None
    reference: str = ""


class NotShown(Exception):
    """The end of an answer could not be shown where it belongs; its member is still owed it."""


class AnswerSink(Protocol):
    """Where an answer appears."""

    def update(self, draft: Draft) -> None:
        """Show the newest draft when there is time; never blocks, never raises."""
        ...

    async def finish(self, final: FinalAnswer) -> None:
        """Show the end, complete. Raises `NotShown`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMessage:
    """One hit of a search in the channel."""

    author_name: str
    at_us: int
    text: str


class ChannelReader(Protocol):
    """The channel as the asking member sees it."""

    async def search(self, query: str) -> tuple[FoundMessage, ...]:
        """Messages that contain the words of `query`, newest first, bounded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file as Discord describes it; `url` is its signed CDN address."""

    filename: str
    content_type: str
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One turn to answer.

    `reference` is the key that makes it happen once: `m:<message id>` or `i:<interaction id>`.
    A `private` answer is seen by its author only, so it must not enter the channel's history.
    """

    reference: str
    channel_id: int
    guild_id: int | None
    author_id: int
    author_name: str
    text: str
    attachments: tuple[Attachment, ...] = ()
    model_id: str | None = None
    private: bool = False
