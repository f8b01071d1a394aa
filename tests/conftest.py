"""In which order the tests are run."""

from __future__ import annotations

from typing import Final

import pytest

LONGEST: Final = (
    "tests/kill_loop/",
    "tests/flood/",
    "tests/simulation/",
    "tests/unit/storage/test_ledger_machine.py",
    "tests/unit/storage/test_jobs_machine.py",
    "tests/e2e/",
)
"""What takes long comes first, so that no process is left alone with it at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by that, and leave the rest as it was shuffled."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    found = (turn for turn, start in enumerate(LONGEST) if item.nodeid.startswith(start))
    return next(found, len(LONGEST))
