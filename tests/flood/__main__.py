"""`make flood`: what the listener bears on this machine, beside its goals (N-5, N-6, N-7).

The listener and its database run in one process, the load in this one. Exit code 1 when a goal is
missed or a promise broken; with `--smoke` speed does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
from pathlib import Path

from tests.flood.report import Line, table
from tests.flood.stages import Plan, flood

FILES_NEEDED = 4_096


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.flood", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each stage")
    parser.add_argument("--smoke", action="store_true", help="small and short; speed is not judged")
    chosen = parser.parse_args()
    plan = Plan.smoke() if chosen.smoke else Plan(seconds=chosen.seconds)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_NEEDED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_NEEDED, hard), hard))
    with tempfile.TemporaryDirectory(prefix="atelier-flood-") as folder:
        lines = asyncio.run(flood(plan, Path(folder)))
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    sys.stdout.write(f"{table(lines)}\n{os.cpu_count()} cores, load averages {load}\n")
    return int(any(line.is_missed for line in lines if line.is_promise or not chosen.smoke))


__all__ = ["Line", "main"]

if __name__ == "__main__":
    sys.exit(main())
