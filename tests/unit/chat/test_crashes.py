"""The process ends at every point of a turn; the next one goes on from the books alone (F-19).

A point is after each transaction, each event of the stream and each message, which is before the
next one. For each of them a turn runs until its fuse burns; then a new service takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.loader import load
from bot.chat.ports import Draft, FinalAnswer, Phase, Question
from bot.chat.service import ChatService
from bot.errors import StreamCut
from bot.providers.base import ChatAnswer, ChatEvent, ChatProvider, ChatRequest
from bot.providers.breaker import Breakers
from storage import ledger, turns
from storage.inline import InlineDatabase
from storage.schema import LOSS_ID
from storage.types import UCR_PER_CREDIT, Allowance, OwedTurn
from tests.unit.chat.world import Script, called, done, said
from tests.unit.jobs.fakes import Fuse, FusedStore
from tests.unit.jobs.virtual import Crash, LoopClock, virtually

POINTS_MAX = 200
"""More than any life below has."""
POINTS_MIN = 5
"""Fewer would mean that the fuse is not where the effects are."""
ALLOWANCE = Allowance(amount_ucr=50 * UCR_PER_CREDIT)
CATALOGUE = replace(load(), multiplier_ppm=1_500_000)
WORDS = "word " * 1_500


@dataclass(slots=True)
class Discord:
    """What members see: one message for each turn, the newest text."""

    fuse: Fuse
    drafts: dict[str, Draft] = field(default_factory=dict)
    ends: dict[str, list[FinalAnswer | OwedTurn]] = field(default_factory=dict)


@dataclass(slots=True)
class Sink:
    discord: Discord
    service: ChatService
    reference: str

    def update(self, draft: Draft) -> None:
        self.discord.fuse.check()
        self.discord.drafts[self.reference] = draft
        if draft.phase is Phase.WRITING and draft.text.endswith("stop"):
            self.service.stop(self.reference, user_id=0, staff=True)

    async def finish(self, final: FinalAnswer) -> None:
        self.discord.fuse.check()
        await asyncio.sleep(0)
        self.discord.ends.setdefault(self.reference, []).append(final)
        self.discord.fuse.point()


@dataclass(slots=True)
class Provider:
    """Speaks its scripts, and knows what it took."""

    fuse: Fuse
    scripts: list[Script]
    cost_ucr: int = 0
    asked: int = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        del request
        self.fuse.check()
        self.asked += 1
        for step in self.scripts.pop(0):
            await asyncio.sleep(0.01)
            self.fuse.check()
            if isinstance(step, BaseException):
                raise step
            assert not isinstance(step, asyncio.Event)
            yield step
            self.fuse.point()

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        raise NotImplementedError  # The chat always streams.

    def for_model(self, model: ChatModel) -> ChatProvider:
        del model
        return self


class World:
    """One database and one Discord over many processes."""

    def __init__(self) -> None:
        self.database = InlineDatabase()
        self.clock = LoopClock()
        self.discord = Discord(Fuse())
        self.asked = 0

    def process(self, fuse: Fuse, *scripts: Script) -> tuple[ChatService, Provider]:
        self.discord.fuse = fuse
        provider = Provider(fuse, list(scripts))
        service = ChatService(
            database=FusedStore(self.database, fuse),
            providers=provider,
            breakers=Breakers(self.clock),
            catalogue=CATALOGUE,
            allowance=ALLOWANCE,
            clock=self.clock,
        )
        return service, provider

    def question(self, *, private: bool = False) -> Question:
        """Everybody asks once, in a channel of their own."""
        self.asked += 1
        return Question(
            reference=f"m:{self.asked}",
            channel_id=self.asked,
            guild_id=None,
            author_id=1_000 + self.asked,
            author_name="Mira",
            text="Why?",
            private=private,
        )

    async def crash(self) -> None:
        """Whatever still ran is gone; an await that is cancelled writes nothing any more."""
        self.discord.fuse.burnt = True
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def reborn(self, fuse: Fuse | None = None) -> ChatService:
        """Start anew and tell whoever is owed an end."""
        service, _provider = self.process(fuse or Fuse())
        for turn in await service.recover():
            self.discord.ends.setdefault(turn.reference, []).append(turn)
            self.discord.fuse.point()
            await service.told(turn.reference)
        return service

    def loss_ucr(self) -> int:
        sql = f"SELECT balance_ucr FROM accounts WHERE id = {LOSS_ID}"
        return int(self.database.view(lambda c: c.exec_driver_sql(sql).scalar_one()))

    def check(self, question: Question, provider: Provider, *, lost_before_ucr: int) -> None:
        """All or nothing: hold, history, what the member was told."""
        assert self.database.view(ledger.audit) == ()
        balance = self.database.run(
            ledger.balance,
            user_id=question.author_id,
            allowance=ALLOWANCE,
            now_us=self.clock.now_us(),
        )
        assert balance.held_ucr == 0
        charged_ucr = ALLOWANCE.amount_ucr - balance.available_ucr
        ends = self.discord.ends.get(question.reference, [])
        history = self.database.view(
            turns.window, channel_id=question.channel_id, tokens_max=10**6, turns_max=9
        )
        lost_ucr = self.loss_ucr() - lost_before_ucr
        if not ends:  # not even the hold was taken
            assert (charged_ucr, lost_ucr, provider.asked) == (0, 0, 0)
            return
        # Twice only where the first was shown and that could not be noted: the same end again.
        assert len(ends) <= 2
        assert {_charged(end) for end in ends} == {charged_ucr}
        assert bool(history) == (charged_ucr > 0 and not question.private)
        if history:
            assert [turn.answer for turn in history] == [_text(end) for end in ends[:1]]
            assert charged_ucr == provider.cost_ucr * 3 // 2
            assert lost_ucr == 0
        elif charged_ucr == 0:
            assert lost_ucr > 0


def _charged(end: FinalAnswer | OwedTurn) -> int:
    if isinstance(end, OwedTurn):
        return end.charged_ucr
    return 0 if end.receipt is None else end.receipt.charged_ucr


def _text(end: FinalAnswer | OwedTurn) -> str | None:
    return end.answer if isinstance(end, OwedTurn) else end.text


TOOLS: list[Script] = [
    [*said("Let me see."), done("2", calls=(called("get_my_credits"),))],
    [*said(*[WORDS] * 4), done("14")],
]
LIVES: dict[str, tuple[list[Script], int, dict[str, Any]]] = {
    "a short answer": ([[*said("a", "b"), done("0.08")]], 80_000, {}),
    "tools, and a hold that grows": (TOOLS, 16_000_000, {}),
    "stopped": ([[*said("a", " stop", " more"), done("0.5")]], 500_000, {}),
    "cut": ([[*said(WORDS), StreamCut(provider="aivideo")]], 0, {}),
    "only for its author": ([[*said("a"), done("0.08")]], 80_000, {"private": True}),
}


@pytest.mark.parametrize(("scripts", "cost_ucr", "asked"), LIVES.values(), ids=LIVES)
def test_a_crash_at_any_point_leaves_all_of_a_turn_or_nothing(
    scripts: list[Script], cost_ucr: int, asked: dict[str, Any]
) -> None:
    """F-19, F-15: sound books, one end for the member, no half turn in the history."""

    @virtually
    async def every_point() -> None:
        world = World()
        for at in range(POINTS_MAX):
            fuse, question = Fuse(at=at), world.question(**asked)
            lost_before_ucr = world.loss_ucr()
            service, provider = world.process(fuse, *scripts)
            provider.cost_ucr = cost_ucr
            sink = Sink(world.discord, service, question.reference)
            with suppress(Crash, asyncio.CancelledError):
                await service.reply(question, sink)
            reached = fuse.burnt
            await world.crash()
            assert world.database.view(ledger.audit) == ()
            await world.reborn()
            world.check(question, provider, lost_before_ucr=lost_before_ucr)
            if not reached:
                assert at >= POINTS_MIN
                assert len(world.discord.ends[question.reference]) == 1
                await world.database.close()
                return
        pytest.fail("the life has no end")

    every_point()


@virtually
async def test_recovery_may_be_interrupted_again_and_again() -> None:
    """F-17: whoever was told stays told; whoever was not is told by a later start."""
    world = World()
    questions = [world.question() for _ in range(3)]
    fuse = Fuse()
    service, _provider = world.process(fuse, *([[*said("half"), done()]] * 3))
    for question in questions:
        sink = Sink(world.discord, service, question.reference)
        asyncio.get_running_loop().create_task(service.reply(question, sink))
    await asyncio.sleep(0.015)
    await world.crash()
    for at in range(POINTS_MAX):
        fuse = Fuse(at=at)
        with suppress(Crash):
            await world.reborn(fuse)
        if not fuse.burnt:
            break
    assert at >= 4
    for question in questions:
        ends = world.discord.ends[question.reference]
        assert 1 <= len(ends) <= 2
        assert {_charged(end) for end in ends} == {0}
    service, _provider = world.process(Fuse())
    assert await service.recover() == ()
    assert world.database.view(ledger.audit) == ()


SHUTDOWN_LIVES: list[tuple[float, int, Callable[[FinalAnswer], bool]]] = [
    (20.0, 80_000, lambda final: final.text == "ab" and final.error is None),
    (24.9, 80_000, lambda final: final.text == "ab" and final.error is None),
    (25.1, 0, lambda final: final.text == "a" and type(final.error).__name__ == "Interrupted"),
    (500.0, 0, lambda final: final.text == "a" and type(final.error).__name__ == "Interrupted"),
]


@pytest.mark.parametrize(("rest_s", "charged_ucr", "ends_well"), SHUTDOWN_LIVES)
def test_a_shutdown_reads_on_for_a_while(
    rest_s: float, charged_ucr: int, ends_well: Callable[[FinalAnswer], bool]
) -> None:
    """S-11, F-20: what ends within 25 s is paid as ever, the rest by S-12; nobody waits longer."""

    class Slow(Provider):
        async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
            async for event in super().stream(request):
                yield event
                if self.asked == 1:
                    self.asked += 1
                    await asyncio.sleep(rest_s)

    @virtually
    async def live() -> None:
        world = World()
        service, _provider = world.process(Fuse())
        service._providers = Slow(world.discord.fuse, [[*said("a", "b"), done("0.08")]])
        question = world.question()
        sink = Sink(world.discord, service, question.reference)
        asked = asyncio.create_task(service.reply(question, sink))
        await asyncio.sleep(0.02)
        began_s = world.clock.monotonic_s()
        await service.close()
        assert world.clock.monotonic_s() - began_s <= min(rest_s, 25.0) + 1
        await asked
        (final,) = world.discord.ends[question.reference]
        assert isinstance(final, FinalAnswer)
        assert ends_well(final)
        assert _charged(final) == charged_ucr * 3 // 2
        assert (world.loss_ucr() > 0) == (charged_ucr == 0)
        reborn, _provider = world.process(Fuse())
        assert await reborn.recover() == ()
        await world.database.close()

    live()
