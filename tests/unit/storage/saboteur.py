"""Fails the n-th statement of a transaction, for every n."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from sqlalchemy import event

from storage.errors import StoreUnavailable
from storage.inline import InlineDatabase
from tests.unit.storage.bank import Bank, snapshot

AnyBank = TypeVar("AnyBank", bound=Bank)

MOMENTS = ("before_cursor_execute", "after_cursor_execute")
"""A statement fails before its effect, or after it."""
STATEMENTS_MAX = 200
"""No transaction of ours comes near: reaching it means that the hook never let go."""


class Saboteur:
    """Lets statements through until the chosen one, which fails before or after its effect."""

    def __init__(self, *, fail_at: int, moment: str) -> None:
        self.fail_at = fail_at
        self.moment = moment
        self.seen = 0

    def __call__(self, *_arguments: Any) -> None:
        self.seen += 1
        if self.seen == self.fail_at:
            raise sqlite3.OperationalError("disk I/O error")

    @contextmanager
    def at_work(self, database: InlineDatabase) -> Iterator[None]:
        event.listen(database.engine, self.moment, self)
        try:
            yield
        finally:
            event.remove(database.engine, self.moment, self)


def assert_all_or_nothing(bank: AnyBank, act: Callable[[AnyBank], object], *, moment: str) -> None:
    """The tables are as before until no statement fails any more; then they are not."""
    before = bank.database.view(snapshot)
    for fail_at in range(1, STATEMENTS_MAX):
        saboteur = Saboteur(fail_at=fail_at, moment=moment)
        with saboteur.at_work(bank.database):
            if fail_at > 1 and _succeeds(act, bank):
                break
            if fail_at == 1:
                with pytest.raises(StoreUnavailable):
                    act(bank)
        assert bank.database.view(snapshot) == before
    assert saboteur.seen == fail_at - 1 > 2
    assert bank.database.view(snapshot) != before
    bank.assert_sound()


def _succeeds(act: Callable[[AnyBank], object], bank: AnyBank) -> bool:
    try:
        act(bank)
    except StoreUnavailable:
        return False
    return True
