"""Goals and figures, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measured fact. `at_least` or `at_most` is its goal; neither makes it information.

    A promise holds on any machine; the other goals are about speed.
    """

    what: str
    figure: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    is_promise: bool = False

    @property
    def is_missed(self) -> bool:
        if self.at_least is not None and self.figure < self.at_least:
            return True
        return self.at_most is not None and self.figure > self.at_most

    @property
    def goal(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:,.10g} {self.unit}".rstrip()
        if self.at_most is not None:
            return f"≤ {self.at_most:,.10g} {self.unit}".rstrip()
        return ""

    @property
    def verdict(self) -> str:
        if not self.goal:
            return ""
        return "MISSED" if self.is_missed else "ok"

    @property
    def measured(self) -> str:
        digits = 0 if self.figure >= 100 or self.figure == int(self.figure) else 1
        return f"{self.figure:,.{digits}f} {self.unit}".rstrip()


def table(lines: Sequence[Line]) -> str:
    """All of it as plain text."""
    rows = [
        ("what", "figure", "goal", ""),
        *((line.what, line.measured, line.goal, line.verdict) for line in lines),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{what:<{widths[0]}}  {figure:>{widths[1]}}  {goal:>{widths[2]}}  {verdict}".rstrip()
        for what, figure, goal, verdict in rows
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of them does not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
