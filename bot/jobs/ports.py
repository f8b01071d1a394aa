"""What the jobs need from the world around them, and what they tell that world."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from bot.catalogue.media import OptionValue
from bot.limits import DELIVERY_RETRY_S
from bot.results.records import NO_ROOM, NOT_STORED, Fetched, is_ours
from storage.types import Artifact, Job, JobKind, Sink

__all__ = [
    "NOT_STORED",
    "NO_ROOM",
    "Card",
    "Delivered",
    "Delivery",
    "DeliveryPostponed",
    "Fetched",
    "Fetcher",
    "MessageTrouble",
    "Messages",
    "Order",
    "Quote",
    "ResultFolder",
    "Showing",
    "Shown",
    "Trouble",
    "is_ours",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a member asks for, before it is judged.

    `reference` makes it happen once (`i:<interaction id>`). `image_urls` are signed CDN addresses
    of Discord, or with `images_are_links` addresses at a provider, which we do not fetch ourselves
    (C-15). `age_restricted` is the channel's own flag (C-19): only there may the safety check
    be off, and no member can ask for that.
    """

    reference: str
    kind: JobKind
    user_id: int
    guild_id: int | None
    channel_id: int
    prompt: str
    model_id: str | None = None
    image_urls: tuple[str, ...] = ()
    images_are_links: bool = False
    options: Mapping[str, OptionValue | None] = field(default_factory=dict)
    spoiler: bool = False
    age_restricted: bool = False
    interaction_token: str | None = field(default=None, repr=False)
    interaction_expires_us: int | None = None
    parent_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price before it is spent: µcr, and whether the member must confirm it."""

    model_id: str
    model_label: str
    price_ucr: int
    available_ucr: int
    needs_confirmation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything a job's card shows; facts only, the words come from `bot/text`.

    `place` counts the jobs before this one plus one while it waits. `expected_us` is when its end
    may be expected, from the median of former jobs. `error` says why it failed. `result_paths`
    are the files of a success, in the order of `artifacts`; a file that is gone is None.
    `available_ucr` is the member's balance after the end; only the member is shown it.
    """

    job: Job
    model_label: str
    place: int | None = None
    expected_us: int | None = None
    error: Exception | None = None
    artifacts: tuple[Artifact, ...] = ()
    result_paths: tuple[Path | None, ...] = ()
    available_ucr: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The sink that has the outcome, and the message that shows it, where there is one.

    `is_uploaded`: every result is a file of that message, so that ours are of no more use.
    """

    sink: Sink
    message_id: int | None = None
    is_uploaded: bool = False


class DeliveryPostponed(Exception):
    """Discord cannot take it now; try again after `retry_after_s` (S-7).

    `is_away`: nothing was sent, because we are not in Discord yet.
    """

    def __init__(self, *, retry_after_s: float, is_away: bool = False) -> None:
        super().__init__(f"retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s
        self.is_away = is_away


class Delivery(Protocol):
    """Discord, as far as jobs need it."""

    async def show(self, card: Card) -> int | None:
        """Bring the card up to date while the job runs; the id of its message.

        None when it does not stand there, or not yet so: it may be tried again. Best effort: never
        raises for anything Discord does.
        """
        ...

    async def deliver(self, card: Card) -> Delivered:
        """Show the outcome in the first sink that takes it; safe to repeat.

        Edit by the bot → edit by the interaction's token while it lives → new message with a
        fixed nonce → DM → the member's list. Raises `DeliveryPostponed` for troubles that pass.
        """
        ...


# --- Messages ------------------------------------------------------------------------------------


class Trouble(Enum):
    """What an answer of Discord's means for a message; nothing else ever comes in from there."""

    PASSES = auto()
    """429, 5xx, the network: the same again, later."""
    GONE = auto()
    """The message was deleted; on a create, its twin with the same nonce was (F-91)."""
    CLOSED = auto()
    """Nothing can be written there: no permission, no channel, a locked thread, a closed DM."""
    TOO_LARGE = auto()
    TOKEN_DEAD = auto()
    """The interaction's token has ended (F-92)."""
    BLOCKED = auto()
    """A filter of the server took it (F-97)."""
    REFUSED = auto()
    """Something else that will not change by itself."""


