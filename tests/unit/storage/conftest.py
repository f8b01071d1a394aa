"""Databases for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.unit.storage.bank import Bank, Town
from tests.unit.storage.workshop import Workshop


@pytest.fixture
def bank() -> Iterator[Bank]:
    """A fresh ledger; whatever a test did to it, the books must be sound afterwards."""
    fresh = Bank()
    yield fresh
    fresh.assert_sound()
    fresh.database.engine.dispose()


@pytest.fixture
def town() -> Iterator[Town]:
    """Servers without a budget yet; whatever a test did to them, the books must be sound."""
    fresh = Town()
    yield fresh
    fresh.assert_sound()
    fresh.database.engine.dispose()


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    """No jobs yet; whatever a test did to them, they and the books must be sound afterwards."""
    fresh = Workshop()
    yield fresh
    fresh.assert_sound()
    fresh.database.engine.dispose()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a database file does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'atelier.db'}"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The real one: a file, aiosqlite's thread, the lock."""
    opened = await Database.open(url)
    yield opened
    await opened.close()
