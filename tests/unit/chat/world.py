"""A chat service with real books, a provider that follows a script, and a sink that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sqlalchemy import select

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.catalogue.loader import load
from bot.chat.ports import (
    AnswerSink,
    Draft,
    FinalAnswer,
    FoundMessage,
    Question,
)
from bot.chat.service import ChatService
from bot.providers.base import (
    ChatAnswer,
    ChatEvent,
    ChatProvider,
    ChatRequest,
    Finished,
    FinishReason,
    Message,
    TextDelta,
    TextPart,
    ToolCall,
    Usage,
)
from bot.providers.breaker import Breakers
from storage import ledger, turns
from storage.database import Connection, Store
from storage.inline import InlineDatabase
from storage.schema import LOSS_ID, accounts
from storage.types import UCR_PER_CREDIT, Allowance, Balance, PastTurn

MIRA = 101
TOM = 102
STUDIO = 9_001
NOON_US = 1_763_640_000_000_000
"""2025-11-20 12:00 UTC."""
PATIENCE_S = 10.0
"""An event that has not come by then will not come."""

Step = ChatEvent | BaseException | asyncio.Event
Script = Sequence[Step]


class FakeClock:
    """Time that moves only when somebody sleeps."""

    def __init__(self, now_us: int = NOON_US) -> None:
        self.at_us = now_us
        self.slept_s: list[float] = []

    def now_us(self) -> int:
        return self.at_us

    def monotonic_s(self) -> float:
        return self.at_us / 1_000_000

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        self.at_us += int(delay_s * 1_000_000)
        await asyncio.sleep(0)


class ScriptedProvider:
    """Answers each request with the next script; an `Event` in it is waited for."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self.reached = asyncio.Event()
        """Set when a script waits for its event."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.requests.append(request)
        script = self.scripts.pop(0)
        try:
            for step in script:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, asyncio.Event):
                    self.reached.set()
                    await step.wait()
                else:
                    yield step
        finally:
            self.closed += 1

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        raise NotImplementedError  # The chat always streams.

    def for_model(self, model: ChatModel) -> ChatProvider:
        del model
        return self


class RecordingSink:
    """Remembers what a member would have seen."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.finals: list[FinalAnswer] = []
        self._changed = asyncio.Event()

    def update(self, draft: Draft) -> None:
        self.drafts.append(draft)
        self._changed.set()

    async def finish(self, final: FinalAnswer) -> None:
        self.finals.append(final)
        self._changed.set()

    @property
    def final(self) -> FinalAnswer:
        """The end, of which there is exactly one."""
        assert len(self.finals) == 1
        return self.finals[0]

    async def shows(self, text: str) -> None:
        """Wait until `text` is what the member sees."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(draft.text == text for draft in self.drafts):
                self._changed.clear()
                await self._changed.wait()

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not self.finals:
                self._changed.clear()
                await self._changed.wait()


class FixedReader:
    """A channel in which every search finds the same."""

    def __init__(self, *found: FoundMessage) -> None:
        self.found = found
        self.queries: list[str] = []

    async def search(self, query: str) -> tuple[FoundMessage, ...]:
        self.queries.append(query)
        return self.found


def said(*words: str) -> list[ChatEvent]:
    return [TextDelta(text=word) for word in words]


def done(
    credits_consumed: str | None = "0.08",
    *,
    reason: FinishReason = FinishReason.STOP,
    usage: Usage | None = None,
    calls: tuple[ToolCall, ...] = (),
) -> Finished:
    """A terminal event with its reported price."""
    reported = None if credits_consumed is None else Decimal(credits_consumed)
    return Finished(reason=reason, usage=usage, credits_consumed=reported, calls=calls)


def called(name: str, arguments: str = "{}", *, call_id: str = "call_1") -> ToolCall:
    return ToolCall(call_id=call_id, name=name, arguments=arguments)


def texts(request: ChatRequest) -> list[str]:
    """The words of a request, message by message."""
    return [
        "".join(part.text for part in item.parts if isinstance(part, TextPart))
        for item in request.items
        if isinstance(item, Message)
    ]


@dataclass(slots=True)
class World:
    """Everything around one `ChatService`."""

    provider: ScriptedProvider
    database: Store
    clock: FakeClock = field(default_factory=FakeClock)
    allowance_ucr: int = 20 * UCR_PER_CREDIT
    timezone: str = "UTC"
    catalogue: Catalogue = field(default_factory=load)
    asked: int = 0

    def __post_init__(self) -> None:
        self.breakers = Breakers(self.clock, probed=("aivideo",))
        self.service = self.new_service()

    breakers: Breakers = field(init=False)
    service: ChatService = field(init=False)

    def new_service(self) -> ChatService:
        """Another process on the same database."""
        return ChatService(
            database=self.database,
            providers=self.provider,
            breakers=self.breakers,
            catalogue=self.catalogue,
            allowance=self.allowance,
            clock=self.clock,
        )

    @property
    def allowance(self) -> Allowance:
        return Allowance(amount_ucr=self.allowance_ucr, timezone=self.timezone)

    def question(self, text: str = "Hello?", **changes: object) -> Question:
        """A new question of Mira's in #studio, each with its own reference."""
        self.asked += 1
        question = Question(
            reference=f"m:{self.asked}",
            channel_id=STUDIO,
            guild_id=1,
            author_id=MIRA,
            author_name="Mira",
            text=text,
        )
        return replace(question, **changes)  # type: ignore[arg-type]  # names are checked at run time.

    async def ask(self, text: str = "Hello?", **changes: object) -> FinalAnswer:
        """Ask and wait for the end."""
        sink = RecordingSink()
        await self.service.reply(self.question(text, **changes), sink)
        return sink.final

    def start(self, question: Question, sink: AnswerSink) -> asyncio.Task[None]:
        """Ask without waiting."""
        return asyncio.create_task(self.service.reply(question, sink))

    async def balance(self, user_id: int = MIRA) -> Balance:
        return await self.database.transact(
            ledger.balance, user_id=user_id, allowance=self.allowance, now_us=self.clock.now_us()
        )

    async def spent_ucr(self, user_id: int = MIRA) -> int:
        """What is gone for good; fails when something is still held."""
        balance = await self.balance(user_id)
        assert balance.held_ucr == 0
        return self.allowance_ucr - balance.available_ucr

    async def remembered(self, channel_id: int = STUDIO) -> tuple[PastTurn, ...]:
        return await self.database.read(
            turns.window, channel_id=channel_id, tokens_max=1_000_000, turns_max=1_000
        )

    async def loss_ucr(self) -> int:
        """What stands on the operator's loss account."""
        return await self.database.read(_loss_ucr)

    async def is_sound(self) -> bool:
        return await self.database.read(ledger.audit) == ()


def make_world(*scripts: Script, credits_a_day: int = 20) -> World:
    return World(
        provider=ScriptedProvider(*scripts),
        database=InlineDatabase(),
        allowance_ucr=credits_a_day * UCR_PER_CREDIT,
    )


def _loss_ucr(connection: Connection) -> int:
    statement = select(accounts.c.balance_ucr).where(accounts.c.id == LOSS_ID)
    return connection.execute(statement).scalar_one()


NewWorld = Callable[..., World]
