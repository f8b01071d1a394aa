"""Servers of the sandbox on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.provider_client import Provider, running_provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """The simulated provider, answering as fast as it can."""
    async with running_provider() as running:
        yield running
