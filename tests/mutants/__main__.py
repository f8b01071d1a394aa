"""`make mutants`: every deliberate mistake must be noticed, and a harmless change must not be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from tests.mutants.gallery import CANARY, CONTROL, MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.workshop import Fate, Verdict, Workshop

EXPECTED = {CONTROL.name: Fate.SURVIVED}
"""Every other one must be killed."""


def _judged(mutants: Sequence[Mutant], *, processes: int) -> Iterable[Verdict]:
    """Judge them in so many workshops at once, in order."""
    waiting: SimpleQueue[Mutant | None] = SimpleQueue()
    verdicts: SimpleQueue[Verdict | None] = SimpleQueue()
    for mutant in (*mutants, *[None] * processes):
        waiting.put(mutant)

    def work() -> None:
        try:
            with Workshop.opened() as workshop:
                while (mutant := waiting.get()) is not None:
                    verdicts.put(workshop.judge(mutant))
        finally:
            verdicts.put(None)

    with ThreadPoolExecutor(processes) as pool:
        futures = [pool.submit(work) for _ in range(processes)]
        ended = 0
        while ended < processes:
            verdict = verdicts.get()
            if verdict is None:
                ended += 1
            else:
                yield verdict
        for future in futures:
            future.result()


def main() -> int:
    """Print each fate; 0 when all are as they must be."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    everybody = (CANARY, CONTROL, *MUTANTS)
    chosen = [mutant for mutant in everybody if mutant.name in options.names] or everybody
    wrong = 0
    for verdict in _judged(chosen, processes=options.processes):
        is_right = verdict.fate is EXPECTED.get(verdict.mutant.name, Fate.KILLED)
        wrong += not is_right
        mark = " " if is_right else "!"
        sys.stdout.write(
            f"{mark} {verdict.fate:9} {verdict.mutant.name:40} {verdict.took_s:6.1f} s"
            f"  {verdict.killer}\n"
        )
        sys.stdout.flush()
    sys.stdout.write(f"{len(chosen)} judged, {wrong} wrong\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
