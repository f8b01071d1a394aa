"""The door: taken once, in half a second, and told when a crash came in between (S-2)."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from structlog.testing import capture_logs

from bot.chat.books import open_turn
from bot.clock import SystemClock
from bot.discordio.reception import Reception
from bot.jobs.books import accept_job
from bot.limits import RECEIVE_TIMEOUT_S
from bot.text.answers import PLACEHOLDERS
from sandbox.discord.seed import MIRA_ID
from storage import interactions, preferences
from storage.database import Connection, Database
from storage.errors import StoreUnavailable
from storage.inline import InlineDatabase
from storage.interactions import OpenInteraction
from tests.cogs.studio import Studio, gallery
from tests.cogs.town import Inhabited, Town, words
from tests.unit.discordio.surfaces import settle

P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    inhabited = Inhabited()
    async with inhabited.open() as town:
        yield Studio(town, inhabited)


class Stuck(InlineDatabase):
    """One kind of transaction never comes back, as in a process that is killed in it."""

    stuck_on: Callable[..., Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self._buried = asyncio.Event()

    def bury(self) -> None:
        """Let what is stuck end, so that the test can."""
        self.stuck_on = None
        self._buried.set()

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if body is self.stuck_on:
            await self._buried.wait()
            raise StoreUnavailable(cause="killed")
        return await super().transact(body, *args, **kwargs)


def rows(database: InlineDatabase) -> list[tuple[Any, ...]]:
    """Every interaction, and whether its token is still there."""
    sql = "SELECT id, token IS NOT NULL FROM interactions ORDER BY id"
    return [tuple(row) for row in database.view(lambda c: c.exec_driver_sql(sql).all())]


async def test_a_repeated_interaction_ends_silently(studio: Studio) -> None:
    """I-33, F-80: a second session may be sent the same one; it makes no second job or word."""
    coming = asyncio.ensure_future(studio.town.bot.wait_for("interaction"))
    await studio.order()
    requests = len(await studio.town.requests())
    repeated = await coming
    assert not await studio.town.bot.welcome(repeated)
    assert len(await studio.town.requests()) == requests
    assert len(studio.foreman.jobs_of(repeated.user.id)) == 1


async def test_every_kind_of_question_is_written_down_and_its_token_goes_with_its_end(
    studio: Studio,
) -> None:
    """S-2, C-45: a command, a press, a form and a mention; a suggestion is no question."""
    await studio.complete("mira", "imagine", "aspect_ratio", aspect_ratio="")
    assert rows(studio.inhabited.database) == []
    job = await studio.order()
    studio.town.model.says("Hello.")
    await studio.town.say("mira", "{bot} hello")
    await studio.town.until(lambda found: any("Hello." in words(one) for one in found))
    await studio.town.card("mira", "credits balance")
    await settle()
    found = rows(studio.inhabited.database)
    assert len(found) == 3
    assert not any(has_token for _id, has_token in found)
    assert job.reference == f"i:{found[0][0]}"


async def test_an_order_cut_off_before_its_acceptance_is_told() -> None:
    """F-3: the deferred answer says that it was interrupted and that nothing was charged."""
    database = Stuck()
    database.stuck_on = accept_job
    inhabited = Inhabited(database=database)
    async with inhabited.open() as town:
        interaction_id = await town.use("mira", "imagine", prompt="a fox")
        await town.settled(interaction_id)
        assert [has_token for _id, has_token in rows(database)] == [True]

        # Another process on the same books.
        reception = Reception(database, SystemClock())
        left = await reception.interrupted()
        assert [str(one.id) for one in left] == [interaction_id]
        await reception.tell_interrupted(town.bot, left)
        (told,) = await town.until(lambda found: bool(found) and "Restarting" in words(found[0]))
        assert "not charged" in words(told)
        assert await reception.interrupted() == ()
        assert [has_token for _id, has_token in rows(database)] == [False]


async def test_a_shutdown_that_cuts_an_answer_off_leaves_it_to_be_told(studio: Studio) -> None:
    """F-3, S-11: nobody was told, so the next process tells; a kill would not be kinder."""
    studio.town.bot.services.jobs.close()
    taken_back = {"method": "DELETE", "path_regex": "/webhooks/", "drop": True}
    await studio.town.fault(**taken_back, delay_s=1.0)
    asked_id = await studio.town.use("mira", "imagine", prompt="a fox")
    log = studio.town.sandbox.core.log
    await studio.town.until(lambda _: "DELETE" in [one["method"] for one in log.since(0)])
    with capture_logs() as lines:
        await studio.town.bot.close()
        await settle()
    await studio.town.bot.reception.close()
    assert "left_to_be_told" in [line["event"] for line in lines]
    assert rows(studio.inhabited.database) == [(int(asked_id), True)]

    client = studio.inhabited.client()
    async with client, studio.inhabited.online(client):
        left = await client.reception.interrupted()
        await client.reception.tell_interrupted(client, left)
        (told,) = await studio.town.from_bot()
    assert "Restarting" in words(told)
    assert "not charged" in words(told)


async def _restarted(database: Stuck, town: Town) -> tuple[OpenInteraction, ...]:
    """Another process on the same books tells what the first one left."""
    database.stuck_on = None
    reception = Reception(database, SystemClock())
    left = await reception.interrupted()
    await reception.tell_interrupted(town.bot, left)
    return left


async def test_an_order_confirmed_before_a_crash_is_not_called_interrupted() -> None:
    """F-4, I-23, I-33: the press is the order's own; its card stands, its hold too."""
    database = Stuck()
    inhabited = Inhabited(database=database, allowance_credits=500)
    async with inhabited.open() as town:
        studio = Studio(town, inhabited)
        dear = {"prompt": "a long film", "seconds": 30, "size": "720p 16:9"}
        await studio.use("mira", "video", options=dear)
        (question,) = await studio.until_private(bool)
        await settle()
        database.stuck_on = interactions.end
        pressed = await studio.press("mira", question, "Spend 135 credits")
        await studio.answered(pressed)
        (job,) = studio.foreman.jobs_of(MIRA_ID)
        assert job.reference == f"i:{pressed}"

        assert str(pressed) not in [str(one.id) for one in await _restarted(database, town)]
        assert "held until" in words(await studio.card(job))


