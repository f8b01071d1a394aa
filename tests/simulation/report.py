"""How one world went, and what a replay of it leaves out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.faults import Fault
from tests.simulation.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a world went. `failure` is None for a good one."""

    seed: int
    failure: str | None
    digest: str
    virtual_s: float
    steps: int
    commits: int
    crashes: int
    busy_crashes: int
    """Those that found an open job or turn."""
    deaths: Counter[str]
    """The last transactions of those that were killed."""
    boots: int
    hits: Counter[str]
    commands: int
    jobs: int
    succeeded: int
    turns: int
    trace: Trace = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spared:
    """What a replay leaves out, to find the shortest story of a failure."""

    faults: frozenset[Fault] = frozenset()
    commands: frozenset[int] = frozenset()
    crashes: frozenset[int] = frozenset()
