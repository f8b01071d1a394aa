"""Many members, a moody database, broken streams and crashes at once, by seed, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from bot.chat.ports import FinalAnswer, Question
from bot.chat.service import ChatService
from bot.errors import AtelierError, StreamCut, StreamStalled, UpstreamError
from bot.providers.base import FinishReason
from bot.providers.breaker import Breakers
from storage import ledger
from storage.database import Connection
from storage.errors import StorageError, StoreUnavailable
from storage.types import OwedTurn
from tests.unit.chat.test_crashes import ALLOWANCE, CATALOGUE, Provider, Sink
from tests.unit.chat.test_crashes import World as OneByOne
from tests.unit.chat.world import Script, Step, called, done, said
from tests.unit.jobs.fakes import Fuse, FusedStore
from tests.unit.jobs.virtual import Crash, virtually

P = ParamSpec("P")
T = TypeVar("T")

SEEDS = 40
MEMBERS = 4
WORDS = "word " * 300


class MoodyStore(FusedStore):
    """Refuses by chance, in runs; now and then what it refuses was committed all the same."""

    def __init__(self, world: World, fuse: Fuse) -> None:
        super().__init__(world.database, fuse)
        self._rng = world.rng
        self._mood = world.rng.choice([0.0, 0.05, 0.3])
        self._until_s = 0.0
        self._clock = world.clock

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        now_s = self._clock.monotonic_s()
        if now_s < self._until_s:
            raise StoreUnavailable(cause="locked")
        if self._rng.random() < self._mood:
            self._until_s = now_s + self._rng.choice([0.0, 3.0, 30.0, 900.0])
            if self._rng.random() < 0.3:
                await super().transact(body, *args, **kwargs)
            raise StoreUnavailable(cause="locked")
        return await super().transact(body, *args, **kwargs)


class World(OneByOne):
    """One seed: its members ask and ask again over several processes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = random.Random(seed)
        self.refused: set[str] = set()

    def start(self) -> ChatService:
        fuse = Fuse(at=self.rng.choice([None, self.rng.randrange(5, 80)]))
        self.discord.fuse = fuse
        self.provider = Provider(fuse, [])
        return ChatService(
            database=MoodyStore(self, fuse),
            providers=self.provider,
            breakers=Breakers(self.clock),
            catalogue=CATALOGUE,
            allowance=ALLOWANCE,
            clock=self.clock,
        )

    def script(self) -> Script:
        rng = self.rng
        words = said(*[WORDS] * rng.randrange(5), *rng.choice([[], ["end"]]))
        ends: list[Step] = [
            done(rng.choice(["0.08", "3", "90", "-1", "NaN"])),
            done("0.5", reason=FinishReason.LENGTH),
            done("0.5", calls=(called("get_time"),)),
            StreamCut(provider="aivideo"),
            StreamStalled(provider="aivideo", idle_s=60.0),
            UpstreamError(provider="aivideo"),
        ]
        return [*words, rng.choice(ends)]

    async def ask(self, service: ChatService, member: int) -> None:
        await asyncio.sleep(self.rng.random())
        self.asked += 1
        question = Question(
            reference=f"m:{self.asked}",
            channel_id=member,
            guild_id=None,
            author_id=member,
            author_name="Somebody",
            text="Why?",
        )
        self.provider.scripts.extend(self.script() for _ in range(6))
        sink = Sink(self.discord, service, question.reference)
        try:
            await service.reply(question, sink)
        except (AtelierError, StorageError):
            self.refused.add(question.reference)

    async def live(self) -> None:
        """One process: questions until it crashes or is told to end."""
        service = self.start()
        with suppress(Crash, StorageError):
            for turn in await service.recover():
                self.discord.ends.setdefault(turn.reference, []).append(turn)
                await service.told(turn.reference)
        asking = [
            asyncio.create_task(self.ask(service, self.rng.randrange(1, MEMBERS + 1)))
            for _ in range(self.rng.randrange(1, 6))
        ]
        await asyncio.sleep(self.rng.choice([0.5, 5.0, 2_000.0]))
        with suppress(Crash):
            await service.close()
        if self.rng.random() < 0.5:
            await asyncio.gather(*asking, return_exceptions=True)
        await self.crash()
        assert self.database.view(ledger.audit) == ()

    def check_all(self) -> None:
        """I-4, I-5, I-23: nothing is held; whatever was said about money is what was booked."""
        assert self.database.view(ledger.audit) == ()
        rows = self.database.view(
            lambda c: c.exec_driver_sql("SELECT reference, state, charged_ucr FROM holds").all()
        )
        booked = {
            reference: charged_ucr for reference, state, charged_ucr in rows if state != "open"
        }
        assert len(booked) == len(rows)
        for reference, charged_ucr in booked.items():
            ends = self.discord.ends.get(reference, [])
            assert ends or (reference in self.refused and charged_ucr == 0), reference
            for end in ends:
                assert _said(end) == charged_ucr, (reference, ends)
        assert set(self.discord.ends) <= set(booked)


def _said(end: FinalAnswer | OwedTurn) -> int:
    if isinstance(end, OwedTurn):
        return end.charged_ucr
    return end.receipt.charged_ucr if end.receipt is not None else 0


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_whatever_happens_the_books_are_what_members_were_told(first: int) -> None:
    """F-19, F-57, F-110, I-4, I-5, I-7: ten seeds, each of several processes."""

    @virtually
    async def one(seed: int) -> None:
        world = World(seed)
        for _ in range(world.rng.randrange(2, 5)):
            await world.live()
        await world.reborn()
        world.check_all()
        await world.database.close()

    for seed in range(first, first + 10):
        one(seed)


def test_the_truth_of_a_seed_is_its_own() -> None:
    """The same seed tells the same story, to the last end and entry (N-3)."""
    stories: list[str] = []

    @virtually
    async def tell(seed: int) -> None:
        world = World(seed)
        for _ in range(3):
            await world.live()
        rows = world.database.view(
            lambda c: c.exec_driver_sql("SELECT * FROM journal ORDER BY id").all()
        )
        ends = {key: [_said(end) for end in ends] for key, ends in world.discord.ends.items()}
        stories.append(f"{world.clock.now_us()} {rows} {ends}")
        await world.database.close()

    for seed in (3, 4, 5):
        tell(seed)
        tell(seed)
    assert stories[0::2] == stories[1::2]
