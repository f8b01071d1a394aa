"""What a mutant is: the program with one deliberate mistake, and who must notice it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What a mistake endangers; the words of reliability.md."""

    CREATE = "the create without a key (section 5)"
    CALLBACK = "callbacks (S-4, S-6)"
    JOB = "the job machine (S-1, S-5)"
    LEDGER = "the ledger (S-3)"
    CHAT = "chat streams (S-12)"
    DISCORD = "delivery (S-7)"
    STORE = "storage and processes (S-8, section 3.4)"
    BREAKER = "breakers and guards (S-9, S-13)"
    RESULT = "result files (C-12)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace `old`, which stands exactly once in `path`, by `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mistake.

    `killers` are arguments for pytest; each is run until one fails. Within so many `seeds` the
    simulation must notice it, too. `without` names the second defence that is switched off by the
    same edits, because it would hide the mistake (6.1, lesson).
    """

    name: str
    mistake: str
    family: Family
    edits: tuple[Edit, ...]
    killers: tuple[str, ...]
    seeds: int = 0
    without: str | None = None
