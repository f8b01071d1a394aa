"""What storage can refuse. Facts only; the words stand in `bot/text`.

StorageError
├── InsufficientCredits
├── BudgetExhausted
├── Duplicate
├── IllegalMove
├── UnknownReference
├── StoreUnavailable
├── StoreCorrupt
└── StoreInUse
"""

from __future__ import annotations

from storage.types import Scope, Span


class StorageError(Exception):
    """Root of everything this package raises on purpose."""


class InsufficientCredits(StorageError):
    """The member's buckets cannot carry the hold.

    `needed_ucr` and `available_ucr` are micro-credits; `resets_at_us` is when the next daily
    allowance starts (Unix microseconds), or None when the member has none.
    """

    def __init__(self, *, needed_ucr: int, available_ucr: int, resets_at_us: int | None) -> None:
        super().__init__(f"needed {needed_ucr} µcr, available {available_ucr} µcr")
        self.needed_ucr = needed_ucr
        self.available_ucr = available_ucr
        self.resets_at_us = resets_at_us


class BudgetExhausted(StorageError):
    """A budget cannot carry the hold; the member's own credits could.

    `scope` says whose budget it is, `span` is the window whose ceiling (`ceiling_ucr`) is reached;
    `needed_ucr` and `available_ucr` are micro-credits; `resets_at_us` is when its next window
    starts (Unix microseconds).
    """

    def __init__(
        self,
        *,
        scope: Scope,
        span: Span,
        ceiling_ucr: int,
        needed_ucr: int,
        available_ucr: int,
        resets_at_us: int,
    ) -> None:
        super().__init__(f"{scope} {span}: needed {needed_ucr} µcr, available {available_ucr} µcr")
        self.scope = scope
        self.span = span
        self.ceiling_ucr = ceiling_ucr
        self.needed_ucr = needed_ucr
        self.available_ucr = available_ucr
        self.resets_at_us = resets_at_us


class Duplicate(StorageError):
    """The reference was already used: the first effect stands, nothing new happened."""

    def __init__(self, *, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


class IllegalMove(StorageError):
    """A state cannot be left in the asked direction."""

    def __init__(self, *, reference: str, state: str, move: str) -> None:
        super().__init__(f"{reference}: {state} -> {move}")
        self.reference = reference
        self.state = state
        self.move = move


class UnknownReference(StorageError):
    """Nothing with this reference was ever stored."""

    def __init__(self, *, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


class StoreUnavailable(StorageError):
    """The database did not take the transaction (locked, full, I/O error); nothing changed."""

    def __init__(self, *, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class StoreCorrupt(StorageError):
    """The file is missing where one is expected, damaged, or not a database of ours."""

    def __init__(self, *, path: str, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = path
        self.cause = cause


class StoreInUse(StorageError):
    """Another live process holds the database (reliability.md S-8), since `since_us` (Unix µs)."""

    def __init__(
        self, *, path: str, pid: int | None, host: str | None, since_us: int | None = None
    ) -> None:
        super().__init__(f"{path}: held by pid {pid} on {host}")
        self.path = path
        self.pid = pid
        self.host = host
        self.since_us = since_us
