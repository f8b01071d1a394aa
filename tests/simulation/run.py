"""`make simulate`: many worlds on several processes, and the shortest story of what failed.

python -m tests.simulation.run --seeds 1000 --from 0 --processes 2
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.simulation.faults import DATABASE, Fault
from tests.simulation.ground import Ground
from tests.simulation.loop import Overdue
from tests.simulation.report import Report, Spared
from tests.simulation.world import World

SEEDS_FILE = Path(__file__).with_name("seeds.txt")
CHUNK = 250
"""Worlds that a process runs on one ground: a new one compiles every statement again."""
CHUNKS_MIN = 4
"""For each process, so that none of them waits long for the last one."""
COLLECT_EVERY = 100
"""Worlds between two collections of garbage, which are cycles of tasks and their errors."""
REPLAYS_MAX = 150
"""Tries to make a failing story shorter."""
SECONDS_MAX = 30.0
"""Of the processor's time: a hundred times what a world needs."""
_ENDLESS = {"overdue", "runaway"}
"""Failures that take so long that they are told as they are."""
LINES_SHOWN = 120
PROGRESS_S = 5.0


@dataclass(slots=True)
class Totals:
    """Sums over many worlds."""

    seeds: int = 0
    virtual_s: float = 0.0
    steps: int = 0
    commits: int = 0
    crashes: int = 0
    busy_crashes: int = 0
    commands: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    turns: int = 0
    lucky: int = 0
    """Worlds in which some job succeeded."""
    hits: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)
    """By seed: what broke."""

    def add(self, report: Report) -> None:
        self.seeds += 1
        self.virtual_s += report.virtual_s
        self.steps += report.steps
        self.commits += report.commits
        self.crashes += report.crashes
        self.busy_crashes += report.busy_crashes
        self.deaths += report.deaths
        self.commands += report.commands
        self.jobs += report.jobs
        self.turns += report.turns
        self.lucky += report.succeeded > 0
        self.hits += report.hits
        if report.failure is not None:
            self.failed[report.seed] = report.failure

    def join(self, other: Totals) -> None:
        self.seeds += other.seeds
        self.virtual_s += other.virtual_s
        self.steps += other.steps
        self.commits += other.commits
        self.crashes += other.crashes
        self.busy_crashes += other.busy_crashes
        self.deaths += other.deaths
        self.commands += other.commands
        self.jobs += other.jobs
        self.turns += other.turns
        self.lucky += other.lucky
        self.hits += other.hits
        self.failed |= other.failed

    @property
    def faults(self) -> int:
        return self.hits.total()

    @property
    def faults_outside(self) -> int:
        """Those of the provider, of callbacks and of Discord."""
        return self.faults - sum(self.hits[fault.name] for fault in DATABASE)


def run_seed(seed: int, ground: Ground) -> Report:
    """Run one world; one that does not end is a failure, and its seed is told at once."""

    def end(_signal: int, _frame: object) -> None:
        _say(f"SEED={seed} COMMIT={commit()} needs more than {SECONDS_MAX:.0f} s")
        raise Overdue

    # Of the processor, because the machine may be busy; pytest's own time-out takes the other.
    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_MAX)
    try:
        return World(seed, ground).run()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def run_seeds(seeds: range | list[int]) -> Iterator[Report]:
    """Run worlds one after the other on one ground."""
    ground = Ground()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for number, seed in enumerate(seeds, start=1):
            yield run_seed(seed, ground)
            if number % COLLECT_EVERY == 0:
                gc.collect()
    finally:
        ground.close()
        gc.enable()
        gc.unfreeze()
        gc.collect()


def kept_seeds() -> list[int]:
    """Seeds that failed once; they run for ever."""
    lines = SEEDS_FILE.read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and line[0] != "#"]


def to_keep(failed: Mapping[int, str]) -> list[str]:
    """Lines for the file, of those that are not in it."""
    known = kept_seeds()
    return [f"{seed} {failure}" for seed, failure in sorted(failed.items()) if seed not in known]


# --- The shortest story --------------------------------------------------------------------------


def shortened(report: Report, ground: Ground) -> tuple[Report, Spared]:
    """Leave out commands, faults and crashes as long as the same promise is broken."""
    number = _promise(report)
    spared, tries = Spared(), 0

    def fails(candidate: Spared) -> Report | None:
        nonlocal tries
        tries += 1
        found = World(report.seed, ground, spared=candidate).run()
        return found if found.failure is not None and _promise(found) == number else None

    for candidate in _candidates(report):
        if tries >= REPLAYS_MAX:
            break
        larger = replace(
            spared,
            faults=spared.faults | candidate.faults,
            commands=spared.commands | candidate.commands,
            crashes=spared.crashes | candidate.crashes,
        )
        shorter = fails(larger)
        if shorter is not None:
            report, spared = shorter, larger
    return report, spared


