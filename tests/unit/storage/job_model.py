"""What jobs should do, as plainly as possible: Python objects, no database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

NEVER_US = 2**63 - 1
PENDING = {"queued", "submitting", "running", "unknown"}


@dataclass(eq=False)
class Piece:
    """A job. `unseen` are its callbacks that nobody acted on."""

    id: int
    user: int
    price: int
    due: int
    status: str = "queued"
    outcome: str | None = None
    attempt: int = 0
    task: str | None = None
    served: int = -1
    lease: int | None = None
    woken: bool = False
    charged: int = 0
    loss: int = 0
    late: bool = False
    sink: str | None = None
    unseen: set[str] = field(default_factory=set)
    bodies: set[str] = field(default_factory=set)

    @property
    def unheard(self) -> bool:
        """All callbacks of the model are of the first attempt: a later one makes them strays."""
        return (self.outcome != "succeeded" or self.attempt != 1) and bool(self.unseen)


@dataclass
class Board:
    """All jobs, and what every member was ever given."""

    pieces: list[Piece] = field(default_factory=list)
    given: dict[int, int] = field(default_factory=dict)
    loss: int = 0

    def held(self, user: int) -> int:
        return sum(p.price for p in self.pieces if p.user == user and p.status in PENDING)

    def available(self, user: int) -> int:
        charged = sum(p.charged for p in self.pieces if p.user == user)
        return self.given.get(user, 0) - charged - self.held(user)

    def spent(self) -> int:
        return sum(p.charged for p in self.pieces)

    def owner_of(self, task: str) -> Piece | None:
        return next((p for p in self.pieces if p.task == task), None)

    # --- Turns -----------------------------------------------------------------------------------

    def turns(self, among: Iterable[Piece]) -> list[Piece]:
        """Everybody's first before anybody's second; then who was served least recently."""
        waiting = [p for p in among if p.status == "queued"]
        last = {p.user: max(q.served for q in self.pieces if q.user == p.user) for p in waiting}

        def order(piece: Piece) -> tuple[int, int, int]:
            before = sum(p.user == piece.user and p.id < piece.id for p in waiting)
            return (before, last[piece.user], piece.id)

        return sorted(waiting, key=order)

    def claim(self, now: int, lease: int, limit: int, queued: int | None) -> list[Piece]:
        due = [p for p in self.pieces if p.due <= now]
        free = [p for p in due if p.lease is None or p.lease <= now]
        moving = sorted((p for p in free if p.status != "queued"), key=lambda p: (p.due, p.id))
        taken = moving[:limit]
        room = limit - len(taken) if queued is None else min(limit - len(taken), queued)
        taken += [p for p in self.turns(due) if p in free][:room]
        for piece in taken:
            piece.lease, piece.woken = now + lease, False
        return taken

    def release(self, piece: Piece, due: int, now: int) -> None:
        """Let go of a job until `due`, or until now when it was woken."""
        if piece.status == "delivered" and not piece.unheard:
            piece.due = NEVER_US
        else:
            piece.due = min(due, now) if piece.woken else due
        piece.lease, piece.woken = None, False

    def next_due(self) -> int | None:
        times = [max(p.due, p.lease or 0) for p in self.pieces if p.due < NEVER_US]
        return min(times, default=None)

    # --- Ends ------------------------------------------------------------------------------------

    def finish(self, piece: Piece, outcome: str, now: int, *, charged: int, loss: int) -> None:
        piece.status, piece.outcome = "finished", outcome
        piece.charged, piece.loss = charged, loss
        self.loss += loss
        piece.lease, piece.woken, piece.due = None, False, now

    def attach(self, piece: Piece, task: str | None, loss: int) -> bool:
        """A late result."""
        if piece.outcome not in {"failed", "cancelled"} or piece.attempt == 0 or piece.late:
            return False
        is_own = task in {None, piece.task}
        if task is not None:
            if piece.task not in {None, task} or self.owner_of(task) not in {None, piece}:
                return False
            piece.task = task
        piece.late = True
        self.loss += max(0, loss - piece.loss) if is_own else loss
        return True
