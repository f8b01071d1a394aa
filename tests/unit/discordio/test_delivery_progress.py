"""The card while a job runs: up to date, best effort, never in the way of the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from storage.types import JobStatus
from tests.cogs.mishaps import (
    CHANNEL,
    EDIT,
    paths,
    refused,
    remove,
    without_token,
)
from tests.cogs.studio import Studio, gallery, labels, opened
from tests.cogs.town import words


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened() as made:
        yield made


# --- Progress ------------------------------------------------------------------------------------


async def test_progress_is_told_on_the_card(studio: Studio) -> None:
    """A bar, and times that Discord counts by itself."""
    job = await studio.order()
    running = studio.foreman.start(job, progress=30)
    facts = replace(await studio.foreman.card(job), job=running)

    message_id = await studio.delivery.show(facts)

    shown = await studio.card(job)
    assert message_id == int(shown["id"])
    assert "▰▰▰▱▱▱▱▱▱▱ 30 %" in words(shown)
    assert labels(shown) == []


async def test_an_edit_that_changes_nothing_is_not_sent(studio: Studio) -> None:
    """asks.md 28: edits are limited per channel."""
    job = await studio.order()
    facts = await studio.foreman.card(job)
    before = len(await studio.town.requests())

    for _ in range(3):
        assert await studio.delivery.show(facts) is not None

    assert len(await studio.town.requests()) == before


async def test_a_result_is_never_covered_by_late_progress(studio: Studio) -> None:
    """A slow edit of the bar may come after the picture."""
    job = await studio.order()
    running = replace(await studio.foreman.card(job), job=replace(job, status=JobStatus.SUBMITTING))
    await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))

    await studio.delivery.show(running)
    await studio.delivery.show_first(running)

    assert gallery(await studio.card(job))


async def test_progress_goes_by_the_token_where_the_bot_may_not_edit(studio: Studio) -> None:
    job = await studio.order()
    await refused(studio, "PATCH", EDIT, 403, 50001)
    facts = replace(await studio.foreman.card(job), job=studio.foreman.start(job))

    await studio.delivery.show(facts)

    assert "In the making" in words(await studio.card(job))


async def test_progress_never_brings_a_deleted_card_back(studio: Studio) -> None:
    """F-90: it comes once more with its outcome, not with every per cent."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    for progress in (10, 20):
        facts = await studio.foreman.card(job)
        running = replace(facts.job, status=JobStatus.RUNNING, progress=progress)
        assert await studio.delivery.show(replace(facts, job=running)) is None

    assert await studio.town.from_bot() == []
    assert len(await paths(studio, "PATCH", CHANNEL)) == 1


async def test_without_a_card_and_without_a_token_progress_gets_a_message(studio: Studio) -> None:
    """The process ended between acceptance and card, and stayed away for long."""
    job = await studio.order()
    await remove(studio, studio.foreman.fresh(job).card_message_id)
    lost = without_token(replace(job, card_message_id=None))
    facts = replace(await studio.foreman.card(job), job=lost)
    delivery = studio.inhabited.sinks(studio.town.bot.messages)

    message_id = await delivery.show(facts)

    (shown,) = await studio.town.from_bot()
    assert message_id == int(shown["id"])
    assert shown["notified"] == []


@pytest.mark.parametrize(
    ("fault", "again"), [({"delay_s": 9}, True), ({"drop": True}, True), ({"status": 418}, False)]
)
async def test_showing_never_raises(
    studio: Studio, fault: dict[str, Any], *, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is not worth a failed job, nor a long wait; what passes is tried again."""
    monkeypatch.setattr("bot.jobs.sinks.SHOW_TIMEOUT_S", 0.3)
    job = await studio.order()
    await studio.town.fault(method="PATCH", path_regex=EDIT, **fault)
    facts = await studio.foreman.card(job)
    running = replace(facts.job, status=JobStatus.RUNNING, progress=5)

    async with asyncio.timeout(15):
        shown = await studio.delivery.show(replace(facts, job=running))
    assert (shown is None) is again
