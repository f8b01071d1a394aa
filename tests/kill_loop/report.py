"""What a kill loop has seen, in lines that a person reads."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Report:
    """`at_death` adds up what was not over at each kill; `broken` is empty, or the end."""

    seed: int
    kills: int = 0
    seconds: float = 0.0
    settling_s: float = 0.0
    aims: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    at_death: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    online_s: list[float] = field(default_factory=list)
    jobs: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    held: int = 0
    out_of_reach: int = 0
    """Deferred answers whose token ended before any life was long enough to use it."""
    entries: int = 0
    broken: tuple[str, ...] = ()
    kept: str = ""

    def lines(self) -> list[str]:
        """The whole report."""
        rate = self.kills / self.seconds if self.seconds else 0.0
        online = sorted(self.online_s)
        start = (
            f"{statistics.median(online):.2f} s median, {online[-1]:.2f} s worst" if online else "-"
        )
        lines = [
            f"kills {self.kills} in {self.seconds:.0f} s ({rate:.2f}/s); seed {self.seed}",
            f"then {self.settling_s:.0f} s until all was over",
            f"from start to Discord: {start}",
            f"asked for: {_told(self.asked)}",
            f"acknowledged and found again: {_told(self.acknowledged)}",
            f"jobs: {_told(self.jobs)}; held honestly {self.held}",
            f"answers: {_told(self.turns)}; entries in the ledger {self.entries}",
            f"deferred answers whose 15 minutes were over: {self.out_of_reach}",
            f"killed while: {_told(self.phases)}",
            f"not over at death: {_told(self.at_death)}",
            f"aimed at (hit): {_aims(self.aims, self.hits)}",
        ]
        if self.broken:
            lines += ["", f"BROKEN with seed {self.seed} after {self.kills} kills:", *self.broken]
            lines.append(f"database and log are kept in {self.kept}")
        return lines


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing"


def _aims(aims: Counter[str], hits: Counter[str]) -> str:
    return ", ".join(f"{name} {count} ({hits[name]})" for name, count in sorted(aims.items()))