async def test_a_press_that_came_too_late_leaves_the_delivered_card_alone() -> None:
    """I-23: its `@original` is the card itself, with the picture that was paid for."""
    database = Stuck()
    inhabited = Inhabited(database=database)
    async with inhabited.open() as town:
        studio = Studio(town, inhabited)
        job = await studio.order()
        card = await studio.card(job)
        await settle()
        done = studio.foreman.succeed(job)
        database.stuck_on = interactions.end
        pressed = await studio.press("mira", card, "Cancel")
        await studio.until_private(bool)  # it cannot be cancelled any more
        await studio.foreman.deliver(studio.delivery, done)
        shown = await studio.card(job)

        assert [str(one.id) for one in await _restarted(database, town)] == [pressed]
        assert await studio.card(job) == shown
        assert gallery(shown)


async def test_a_whole_answer_is_not_called_interrupted() -> None:
    """F-3: a command that was answered, and whose end was not written any more."""
    database = Stuck()
    inhabited = Inhabited(database=database)
    async with inhabited.open() as town:
        database.stuck_on = interactions.end
        told = await town.card("mira", "credits balance")
        assert len(await _restarted(database, town)) == 1
        assert await town.from_bot() == [told]


async def test_words_that_only_stand_in_for_an_answer_give_way() -> None:
    """F-3: killed while the books for a question were opened."""
    database = Stuck()
    database.stuck_on = open_turn
    inhabited = Inhabited(database=database)
    async with inhabited.open() as town:
        await town.use("mira", "chat", prompt="hello")
        await town.until(bool)
        (left,) = await _restarted(database, town)
        (told,) = await town.from_bot()
        assert "Restarting" in words(told)
        assert "not charged" in words(told)
        assert PLACEHOLDERS["thinking"] not in words(told)
        assert left.token not in words(told)
        database.bury()


