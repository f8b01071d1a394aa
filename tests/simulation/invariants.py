"""The list of promises: each a function with its number and its sentence (reliability.md 4).

A function yields facts that break it. `COMMIT` ones are asked after every commit about what it
changed, `QUIET` ones when the faults are over and nothing moves any more. What must be seen while
it happens is `NOW`: the world asks at that very moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Moment(Enum):
    COMMIT = auto()
    NOW = auto()
    QUIET = auto()
    SHOWN = auto()
    TALKED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """`check` takes what its moment has to offer."""

    id: str
    sentence: str
    moment: Moment
    check: Callable[..., Iterator[str]]


INVARIANTS: list[Invariant] = []
"""In the order of their definition."""

ELSEWHERE = {
    "I-34": "tests/kill_loop/test_kill_loop.py",
}
PARTS_ELSEWHERE = {
    "F-118: wall time that jumps": "tests/unit/storage/test_wallet_time.py",
    "I-31: looks at a task": "tests/unit/jobs/test_bounds.py",
    "I-31: waiting callbacks": "tests/unit/web/test_intake.py",
    "I-31: waiting orders of a member": "tests/unit/jobs/test_service.py",
    "I-32: IDENTIFY": "tests/unit/test_app.py",
    "I-34: what a log line may hold": "tests/unit/test_log.py",
}
"""Parts of promises and rows that it leaves out."""
"""What this simulation cannot see, and where it is tested."""


def invariant(
    number: str, sentence: str, moment: Moment
) -> Callable[[Callable[..., Iterator[str]]], Callable[..., Iterator[str]]]:
    """Enter a promise in the list."""

    def enter(check: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
        INVARIANTS.append(Invariant(id=number, sentence=sentence, moment=moment, check=check))
        return check

    return enter


class Broken(AssertionError):
    """A promise that was not kept."""

    def __init__(self, number: str, fact: str) -> None:
        super().__init__(f"{number}: {fact}")
        self.number = number
        self.fact = fact


def demand(number: str, fact: str, *, holds: Any) -> None:
    """Ask for something at the very moment. Raises `Broken`."""
    if not holds:
        raise Broken(number, fact)
