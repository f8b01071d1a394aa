"""One turn of a conversation, from the question to the settled answer."""

from __future__ import annotations

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.chat.ports import AnswerSink, ChannelReader, Question
from bot.clock import Clock
from bot.providers.base import ChatProvider
from storage.database import Database
from storage.types import Allowance, OpenTurn
from typing import Protocol


class Providers(Protocol):
    """Who speaks for a model."""

    def for_model(self, model: ChatModel) -> ChatProvider: ...


class ChatService:
    """Answers questions; every turn ends in exactly one settle or one void."""

    def __init__(
        self,
        *,
        database: Database,
        providers: Providers,
        catalogue: Catalogue,
        allowance: Allowance,
        clock: Clock,
    ) -> None:
        self._database = database

    async def reply(
        self, question: Question, sink: AnswerSink, reader: ChannelReader | None = None
    ) -> None:
        """Answer into `sink`; returns when the end is shown.

        Raises before anything was paid or stored: `InvalidInput`, `Refused` (`TooManyTurns`,
        `Restarting`), `InsufficientCredits`, `Duplicate`, `StoreUnavailable`. What goes wrong
        later is told through `sink.finish`. Cancelling the caller does not cancel the turn.
        """
        raise NotImplementedError

    def stop(self, reference: str, *, user_id: int, staff: bool) -> None:
        """Freeze what is shown. Raises `NotOwner`, `TurnOver`."""
        raise NotImplementedError

    def is_running(self, reference: str) -> bool:
        """Whether `stop` would find an answer to stop."""
        raise NotImplementedError

    async def forget(self, channel_id: int) -> int:
        """Drop the channel's history; how many turns that were."""
        raise NotImplementedError

    async def show_at(self, reference: str, message_id: int) -> None:
        """Remember where the answer appears, so that a restart can say what became of it."""
        raise NotImplementedError

    async def recover(self) -> tuple[OpenTurn, ...]:
        """At boot: void what a former process left open; the turns whose members to tell."""
        raise NotImplementedError

    async def close(self) -> None:
        """Take nothing new, let running turns end, interrupt those that do not (S-11)."""
        raise NotImplementedError
