"""The checker's own copy of the database, brought up to date from what each commit changed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.simulation.ground import Ground

PENDING = frozenset({"queued", "submitting", "running", "unknown"})
NEVER_US = 2**63 - 1


class Account(NamedTuple):
    id: int
    kind: str
    bucket_id: int | None
    balance_ucr: int


class HoldRow(NamedTuple):
    id: int
    reference: str
    user_id: int
    amount_ucr: int
    state: str
    charged_ucr: int | None
    returned_ucr: int | None
    loss_ucr: int | None
    cause: str | None


class JobRow(NamedTuple):
    id: int
    reference: str
    kind: str
    user_id: int
    price_ucr: int
    cost_ucr: int
    multiplier_ppm: int
    status: str
    outcome: str | None
    failure: str | None
    attempt: int
    task_id: str | None
    created_us: int
    submitted_us: int | None
    finished_us: int | None
    delivered_us: int | None
    deadline_us: int
    due_us: int
    grace_until_us: int | None
    sink: str | None
    charged_ucr: int | None
    late_us: int | None
    short_id: str


class CallbackRow(NamedTuple):
    id: int
    job_id: int
    attempt: int
    digest: str
    body: str
    received_us: int
    seen_us: int | None
    tries: int


class TurnRow(NamedTuple):
    id: int
    reference: str
    author_id: int
    state: str
    cause: str | None
    cost_estimate_ucr: int | None


class Entry(NamedTuple):
    id: int
    from_id: int
    to_id: int
    amount_ucr: int
    digest: bytes
    kind: str
    hold_id: int | None
    at_us: int


class Line(NamedTuple):
    id: int
    kind: str
    user_id: int | None
    reference: str
    hold_id: int | None
    delta_ucr: int
    actor_id: int | None
    reason: str | None


class Event(NamedTuple):
    id: int
    job_id: int
    old: str | None
    new: str
    cause: str
    attempt: int
    epoch: int


@dataclass(slots=True)
class News:
    """What one commit changed. Of rows that may change: (before, after); None where there is none.

    `body` is the name of the transaction.
    """

    body: str
    accounts: list[tuple[Account | None, Account]] = field(default_factory=list)
    holds: list[tuple[HoldRow | None, HoldRow]] = field(default_factory=list)
    jobs: list[tuple[JobRow | None, JobRow]] = field(default_factory=list)
    callbacks: list[tuple[CallbackRow | None, CallbackRow | None]] = field(default_factory=list)
    turns: list[tuple[TurnRow | None, TurnRow]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __bool__(self) -> bool:
        rows = (self.accounts, self.holds, self.jobs, self.callbacks, self.turns)
        return any(rows) or any((self.entries, self.lines, self.events))


def _columns(row: type[tuple[Any, ...]]) -> str:
    return ", ".join(row._fields)  # type: ignore[attr-defined] # of a NamedTuple


_ROWS: dict[str, type[tuple[Any, ...]]] = {
    "accounts": Account,
    "holds": HoldRow,
    "jobs": JobRow,
    "callbacks": CallbackRow,
    "turns": TurnRow,
}
_SELECT = {
    name: f"SELECT {_columns(row)} FROM {name} WHERE id IN"
    f" (SELECT row FROM changes WHERE id > ? AND name = '{name}') ORDER BY id"
    for name, row in _ROWS.items()
}
_ENTRIES = (
    "SELECT e.id, e.from_account_id, e.to_account_id, e.amount_ucr, e.digest, j.kind, j.hold_id,"
    " j.at_us FROM entries e JOIN journal j ON j.id = e.journal_id WHERE e.id > ? ORDER BY e.id"
)
_LINES = (
    "SELECT id, kind, user_id, reference, hold_id, delta_ucr, actor_id, reason FROM journal"
    " WHERE id > ? ORDER BY id"
)
_EVENTS = (
    "SELECT id, job_id, old_status, new_status, cause, attempt, epoch FROM job_events"
    " WHERE id > ? ORDER BY id"
)


class Books:
    """Rows by their numbers, and the sums that the invariants speak of."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._changes = self._entries = self._lines = self._events = 0
        self.accounts: dict[int, Account] = {}
        self.holds: dict[int, HoldRow] = {}
        self.jobs: dict[int, JobRow] = {}
        self.callbacks: dict[int, CallbackRow] = {}
        self.capped_spans: tuple[str, ...] = ()
        """Those of the budget over everything, which a world begins and ends with."""
        self._written = -1
        """Rows that the connection had written when it was read last."""
        self.turns: dict[int, TurnRow] = {}
        self.booked_ucr: defaultdict[int, int] = defaultdict(int)
        """By account: the sum of its entries."""
        self.link = bytes(32)
        self.last_entry = 0
        self.epoch = 0
        self.multiplier_ppm = 1_000_000
        """What members pay in this world, times the provider's cost; told by the world."""
        self.lines_of_hold: defaultdict[int, list[str]] = defaultdict(list)
        self.paid_of_hold: defaultdict[int, int] = defaultdict(int)
        self.status_by_events: dict[int, str] = {}
        self.staff_acts: set[tuple[str, str]] = set()
        self.job_ids: dict[str, int] = {}
        self.hold_ids: dict[str, int] = {}
        self.turn_ids: dict[str, int] = {}
        self.owners: dict[int, tuple[str, int]] = {}
        """By bucket: ("user" or "guild", its number)."""

    def job_of(self, reference: str) -> JobRow | None:
        """The job of an order, if it was accepted."""
        job_id = self.job_ids.get(reference)
        return None if job_id is None else self.jobs[job_id]

    def is_open(self) -> bool:
        """Whether a job has not reached its member, or a turn has not ended."""
        return any(job.status != "delivered" for job in self.jobs.values()) or any(
            turn.state == "pending" for turn in self.turns.values()
        )

    def turn_of(self, reference: str) -> TurnRow | None:
        turn_id = self.turn_ids.get(reference)
        return None if turn_id is None else self.turns[turn_id]

    def hold_of(self, reference: str) -> HoldRow | None:
        hold_id = self.hold_ids.get(reference)
        return None if hold_id is None else self.holds[hold_id]

    def owner_of(self, account: Account) -> tuple[str, int]:
        """Whose bucket it is; ("house", 0) for the accounts of the house."""
        if account.bucket_id is None:
            return ("house", 0)
        if account.bucket_id not in self.owners:
            (found,) = self._ground.rows(
                "SELECT owner_kind, owner_id FROM buckets WHERE id = ?", account.bucket_id
            )
            self.owners[account.bucket_id] = found
        return self.owners[account.bucket_id]

    def ceilings(self, bucket_id: int) -> tuple[int | None, int, int]:
        """Of a budget's window: its ceiling now, what is issued of it, and what is available."""
        (found,) = self._ground.rows(
            "SELECT (SELECT CASE b.span WHEN 'day' THEN day_ucr ELSE month_ucr END FROM budgets"
            " WHERE guild_id = b.owner_id ORDER BY id DESC LIMIT 1), b.issued_ucr, a.balance_ucr"
            " FROM buckets b JOIN accounts a ON a.bucket_id = b.id AND a.kind = 'available'"
            " WHERE b.id = ?",
            bucket_id,
        )
        return (found[0], found[1], found[2])

    def counted_everywhere_ucr(self, hold_id: int) -> dict[str, int]:
        """By span: what of a hold counts in the budget of the whole installation."""
        return dict(
            self._ground.rows(
                "SELECT b.span, sum(p.amount_ucr) FROM hold_parts p"
                " JOIN buckets b ON b.id = p.bucket_id"
                " WHERE p.hold_id = ? AND b.owner_kind = 'guild' AND b.owner_id = 0"
                " GROUP BY b.span",
                hold_id,
            )
        )

    def read(self, body: str) -> News:
        """Take over what was committed since the last time."""
        news = News(body)
        written = self._ground.raw.total_changes
        if written == self._written:
            return news
        self._written = written
        changed = self._ground.rows("SELECT id, name FROM changes WHERE id > ?", self._changes)
        for name in sorted({name for _id, name in changed}):
            rows = self._ground.rows(_SELECT[name], self._changes)
            self._take(name, rows, news)
        if changed:
            self._changes = changed[-1][0]
        self._append(news)
        return news

    def _take(self, name: str, rows: list[Any], news: News) -> None:
        known: dict[int, Any] = getattr(self, name)
        told: list[Any] = getattr(news, name)
        numbers = {"jobs": self.job_ids, "holds": self.hold_ids, "turns": self.turn_ids}
        for values in rows:
            row = _ROWS[name](*values)
            old = known.get(values[0])
            if row != old:
                told.append((old, row))
                known[values[0]] = row
                if name in numbers:
                    numbers[name][row.reference] = values[0]  # type: ignore[attr-defined] # they have
        if name == "callbacks":
            there = {row[0] for row in self._ground.rows("SELECT id FROM callbacks")}
            told += [(known.pop(gone), None) for gone in sorted(known.keys() - there)]

    def _append(self, news: News) -> None:
        for values in self._ground.rows(_ENTRIES, self._entries):
            entry = Entry(*values)
            news.entries.append(entry)
            self.booked_ucr[entry.from_id] -= entry.amount_ucr
            self.booked_ucr[entry.to_id] += entry.amount_ucr
            self._entries = entry.id
        for values in self._ground.rows(_LINES, self._lines):
            line = Line(*values)
            news.lines.append(line)
            if line.hold_id is not None:
                self.lines_of_hold[line.hold_id].append(line.kind)
                self.paid_of_hold[line.hold_id] -= line.delta_ucr
            self._lines = line.id
        for values in self._ground.rows(_EVENTS, self._events):
            event = Event(*values)
            news.events.append(event)
            self._events = event.id
