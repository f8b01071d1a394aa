"""`python -m tests.kill_loop`: what `make kill-loop N=n` runs."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.kill_loop.loop import kill_loop


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill_loop", description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    # An upload that ends in the middle is what we want, and no mistake of the sandbox.
    logging.getLogger("sandbox").addHandler(logging.NullHandler())
    data = Path(tempfile.mkdtemp(prefix="atelier-kill-loop-"))
    say(f"killing {chosen.kills} times with seed {seed}")
    report = asyncio.run(kill_loop(chosen.kills, seed=seed, data=data, say=say))
    for line in report.lines():
        say(line)
    if not report.broken:
        shutil.rmtree(data)
    return 1 if report.broken else 0


def say(text: str) -> None:
    """One line on the terminal, at once."""
    print(text, flush=True)  # noqa: T201 - the terminal is the interface.


if __name__ == "__main__":
    sys.exit(main())