def _candidates(report: Report) -> Iterator[Spared]:
    for command in range(1, report.commands + 1):
        yield Spared(commands=frozenset({command}))
    for name in sorted(report.hits):
        yield Spared(faults=frozenset({Fault[name]}))
    for boot in range(1, report.boots + 1):
        yield Spared(crashes=frozenset({boot}))


def _promise(report: Report) -> str:
    return (report.failure or "").partition(":")[0]


def story(seed: int) -> str:
    """What to print about a failing seed."""
    with closing(Ground()) as ground:
        return _story(seed, ground)


def _story(seed: int, ground: Ground) -> str:
    report, spared = run_seed(seed, ground), Spared()
    if report.failure is None:
        return f"SEED={seed} does not fail when it runs alone"
    if _promise(report) not in _ENDLESS:
        report, spared = shortened(report, ground)
    left_out = [*(fault.name for fault in spared.faults)]
    left_out += [f"command {number}" for number in sorted(spared.commands)]
    left_out += [f"the crash of start {number}" for number in sorted(spared.crashes)]
    return "\n".join(
        [
            f"SEED={seed} COMMIT={commit()}",
            f"  {report.failure}",
            f"  also without: {', '.join(sorted(left_out)) or '-'}",
            *(f"  {line}" for line in report.trace.about(last=LINES_SHOWN)),
        ]
    )


def commit() -> str:
    """The code that ran."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


# --- Many ----------------------------------------------------------------------------------------


def _chunk(seeds: range) -> Totals:
    totals = Totals()
    for report in run_seeds(seeds):
        totals.add(report)
    return totals


def simulate(first: int, count: int, processes: int) -> Totals:
    """Run them all, and tell how far it is."""
    size = max(1, min(CHUNK, count // (processes * CHUNKS_MIN)))
    chunks = [
        range(begin, min(begin + size, first + count))
        for begin in range(first, first + count, size)
    ]
    totals, began_s, told_s = Totals(), time.monotonic(), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for part in pool.imap_unordered(_chunk, chunks):
            totals.join(part)
            for seed, failure in sorted(part.failed.items()):
                _say(f"SEED={seed} COMMIT={commit()} {failure}")
            if time.monotonic() - told_s > PROGRESS_S:
                told_s = time.monotonic()
                rate = totals.seeds / (told_s - began_s)
                _say(f"{totals.seeds}/{count} seeds, {rate:.1f}/s, {len(totals.failed)} failed")
    _tell(totals, time.monotonic() - began_s)
    return totals


def _tell(totals: Totals, took_s: float) -> None:
    count = max(1, totals.seeds)
    _say(
        f"{totals.seeds} seeds in {took_s:.0f} s: {totals.seeds / took_s:.1f} seeds/s;"
        f" per seed {totals.faults / count:.1f} faults"
        f" ({totals.faults_outside / count:.1f} outside the database),"
        f" {totals.crashes / count:.2f} crashes,"
        f" {totals.commands / count:.1f} commands, {totals.commits / count:.0f} commits,"
        f" {totals.virtual_s / count / 3600:.2f} virtual hours, {totals.jobs / count:.1f} jobs,"
        f" {totals.turns / count:.1f} turns; {totals.lucky / count:.0%} with a success"
    )
    rows: Counter[str] = Counter()
    for name, hits in totals.hits.items():
        rows[Fault[name].id] += hits
    _say("hits: " + " ".join(f"{row}={rows[row]}" for row in sorted(rows, key=_row_number)))
    deaths = " ".join(f"{body}={count}" for body, count in totals.deaths.most_common())
    _say(f"killed with work open: {totals.busy_crashes} of {totals.crashes}; after: {deaths}")
    missing = sorted(fault.name for fault in Fault if fault.name not in totals.hits)
    if missing:
        _say("never hit: " + " ".join(missing))


def _row_number(row: str) -> int:
    return int(row.removeprefix("F-"))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate worlds by their seeds.")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--reversed", action="store_true", help="the last one first")
    parser.add_argument("--digests", action="store_true", help="print each trace's hash only")
    chosen = parser.parse_args()
    if chosen.digests:
        seeds = range(chosen.first, chosen.first + chosen.seeds)
        for report in run_seeds(seeds[::-1] if chosen.reversed else seeds):
            _say(f"{report.seed} {report.digest}")
        return 0
    totals = simulate(chosen.first, chosen.seeds, chosen.processes)
    for seed in sorted(totals.failed)[:5]:
        _say(story(seed))
    if totals.failed:
        with SEEDS_FILE.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in to_keep(totals.failed))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
