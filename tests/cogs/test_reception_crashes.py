"""The process ends at the door: before a question is written down, and right after it (S-2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import discord
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.clock import SystemClock
from bot.discordio import reception as module
from bot.discordio.reception import Reception
from bot.limits import (
    INTERRUPTED_DELAY_S,
    INTERRUPTED_DELAY_S_MAX,
    INVALID_REQUESTS_SPARING,
    INVALID_REQUESTS_STOP,
)
from storage import interactions, schema
from storage.database import Connection
from storage.errors import StoreUnavailable
from storage.inline import InlineDatabase
from tests.cogs.town import PATIENCE_S, EagerClock, Inhabited, Town, words
from tests.unit.discordio.surfaces import settle
from tests.unit.jobs.virtual import Crash

P = ParamSpec("P")
T = TypeVar("T")
Table = list[tuple[Any, ...]]
Ask = Callable[[Town], Awaitable[str]]


class Mortal(InlineDatabase):
    """Its process ends in the transaction that takes a question; from then on it can do nothing."""

    def __init__(self, *, commits: bool) -> None:
        super().__init__()
        self._commits = commits
        self.died = asyncio.Event()
        self.is_busy = False
        """The next read comes to nothing."""

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check()
        is_last = body.__name__ == interactions.receive.__name__
        if is_last and not self._commits:
            self.died.set()
            return await super().transact(_cut(body), *args, **kwargs)
        done = await super().transact(body, *args, **kwargs)
        if is_last:
            self.died.set()
            raise Crash
        return done

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check()
        if self.is_busy:
            self.is_busy = False
            raise StoreUnavailable(cause="locked")
        return await super().read(body, *args, **kwargs)

    def restart(self) -> None:
        """Another process has the same books."""
        self.died.clear()

    def tables(self) -> dict[str, Table]:
        """Everything that is committed."""
        return self.view(
            lambda connection: {
                table.name: [tuple(row) for row in connection.execute(select(table))]
                for table in schema.metadata.sorted_tables
            }
        )

    def _check(self) -> None:
        if self.died.is_set():
            raise Crash


def _cut(body: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate[Connection, P], T]:
    def cut(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        body(connection, *args, **kwargs)
        raise Crash

    return cut


@dataclass(slots=True, kw_only=True)
class Scene:
    """One question, asked of a process that died of it."""

    town: Town
    database: Mortal
    asked_id: str
    before: dict[str, Table]
    asked: list[discord.Interaction[Any]] = field(default_factory=list)

    async def acknowledgements(self) -> list[str]:
        """What the process said to Discord about an interaction."""
        paths = [str(one["path"]) for one in await self.town.requests()]
        return [one for one in paths if "/interactions/" in one or "/webhooks/" in one]

    def changed(self) -> dict[str, Table]:
        """The tables that are not as they were before the question."""
        after = self.database.tables()
        return {name: rows for name, rows in after.items() if rows != self.before[name]}


@asynccontextmanager
async def died(ask: Ask, *, commits: bool) -> AsyncGenerator[Scene]:
    """A town whose bot died when it was asked."""
    database = Mortal(commits=commits)
    async with Inhabited(database=database).open() as town:
        asked: list[discord.Interaction[Any]] = []

        async def on_interaction(one: discord.Interaction[Any]) -> None:
            asked.append(one)

        town.bot.add_listener(on_interaction)
        before = database.tables()
        asked_id = await ask(town)
        async with asyncio.timeout(10):
            await database.died.wait()
        await settle()
        yield Scene(
            town=town, database=database, asked_id=asked_id, before=before, asked=list(asked)
        )
        database.restart()


async def order(town: Town) -> str:
    return await town.use("mira", "imagine", prompt="a fox")


async def question(town: Town) -> str:
    return await town.use("mira", "chat", prompt="hello")


async def mention(town: Town) -> str:
    return await town.say("mira", "{bot} hello")


@pytest.mark.parametrize("ask", [order, question, mention])
async def test_killed_before_it_is_written_down_nothing_came_of_it(ask: Ask) -> None:
    """F-1: not a row is left, no credit is held, and Discord was told nothing."""
    async with died(ask, commits=False) as scene:
        assert scene.changed() == {}
        assert await scene.acknowledgements() == []
        assert await scene.town.from_bot() == []

        scene.database.restart()
        assert await Reception(scene.database, SystemClock()).interrupted() == ()


@pytest.mark.parametrize("ask", [order, question])
async def test_killed_when_it_was_written_down_it_waits_to_be_told(ask: Ask) -> None:
    """F-2: before the acknowledgement. Discord says that the application did not respond.

    The next process tries to tell, cannot, and lets go of the token; no credit was held.
    """
    async with died(ask, commits=True) as scene:
        assert await scene.acknowledgements() == []
        assert list(scene.changed()) == ["interactions"]

        scene.database.restart()
        reception = Reception(scene.database, SystemClock())
        left = await reception.interrupted()
        assert [str(one.id) for one in left] == [scene.asked_id]
        with capture_logs() as lines:
            await reception.tell_interrupted(scene.town.bot, left)
        assert [line["event"] for line in lines] == ["interrupted_not_told"]
        assert await scene.town.from_bot() == []
        assert await reception.interrupted() == ()
        assert list(scene.changed()) == ["interactions"]


@pytest.mark.parametrize("ask", [order, question])
async def test_killed_while_it_acknowledged_the_member_is_told(ask: Ask) -> None:
    """F-2, F-3: the acknowledgement got out, and nothing after it; nothing was charged."""
    async with died(ask, commits=True) as scene:
        (asked,) = scene.asked
        await asked.response.defer()

        scene.database.restart()
        reception = Reception(scene.database, SystemClock())
        await reception.tell_interrupted(scene.town.bot, await reception.interrupted())
        (told,) = await scene.town.from_bot()
        assert "Restarting" in words(told)
        assert "not charged" in words(told)
        assert await reception.interrupted() == ()
        assert list(scene.changed()) == ["interactions"]


async def test_a_mention_that_was_only_written_down_owes_nothing() -> None:
    """F-2: it has no token to tell by, and no answer was begun."""
    async with died(mention, commits=True) as scene:
        assert list(scene.changed()) == ["interactions"]
        assert await scene.town.from_bot() == []

        scene.database.restart()
        assert await Reception(scene.database, SystemClock()).interrupted() == ()


@asynccontextmanager
async def deferred() -> AsyncGenerator[Scene]:
    """A process that died right after it had acknowledged an order: Discord says it thinks."""
    async with died(order, commits=True) as scene:
        (asked,) = scene.asked
        await asked.response.defer()
        scene.database.restart()
        yield scene


@pytest.mark.parametrize("invalid", [INVALID_REQUESTS_SPARING, INVALID_REQUESTS_STOP])
async def test_while_requests_are_spared_nothing_is_let_go(invalid: int) -> None:
    """F-3, F-85: what our own breaker held back was not told; the token lives on."""
    async with deferred() as scene:
        reception = Reception(scene.database, SystemClock())
        left = await reception.interrupted()
        for _ in range(invalid):
            scene.town.bot.rest.note(403)
        await reception.tell_interrupted(scene.town.bot, left)
        assert await reception.interrupted() == left


class Then(EagerClock):
    """Something happens while somebody waits for the `count`th time; a pace is no waiting."""

    def __init__(self, count: int, happens: Callable[[], object]) -> None:
        super().__init__()
        self._count = count
        self._happens = happens

    async def sleep(self, delay_s: float) -> None:
        if delay_s < INTERRUPTED_DELAY_S:
            return
        await super().sleep(delay_s)
        if len(self.slept_s) == self._count:
            self._happens()


def stop_requests(town: Town) -> Callable[[], None]:
    """Nothing is sent any more; what lets it go on."""
    rest = town.bot.rest
    for _ in range(INVALID_REQUESTS_STOP):
        rest.note(403)

    def let_go() -> None:
        rest._invalid_s.clear()
        rest._stopped_until_s = 0.0

    return let_go


async def test_what_discord_did_not_take_is_told_when_it_is_back() -> None:
    """F-3: again and again while the token lives; who asked meanwhile was not interrupted."""
    async with deferred() as scene:
        clock = Then(4, stop_requests(scene.town))
        reception = Reception(scene.database, clock)
        left = await reception.interrupted()
        now_us = clock.now_us()
        scene.database.run(
            interactions.receive,
            interaction_id=7,
            token="live",
            expires_us=2 * now_us,
            now_us=now_us,
        )
        async with asyncio.timeout(PATIENCE_S):
            await reception.keep_telling(scene.town.bot, left)
        (told,) = await scene.town.from_bot()
        assert "Restarting" in words(told)
        assert len(clock.slept_s) == 5
        assert max(clock.slept_s) == INTERRUPTED_DELAY_S_MAX
        assert [one.id for one in await reception.interrupted()] == [7]


async def test_a_token_that_has_ended_is_tried_no_more() -> None:
    """F-3: after a quarter of an hour nobody can be told, whatever Discord does."""
    async with deferred() as scene:

        def end() -> None:
            sql = "UPDATE interactions SET expires_us = received_us"
            scene.database.run(lambda connection: connection.exec_driver_sql(sql))

        stop_requests(scene.town)
        clock = Then(2, end)
        reception = Reception(scene.database, clock)
        async with asyncio.timeout(PATIENCE_S):
            await reception.keep_telling(scene.town.bot, await reception.interrupted())
        assert len(clock.slept_s) == 2
        assert [words(one) for one in await scene.town.from_bot()] == [""]


async def test_a_database_that_is_busy_ends_no_telling() -> None:
    """F-110: what it had open before is still told."""
    async with deferred() as scene:
        let_go = stop_requests(scene.town)

        def be_busy() -> None:
            scene.database.is_busy = True
            let_go()

        clock = Then(1, be_busy)
        reception = Reception(scene.database, clock)
        async with asyncio.timeout(PATIENCE_S):
            await reception.keep_telling(scene.town.bot, await reception.interrupted())
        (told,) = await scene.town.from_bot()
        assert "Restarting" in words(told)


async def test_a_long_limit_of_one_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-84: discord.py would sit out a webhook's limit, however long."""
    monkeypatch.setattr(module, "INTERRUPTED_TIMEOUT_S", 0.2)
    async with deferred() as scene:
        body = {"message": "limited", "retry_after": 900.0, "global": False}
        await scene.town.fault(method="GET", path_regex="/webhooks/", status=429, body=body)
        reception = Reception(scene.database, SystemClock())
        left = await reception.interrupted()
        async with asyncio.timeout(PATIENCE_S / 4):
            await reception.tell_interrupted(scene.town.bot, left)
        assert await reception.interrupted() == left