async def test_an_answer_of_another_instance_is_left_alone(studio: Studio) -> None:
    """F-100: two processes with one token; no job, no second word, one warning."""
    body = {"message": "Interaction has already been acknowledged.", "code": 40060}
    await studio.town.fault(path_regex="/interactions/.*/callback", status=400, body=body)
    coming = asyncio.ensure_future(studio.town.bot.wait_for("interaction"))
    with capture_logs() as lines:
        await studio.use("mira", "imagine", options={"prompt": "a fox"})
        await coming
        log = studio.town.sandbox.core.log
        await studio.town.until(lambda _: 400 in [one["status"] for one in log.since(0)])
        await settle()
    assert "another_instance_answers" in [line["event"] for line in lines]
    assert studio.foreman.jobs_of((await coming).user.id) == []
    assert [one["status"] for one in log.since(0)][-1] == 400


async def test_what_was_never_acknowledged_cannot_be_told(town: Town) -> None:
    """F-2: Discord has said that the application did not respond; nothing breaks on it."""
    reception = town.bot.reception
    with capture_logs() as lines:
        await reception.tell_interrupted(town.bot, [OpenInteraction(id=1, token="gone" * 10)])
    assert "interrupted_not_told" in [line["event"] for line in lines]


async def test_a_locked_database_is_told_within_half_a_second(town: Town, tmp_path: Path) -> None:
    """F-110: also behind a background write that waits its five seconds for the same lock."""
    path = tmp_path / "atelier.db"
    database = await Database.open(f"sqlite+aiosqlite:///{path}")
    town.bot.reception = Reception(database, SystemClock())
    with sqlite3.connect(path, isolation_level=None) as outside:
        outside.execute("BEGIN IMMEDIATE")
        mover = asyncio.create_task(
            database.transact(preferences.put, key="x", value="1", now_us=0)
        )
        await asyncio.sleep(0)
        began_s = time.monotonic()
        told = await town.card("mira", "credits balance")
        assert time.monotonic() - began_s < RECEIVE_TIMEOUT_S + 1.0
        assert "My memory is busy" in words(told)
        assert "not charged" in words(told)
        await town.say("tom", "{bot} hello")
        await town.until(
            lambda all_: len(all_) == 1 and "My memory is busy" in words(all_[0]), user="tom"
        )
        outside.execute("ROLLBACK")
    outside.close()
    await mover
    # What was written late has no token left: nobody waits for its answer.
    await town.bot.reception.close()
    assert await _open(database) == (2, 0)
    await database.close()


async def _open(database: Database) -> tuple[int, int]:
    sql = "SELECT count(*), count(token) FROM interactions"
    row = await database.read(lambda c: c.exec_driver_sql(sql).one())
    return int(row[0]), int(row[1])


async def test_an_ending_that_cannot_be_written_is_left_to_time(town: Town) -> None:
    """C-45: the token ends by itself; after the close nothing more is written."""
    fresh = Inhabited()
    await fresh.database.close()

    class Broken(InlineDatabase):
        async def transact(
            self,
            body: Callable[Concatenate[Connection, P], T],
            /,
            *args: P.args,
            **kwargs: P.kwargs,
        ) -> T:
            if body.__name__ == "end":
                raise StoreUnavailable(cause="disk full")
            return await super().transact(body, *args, **kwargs)

    database = Broken()
    town.bot.reception = Reception(database, SystemClock())
    with capture_logs() as lines:
        await town.card("mira", "credits balance")
        await town.bot.reception.close()
    assert "interaction_not_ended" in [line["event"] for line in lines]
    await town.card("tom", "credits balance")
    assert len(rows(database)) == 2
    await database.close()
