"""What the outside world was told, kept apart from the bot: the checker's own list (F-114).

Everything here was seen by the simulated Discord or is known to the simulated provider. It only
grows: what was acknowledged once must be true in the file for ever.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sandbox.discord.world import DISCORD_EPOCH_MS, Message, MessageFlag, Version
from sandbox.provider.account import Entry
from sandbox.provider.tasks.task import Task
from tests.e2e.world import buttons, visible_text
from tests.kill_loop.town import Town, is_accepted

_JOB: Final = re.compile(r"\bjob ([0-9A-Z]{4,12})\b")
_CHARGED: Final = re.compile(r"\bcharged ([\d,.]*\d) credits\b")
_NOT_CHARGED: Final = re.compile(r"\bnot charged\b")
_ADDRESS: Final = re.compile(r"/callbacks/(\d+)/(\d+)/")

TIMESTAMP_SHIFT: Final = 22
"""docs.discord.com/developers/reference#snowflakes."""
TOKEN_MS: Final = 15 * 60 * 1_000
"""How long an interaction's token lives."""

Json = dict[str, Any]


def ucr_of(text: str) -> int:
    """Micro-credits of an amount as the bot writes it."""
    return int(Decimal(text.replace(",", "")) * 1_000_000)


@dataclass(slots=True, kw_only=True)
class Card:
    """A message that names a job: what it says now, and whatever it has said of the price."""

    message_id: int
    channel_id: int
    short_id: str
    has_file: bool = False
    is_deleted: bool = False
    prices_ucr: set[int] = field(default_factory=set)
    """Said as charged; 0 is *not charged*."""
    price_now_ucr: int | None = None
    """What it says at the end of its text now; None while it says *held*."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """All pages that answer one question."""

    pages: set[int] = field(default_factory=set)
    prices_ucr: set[int] = field(default_factory=set)
    can_be_stopped: bool = False


@dataclass(slots=True, kw_only=True)
class Paid:
    """A task at the provider, and what it took for it in the end."""

    task_id: str
    job_id: int
    attempt: int
    prompt: str
    charged_ucr: int = 0
    is_finished: bool = False
    is_called_back: bool = False
    """A callback of it was answered 2xx."""


@dataclass(slots=True)
class Witness:
    """Fed by `look`, as often as one likes."""

    town: Town
    cards: dict[int, Card] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    """By the id of the question."""
    loading: set[int] = field(default_factory=set)
    """Messages that still say *thinking…*."""
    grants: set[int] = field(default_factory=set)
    """Interactions whose answer says *Done*."""
    denied: set[int] = field(default_factory=set)
    """Interactions whose answer says *not charged*."""
    failed: set[int] = field(default_factory=set)
    """Interactions that Discord showed as *did not respond*."""
    acked: set[int] = field(default_factory=set)
    paid: dict[str, Paid] = field(default_factory=dict)
    creates: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Requests that reached the provider, by job and attempt."""
    chats: dict[int, Entry] = field(default_factory=dict)
    pings: Counter[int] = field(default_factory=Counter)
    """Notifications, by the message that caused them."""
    nonces: dict[tuple[int, str], set[int]] = field(default_factory=dict)
    _seen: dict[int, tuple[int, int | None, bool]] = field(default_factory=dict)
    _counted: set[int] = field(default_factory=set)

    def look(self, asked: Iterator[int]) -> None:
        """Take in what is new. `asked` are the interactions that members began."""
        for message in self.town.messages():
            key = (len(message.history), message.edited_ms, message.deleted)
            if self._seen.get(message.id) != key:
                self._seen[message.id] = key
                self._read(message)
        for task in self.town.tasks():
            self._note_task(task)
        for entry in self.town.entries():
            self._note_entry(entry)
        for ref in asked:
            self._note_interaction(ref)

    # --- Discord ----------------------------------------------------------------------------------

    def out_of_reach(self) -> set[int]:
        """Those that think and that no token reaches any more: F-3 ends after 15 minutes."""
        now_ms = self.town.discord.world.clock.now_ms()
        begun_ms = {one: (one >> TIMESTAMP_SHIFT) + DISCORD_EPOCH_MS for one in self.loading}
        return {one for one, at_ms in begun_ms.items() if now_ms - at_ms >= TOKEN_MS}

    def _read(self, message: Message) -> None:
        if message.nonce is not None:
            self.nonces.setdefault((message.channel_id, str(message.nonce)), set()).add(message.id)
        self.pings[message.id] = len(message.notified)
        looks = [*map(_shown, message.history), _shown(message)]
        is_thinking = bool(message.flags & MessageFlag.LOADING) and not message.deleted
        (self.loading.add if is_thinking else self.loading.discard)(message.id)
        jobs = {found[1] for look in looks if (found := _JOB.search(visible_text(look)))}
        if jobs:
            self._read_card(message, looks, jobs)
        elif (question := self._question_of(message)) is not None:
            self._read_answer(question, message, looks)

    def _read_card(self, message: Message, looks: list[Json], jobs: set[str]) -> None:
        assert len(jobs) == 1, f"message {message.id} is the card of {jobs}"
        card = self.cards.setdefault(
            message.id,
            Card(message_id=message.id, channel_id=message.channel_id, short_id=jobs.pop()),
        )
        for look in looks:
            price_ucr = _price(visible_text(look))
            if price_ucr is not None:
                card.prices_ucr.add(price_ucr)
        card.price_now_ucr = _price(visible_text(looks[-1]))
        card.has_file = bool(message.attachments)
        card.is_deleted = message.deleted

    def _question_of(self, message: Message) -> int | None:
        """The question that it answers: directly, or by a reply to a page that does."""
        if message.reference is None:
            return None
        target = message.reference[1]
        for question, answer in self.answers.items():
            if target in answer.pages:
                return question
        return target

    def _read_answer(self, question: int, message: Message, looks: list[Json]) -> None:
        answer = self.answers.setdefault(question, Answer())
        answer.pages.add(message.id)
        for look in looks:
            price_ucr = _price(visible_text(look))
            if price_ucr is not None:
                answer.prices_ucr.add(price_ucr)
        stoppable = any(button.get("label") == "Stop" for button in buttons(looks[-1]))
        answer.can_be_stopped = stoppable and not message.deleted

    def _note_interaction(self, ref: int) -> None:
        if ref in self.failed or ref in self.grants:
            return
        interaction = self.town.interaction(ref)
        if interaction is None:
            return
        if interaction.state == "failed":
            self.failed.add(ref)
        elif interaction.state in {"deferred", "answered"}:
            self.acked.add(ref)
            original = self.town.discord.world.find_message(interaction.original_id or 0)
            answer = "" if original is None else visible_text(_shown(original))
            if "Done" in answer:
                self.grants.add(ref)
            elif _NOT_CHARGED.search(answer):
                self.denied.add(ref)

    # --- the provider -----------------------------------------------------------------------------

    def _note_task(self, task: Task) -> None:
        paid = self.paid.get(task.id)
        if paid is None:
            job_id, attempt = _address_of(task.order.callback_url)
            paid = self.paid[task.id] = Paid(
                task_id=task.id, job_id=job_id, attempt=attempt, prompt=task.order.prompt
            )
        paid.charged_ucr = task.charged_ucr - task.refunded_ucr
        paid.is_finished = task.finished
        paid.is_called_back = any(is_accepted(note) for note in task.callbacks)

    def _note_entry(self, entry: Entry) -> None:
        if entry.path.endswith(("/responses", "/completions")):
            self.chats[entry.number] = entry
        is_create = entry.method == "POST" and entry.path.endswith("/generations")
        if is_create and isinstance(entry.body, dict) and entry.number not in self._counted:
            self._counted.add(entry.number)
            self.creates[_address_of(entry.body.get("callback_url"))] += 1


def _shown(look: Message | Version) -> Json:
    return {"content": look.content, "components": look.components}


def _price(text: str) -> int | None:
    """What a text says was charged; None when it says nothing of it, or *held*."""
    if found := _CHARGED.search(text):
        return ucr_of(found[1])
    return 0 if _NOT_CHARGED.search(text) else None


def _address_of(url: str | None) -> tuple[int, int]:
    """Job and attempt of a callback address; zeros for a create without one."""
    found = _ADDRESS.search(url or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)
