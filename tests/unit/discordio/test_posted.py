"""A message of ours is known by its small print or its buttons, never by a prompt."""

from __future__ import annotations

from discord import ui

from bot.discordio.job_cards import job_button
from bot.discordio.posted import _shows
from bot.text.jobs import JobAction
from tests.unit.text.test_jobs import DONE

OTHER = "0" * 8


def test_a_button_names_its_job() -> None:
    """S-7: the marker that no text can imitate."""
    row: ui.ActionRow[ui.LayoutView] = ui.ActionRow(job_button(JobAction.AGAIN, DONE.short_id))
    other: ui.ActionRow[ui.LayoutView] = ui.ActionRow(job_button(JobAction.AGAIN, OTHER))
    assert _shows([ui.Container(row)], DONE)
    assert not _shows([ui.Container(other)], DONE)


def test_the_small_print_names_its_job() -> None:
    """In its own line only: a prompt stands in a heading, and is cleaned."""
    told = ui.TextDisplay[ui.LayoutView](f"### a fox\n-# not charged · job {DONE.short_id}")
    prompt = ui.TextDisplay[ui.LayoutView](f"### a fox -# job {DONE.short_id}")
    assert _shows([told], DONE)
    assert not _shows([prompt], DONE)
