"""Thousands of worlds in which all goes wrong, and no promise is broken (reliability.md 6.2).

Which faults: `faults.py`. Which promises: `ledger_promises.py`, `job_promises.py`. A failing seed
is told with its shortest story by `make simulate SEEDS=1 FROM=<seed>`, and kept in `seeds.txt`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bot.chat.bookkeeper import Bookkeeper
from bot.chat.turn import Turn
from bot.jobs import delivering
from bot.jobs.machine import Wait
from bot.jobs.sinks import Sinks
from bot.jobs.submitting import Submitter
from storage import jobs
from storage.types import Job
from tests.simulation.checker import PROMISES
from tests.simulation.faults import Fault
from tests.simulation.ground import Ground
from tests.simulation.invariants import ELSEWHERE, INVARIANTS, PARTS_ELSEWHERE
from tests.simulation.run import Totals, kept_seeds, run_seeds, story, to_keep
from tests.simulation.world import NOT_OURS, OUR_MISTAKES, World

ROOT = Path(__file__).parents[2]
SHARDS = 20
SEEDS_PER_SHARD = 100
REPLAYED = 50
CANARY_SEEDS = 60
COMPARED = 30
HOUR_S = 3_600.0
KINDS_MISSED_MAX = 3
"""Some need a rare occasion, such as a result that was shown once and is shown again."""


pytestmark = pytest.mark.timeout(900)
"""A shard needs some ten seconds of a free core; a busy machine may take long."""


def check(totals: Totals) -> None:
    if totals.failed:
        told = (story(min(totals.failed)), "to keep in seeds.txt:", *to_keep(totals.failed))
        pytest.fail("\n".join(told))


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_promise_is_broken(shard: int) -> None:
    """N-1: 2,000 worlds; N-2: at least ten faults, two crashes and an hour in each, on average.

    Nearly every kind of fault strikes in each shard, and in most worlds something succeeds.
    """
    totals = Totals()
    first = shard * SEEDS_PER_SHARD
    for report in run_seeds(range(first, first + SEEDS_PER_SHARD)):
        totals.add(report)
    check(totals)
    assert totals.faults >= 10 * totals.seeds
    assert totals.faults_outside >= 7 * totals.seeds
    assert len([fault for fault in Fault if not totals.hits[fault.name]]) <= KINDS_MISSED_MAX
    assert totals.crashes >= 2 * totals.seeds
    assert 2 * totals.busy_crashes > totals.crashes, "killed where nothing was open"
    assert totals.virtual_s >= HOUR_S * totals.seeds
    assert totals.jobs >= 2.4 * totals.seeds
    assert totals.turns >= totals.seeds
    assert totals.lucky >= 0.6 * totals.seeds


def test_seeds_that_failed_once_stay_good() -> None:
    """Every failure that was ever found is tried again."""
    totals = Totals()
    for report in run_seeds(kept_seeds()):
        totals.add(report)
    check(totals)


def test_a_failure_says_how_its_seed_is_kept() -> None:
    """What failed here once is not found again by another hundred seeds."""
    with pytest.raises(pytest.fail.Exception) as failure:
        check(Totals(failed={4711: "I-1: not in balance"}))
    assert "\nto keep in seeds.txt:\n4711 I-1: not in balance\n" in f"{failure.value}\n"


def test_every_promise_is_asked_for() -> None:
    """Each number of reliability.md 4 is checked here, or it is said where."""
    numbers = {*range(1, 13), *range(20, 36)}
    here = {one.id for one in INVARIANTS}
    assert here | set(ELSEWHERE) == {"S-13", *(f"I-{number}" for number in numbers)}
    assert not here & set(ELSEWHERE)
    assert all((ROOT / path).is_file() for path in (*ELSEWHERE.values(), *PARTS_ELSEWHERE.values()))
    assert PROMISES


def test_a_create_sent_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary, I-24: a bot that sends again whatever got lost does not live long."""

    async def send_again(submitter: Submitter, job: Job, _doubt: object, **_facts: object) -> None:
        bench = submitter._bench
        now_us = bench.clock.now_us()
        await bench.database.transact(jobs.requeue, job_id=job.id, due_us=now_us, now_us=now_us)

    monkeypatch.setattr(Submitter, "doubt", send_again)
    failures = (report.failure for report in run_seeds(range(CANARY_SEEDS)))
    assert next(filter(None, failures)).startswith("I-24: ")


def test_an_end_shown_again_too_soon_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """I-31: a bot that tries to deliver once more in each second."""

    def soon(_job: Job, *, now_us: int, **_facts: object) -> Wait:
        return Wait(due_us=now_us + 1_000_000)

    monkeypatch.setattr(delivering, "after_postponed", soon)
    failures = (report.failure for report in run_seeds(range(CANARY_SEEDS)))
    assert next(filter(None, failures)).startswith("I-31: ")


@pytest.mark.parametrize(
    ("part", "method", "line"),
    [
        pytest.param(Turn, "read", "turn_failed", id="an answer"),
        pytest.param(Bookkeeper, "note_cost", "cost_not_noted", id="a note of its cost"),
        pytest.param(Bookkeeper, "credits_of", "tool_failed", id="a tool"),
        pytest.param(Bookkeeper, "extend", "hold_not_extended", id="more credits for it"),
        pytest.param(Sinks, "_somewhere", "card_not_shown", id="a card"),
    ],
)
def test_a_part_that_breaks_is_noticed(
    part: type, method: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the bot goes on without it: chats and cards outlive any mistake of ours."""

    async def broken(*_args: object, **_facts: object) -> None:
        raise TypeError("a mistake of ours")

    monkeypatch.setattr(part, method, broken)
    failures = (report.failure for report in run_seeds(range(CANARY_SEEDS)))
    assert next(filter(None, failures), "").startswith(f"log: {line} ")


def test_what_is_looked_for_in_the_log_can_stand_there() -> None:
    """A name that nothing logs would never be found, whatever is wrong."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bot").rglob("*.py"))
    logged = re.findall(r'_log\.\w+\(\s*"(\w+)"', source)
    assert set(logged) >= OUR_MISTAKES | NOT_OURS


def test_the_short_way_to_the_driver_changes_nothing() -> None:
    """All other worlds leave out what SQLAlchemy does around a statement."""
    with closing(Ground(is_lean=False)) as ground:
        whole = [World(seed, ground).run().digest for seed in range(COMPARED)]
    assert [report.digest for report in run_seeds(range(COMPARED))] == whole


def test_no_constraint_waits_for_the_commit() -> None:
    """The transactions of a world are savepoints, which end as those of production do only then."""
    with closing(Ground()) as ground:
        rules = [text for (text,) in ground.rows("SELECT sql FROM sqlite_master") if text]
    assert rules
    assert not [text for text in rules if "DEFERR" in text.upper()]


def test_the_same_seed_is_the_same_story() -> None:
    """N-3: each trace is the same in another process, with another order of hashes.

    There the last seed comes first: what other worlds left behind changes nothing either.
    """
    here = [f"{report.seed} {report.digest}" for report in run_seeds(range(REPLAYED))]
    words = [sys.executable, "-m", "tests.simulation.run", "--digests", "--reversed"]
    words += ["--seeds", str(REPLAYED)]
    there = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.splitlines() == here[::-1]
    alone = [next(run_seeds([seed])) for seed in range(0, REPLAYED, 5)]
    assert [f"{report.seed} {report.digest}" for report in alone] == here[::5]
