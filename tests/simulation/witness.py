"""What was promised and seen outside the database: the checker's own list (as Jepsen keeps one)."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.faults import Fault


@dataclass(slots=True, kw_only=True)
class Departure:
    """A create that left the bot. `told` once its answer reached a process that lives."""

    reference: str
    url: str | None
    process: int
    at_s: float
    fault: Fault | None = None
    name: str | None = None
    """The task id in the answer that was read."""
    told: bool = False


@dataclass(slots=True, kw_only=True)
class Accepted:
    """An order whose acceptance somebody was told of."""

    reference: str
    user_id: int
    shown_ucr: int
    at_s: float


@dataclass(slots=True, kw_only=True)
class Acknowledged:
    """A callback that was answered 204."""

    job_id: int
    attempt: int
    digest: str
    task_id: str | None
    at_s: float


@dataclass(slots=True)
class Witness:
    """Everything that must still be true after any crash."""

    departures: defaultdict[str, list[Departure]] = field(default_factory=lambda: defaultdict(list))
    accepted: dict[str, Accepted] = field(default_factory=dict)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    """Tasks that our own read confirmed to exist, to a process that lived."""
    read_at_s: dict[tuple[int, str], float] = field(default_factory=dict)
    """By process and task: when it was last asked about."""
    named_elsewhere: set[str] = field(default_factory=set)
    """Tasks that were named at another job's address: they are read for that job, too (F-65)."""

    def was_named(self, reference: str, task_id: str) -> bool:
        """Whether the answer to a create of this order named the task, and was read."""
        return any(one.name == task_id for one in self.departures[reference])

    def last_read_s(self, process: int, tasks: Iterable[str | None]) -> float:
        """When a process last asked about any of them; -1 where it never did."""
        reads_s = (self.read_at_s.get((process, task)) for task in tasks if task is not None)
        return max((at_s for at_s in reads_s if at_s is not None), default=-1.0)

    def acknowledge(self, job_id: int, attempt: int, body: str, at_s: float) -> Acknowledged:
        """A callback was answered 204: from now on it may not get lost."""
        one = Acknowledged(
            job_id=job_id,
            attempt=attempt,
            digest=hashlib.sha256(body.encode()).hexdigest(),
            task_id=named_in(body),
            at_s=at_s,
        )
        self.acknowledged.append(one)
        return one


def named_in(body: str) -> str | None:
    """The task that a callback names."""
    task_id: str | None = json.loads(body).get("id")
    return task_id
