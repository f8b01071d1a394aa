"""What the jobs need from the world around them, and what they tell that world."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bot.catalogue.media import OptionValue
from bot.results.records import NO_ROOM, Fetched
from storage.types import Artifact, Job, JobKind, Sink

__all__ = [
    "NO_ROOM",
    "Card",
    "Delivered",
    "Delivery",
    "DeliveryPostponed",
    "Fetched",
    "Fetcher",
    "Order",
    "Quote",
    "ResultFolder",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a member asks for, before it is judged.

    `reference` makes it happen once (`i:<interaction id>`). `image_urls` are signed CDN addresses
    of Discord. `age_restricted` is the channel's own flag (C-19): only there may the safety check
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
    `available_ucr` is the member's balance after the end.
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
    """Discord cannot take it now; try again after `retry_after_s` (S-7)."""

    def __init__(self, *, retry_after_s: float) -> None:
        super().__init__(f"retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Delivery(Protocol):
    """Discord, as far as jobs need it."""

    async def show(self, card: Card) -> int | None:
        """Bring the card up to date while the job runs; the id of its message, None without one.

        Best effort: never raises for anything Discord does.
        """
        ...

    async def deliver(self, card: Card) -> Delivered:
        """Show the outcome in the first sink that takes it; safe to repeat.

        Edit by the bot → edit by the interaction's token while it lives → new message with a
        fixed nonce → DM → the member's list. Raises `DeliveryPostponed` for troubles that pass.
        """
        ...


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

    async def remove(self, names: Collection[str]) -> None:
        """Delete files that nobody needs any more; those that are gone are no matter."""
        ...

    async def remove_others(self, names: Collection[str]) -> int:
        """Delete whatever a former process left, but not `names`; how many files that were."""
        ...