class MessageTrouble(Exception):
    """A request about a message came to nothing; `retry_after_s` counts where it passes.

    What passes, or was too large, may have been done all the same: by a try before the last one.
    `may_be_done` says that there was such a try before a refusal, too.
    """

    def __init__(
        self,
        trouble: Trouble,
        *,
        retry_after_s: float = DELIVERY_RETRY_S,
        may_be_done: bool = False,
    ) -> None:
        super().__init__(trouble.name)
        self.trouble = trouble
        self.retry_after_s = retry_after_s
        self.may_be_done = may_be_done


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What one message shall show: a card and, once there is an outcome, its files or links.

    `takes_files` is off where Discord refused the files. `ping` mentions the owner; on a create
    it notifies. `moved_from` is the channel where the card could not stand, for the owner's direct
    messages. `is_marked` says that
    it may be there twice, because nobody could look after a restart (S-7).
    """

    card: Card
    takes_files: bool = True
    ping: bool = False
    moved_from: int | None = None
    is_marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a message shows now.

    `is_uploaded`: every result is a file of it. `waits`: a file is ours alone, for want of room
    and of a link.
    """

    message_id: int
    is_uploaded: bool = False
    waits: bool = False


class Messages(Protocol):
    """Discord's messages, as far as cards need them; nothing here decides or remembers.

    Each request is sent once as far as we have a say; all of them raise `MessageTrouble` and
    nothing else for whatever Discord or the network does.
    """

    def is_reachable(self, job: Job) -> bool:
        """Whether anything can be sent about this job: logged in, and its server is not away."""
        ...

    def digest(self, showing: Showing) -> str:
        """Equal for what looks equal, files aside: an edit that changes nothing is not sent."""
        ...

    async def edit(self, showing: Showing, *, channel_id: int, message_id: int) -> Shown:
        """Edit as the bot, which needs to see the channel; may be repeated at will."""
        ...

    async def edit_by_token(self, showing: Showing, *, message_id: int | None) -> Shown:
        """Edit by the job's interaction token; None is the answer to the command itself.

        No follow-ups: they know no nonce (decision 8).
        """
        ...

    async def create(self, showing: Showing, *, channel_id: int, nonce: str) -> Shown:
        """Post a message, at most once per nonce for some minutes.

        `GONE` says that it was posted and deleted meanwhile (F-91).
        """
        ...

    async def find(
        self, job: Job, *, channel_id: int, after_us: int, with_answers: bool
    ) -> int | None:
        """The newest message of ours since then that shows the job; None when there is none.

        `with_answers`: also what answered an interaction, as most cards do; else only what we
        posted ourselves.
        Our clock may have been set since (F-118): then any newer than the job's card.
        `CLOSED` where the history may not be read.
        """
        ...

    async def open_dm(self, user_id: int) -> int:
        """The channel of the member's direct messages."""
        ...


# --- Files ---------------------------------------------------------------------------------------


class Fetcher(Protocol):
    """The one guarded way to foreign bytes (C-12)."""

    async def secure(self, url: str, *, kind: JobKind) -> Fetched:
        """Fetch `url` into the result folder. Raises `ResultUnavailable`, `ResultUnusable`."""
        ...


class ResultFolder(Protocol):
    """Where secured bytes wait until they are delivered; names are those of `Artifact.path`."""

    def path_of(self, name: str) -> Path | None:
        """Where the file is; None when it is gone."""
        ...

    async def keep(self, chunks: AsyncIterator[bytes], *, kind: JobKind) -> Fetched:
        """Keep bytes that came from the provider itself, judged as `Fetcher.secure` judges.

        Raises `ResultUnavailable`, `ResultUnusable`, and what `chunks` raises.
        """
        ...

    async def missing_bytes(self, kind: JobKind) -> int:
        """What must go before one more result fits; 0 when it does. Raises `OSError`."""
        ...

    async def disk_free_ppm(self) -> int:
        """How much of its disk is free, in millionths. Raises `OSError`."""
        ...

    async def remove(self, names: Collection[str]) -> None:
        """Delete files that nobody needs any more; those that are gone are no matter."""
        ...

    async def remove_others(self, names: Collection[str]) -> int:
        """Delete whatever a former process left, but not `names`; how many files that were."""
        ...
