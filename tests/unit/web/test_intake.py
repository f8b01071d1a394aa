"""Group commit over the real database on a real file: to each its own result (S-4, I-35)."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from bot.limits import CALLBACKS_BATCH_MAX, WEB_BODY_BYTES_MAX
from storage.database import Connection
from storage.errors import StoreInUse, StoreUnavailable
from storage.inbox import Verdict
from tests.unit.storage.workshop import arrival
from tests.unit.web.post import JOBS, SOON_S, post, settled


async def test_who_is_answered_is_in_the_file(tmp_path: Path) -> None:
    """I-35: another process sees it at that moment; the engine was woken after the commit."""
    async with post(tmp_path) as at:
        assert await at.intake.record(arrival(1, "a")) is Verdict.NEW
        assert at.bodies() == ["a"]
        assert await at.intake.record(arrival(1, "a")) is Verdict.KNOWN
        assert at.woken == [1]


async def test_what_arrives_together_is_one_commit(tmp_path: Path) -> None:
    """The first one is on its way alone; all that came meanwhile follow in one transaction."""
    async with post(tmp_path) as at:
        at.store.open.clear()
        first = at.sent(arrival(1, "first"))
        await settled()
        others = [at.sent(arrival(2, f"{n}", attempt=n)) for n in range(1, CALLBACKS_BATCH_MAX + 1)]
        await settled()
        assert not any(task.done() for task in (first, *others))
        at.store.open.set()
        assert set(await asyncio.gather(first, *others)) == {Verdict.NEW}
        assert at.store.transactions == 2
        assert len(at.bodies()) == 1 + CALLBACKS_BATCH_MAX


async def test_a_batch_has_a_bound(tmp_path: Path) -> None:
    """One more than a batch takes is another batch."""
    async with post(tmp_path) as at:
        arrivals = [arrival(2, f"{n}", attempt=n) for n in range(1, CALLBACKS_BATCH_MAX + 2)]
        assert set(await at.results(*arrivals)) == {Verdict.NEW}
        assert at.store.transactions == 2


async def test_each_caller_learns_its_own_result(tmp_path: Path) -> None:
    """New, known and gone in one commit."""
    async with post(tmp_path) as at:
        await at.intake.record(arrival(1, "old"))
        assert await at.results(
            arrival(1, "new"), arrival(1, "old"), arrival(JOBS + 1), arrival(2), arrival(2)
        ) == [Verdict.NEW, Verdict.KNOWN, Verdict.GONE, Verdict.NEW, Verdict.KNOWN]
        assert at.store.transactions == 2
        assert await at.results(arrival(1, "old"), arrival(JOBS + 1)) == [
            Verdict.KNOWN,
            Verdict.GONE,
        ]
        assert at.woken == [1, 2]


@pytest.mark.parametrize(
    "trouble", [StoreUnavailable(cause="full"), StoreInUse(path="x", pid=1, host="x")]
)
async def test_a_batch_that_fails_is_told_to_each_and_the_next_one_works(
    tmp_path: Path, trouble: Exception
) -> None:
    """F-110, F-111: exactly those who were in it; nothing of it is stored."""
    async with post(tmp_path) as at:
        at.store.refusals = [trouble]
        assert await at.results(arrival(1, "a"), arrival(2, "b")) == [trouble, trouble]
        assert at.bodies() == []
        assert at.woken == []
        assert await at.results(arrival(1, "a"), arrival(2, "b")) == [Verdict.NEW] * 2
        assert at.bodies() == ["a", "b"]


async def test_nobody_is_answered_when_the_commit_itself_fails(tmp_path: Path) -> None:
    """I-35, F-112: every statement went well, and still nothing is durable."""

    def fail(_connection: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with post(tmp_path) as at:
        engine = at.store.inner._engine.sync_engine
        event.listen(engine, "commit", fail)
        results = await at.results(arrival(1, "a"), arrival(2, "b"))
        event.remove(engine, "commit", fail)
        assert [type(result) for result in results] == [StoreUnavailable] * 2
        assert at.bodies() == []
        assert at.woken == []
        assert await at.results(arrival(1, "a")) == [Verdict.NEW]


async def test_one_that_breaks_a_rule_fails_alone(tmp_path: Path) -> None:
    """A bug of ours in one of them is no reason to refuse the others."""
    async with post(tmp_path) as at:
        broken = arrival(2, "x" * (WEB_BODY_BYTES_MAX + 1))
        first, bug, last = await at.results(arrival(1, "a"), broken, arrival(3, "c"))
        assert (first, last) == (Verdict.NEW, Verdict.NEW)
        assert isinstance(bug, IntegrityError)
        assert at.bodies() == ["a", "c"]


async def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    """The bound is in requests, not in time; whoever waits already is served."""
    async with post(tmp_path, waiting_max=2) as at:
        at.store.open.clear()
        stored = [at.sent(arrival(1, "a"))]
        await settled()
        stored += [at.sent(arrival(1, "b")), at.sent(arrival(1, "c"))]
        await settled()
        with pytest.raises(StoreUnavailable, match="too many"):
            await at.intake.record(arrival(1, "d"))
        at.store.open.set()
        assert await asyncio.gather(*stored) == [Verdict.NEW] * 3
        assert await at.intake.record(arrival(1, "d")) is Verdict.NEW


async def test_who_gives_up_costs_the_others_nothing(tmp_path: Path) -> None:
    """One whose commit is under way, one that only waits: the first is stored, the second not."""
    async with post(tmp_path) as at:
        at.store.open.clear()
        under_way = at.sent(arrival(1, "a"))
        await settled()
        waiting, other = at.sent(arrival(1, "b")), at.sent(arrival(1, "c"))
        await settled()
        under_way.cancel()
        waiting.cancel()
        await settled()
        at.store.open.set()
        assert await other is Verdict.NEW
        assert under_way.cancelled()
        assert waiting.cancelled()
        assert at.bodies() == ["a", "c"]
        # Woken for what nobody waited for any more, too.
        assert at.woken == [1, 2]
        assert await at.results(arrival(1, "a"), arrival(1, "b")) == [Verdict.KNOWN, Verdict.NEW]


async def test_a_whole_queue_that_gave_up_leaves_nothing_to_do(tmp_path: Path) -> None:
    """The next one is stored as ever."""
    async with post(tmp_path) as at:
        at.store.open.clear()
        gone = [at.sent(arrival(1, body)) for body in "abc"]
        await settled()
        for task in gone:
            task.cancel()
        await settled()
        at.store.refusals = [StoreUnavailable(cause="nobody is there to hear it")]
        at.store.open.set()
        await settled()
        assert await at.intake.record(arrival(1, "d")) is Verdict.NEW
        assert at.bodies() == ["d"]


async def test_a_locked_database_does_not_hold_a_callback(tmp_path: Path) -> None:
    """F-110: the sender hears in bounded time; what was still stored is known when it returns."""
    async with post(tmp_path, timeout_s=0.2) as at:
        outside = sqlite3.connect(at.path, isolation_level=None)
        outside.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        results = await at.results(arrival(1, "a"))
        results += await at.results(arrival(1, "b"))
        assert time.monotonic() - began_s < 2
        assert [str(result) for result in results] == ["not stored in time"] * 2
        outside.execute("ROLLBACK")
        outside.close()
        # The first was handed over before; the second had not had its turn, and was dropped.
        at.intake.timeout_s = SOON_S
        assert await at.intake.record(arrival(1, "c")) is Verdict.NEW
        assert at.bodies() == ["a", "c"]


async def test_what_was_taken_is_finished_at_the_end(tmp_path: Path) -> None:
    """S-11: also what waits behind the commit that is under way; then nothing is taken."""
    async with post(tmp_path) as at:
        at.store.open.clear()
        taken = [at.sent(arrival(1, "first"))]
        await settled()
        taken += [at.sent(arrival(1, "second")), at.sent(arrival(2, "third"))]
        await settled()
        closing = asyncio.ensure_future(at.intake.close())
        await settled()
        with pytest.raises(StoreUnavailable, match="closed"):
            await at.intake.record(arrival(1, "late"))
        assert not closing.done()
        at.store.open.set()
        await closing
        assert at.bodies() == ["first", "second", "third"]
        assert await asyncio.gather(*taken) == [Verdict.NEW] * 3
        await at.intake.close()


async def test_when_the_process_is_torn_down_nobody_waits_for_ever(tmp_path: Path) -> None:
    """A cancelled worker cancels those whom it would have served."""
    async with post(tmp_path) as at:
        at.store.open.clear()
        callers = [at.sent(arrival(1, "a")), at.sent(arrival(1, "b"))]
        await settled()
        worker = at.intake._worker
        assert worker is not None
        worker.cancel()
        async with asyncio.timeout(SOON_S):
            results = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
        at.store.open.set()
        assert await at.intake.record(arrival(1, "c")) is Verdict.NEW
