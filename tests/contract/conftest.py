"""Servers of the sandbox on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.provider_client import Provider, running_provider
from tests.contract.task_client import Ear, Tasks, listening, running_tasks


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """The simulated provider, answering as fast as it can."""
    async with running_provider() as running:
        yield running


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """The simulated provider, whose tasks end as soon as they are drawn."""
    async with running_tasks() as running:
        yield running


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    """A server that takes callbacks."""
    async with listening() as heard:
        yield heard
