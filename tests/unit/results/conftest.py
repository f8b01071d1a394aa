"""A host of files, running."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.results.files import FileHost


@pytest.fixture
async def host() -> AsyncIterator[FileHost]:
    async with FileHost().running() as running:
        yield running
