"""A town per test."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.cogs.town import Inhabited, Town


@pytest.fixture
async def town() -> AsyncGenerator[Town]:
    async with Inhabited().open() as opened:
        yield opened
