"""In which order the tests are run, and that no property fails because the machine is busy."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, settings

LONGEST: Final = (
    "tests/kill_loop/",
    "tests/flood/",
    "tests/simulation/",
    "tests/unit/storage/test_ledger_machine.py",
    "tests/unit/storage/test_jobs_machine.py",
    "tests/e2e/",
)
"""What takes long comes first, so that no process is left alone with it at the end."""

# Beside what Hypothesis chooses by itself, such as the same examples always where CI is set.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by that, and leave the rest as it was shuffled."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    found = (turn for turn, start in enumerate(LONGEST) if item.nodeid.startswith(start))
    return next(found, len(LONGEST))
