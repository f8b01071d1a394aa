"""Looks for a message that a former process posted: every card names its job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import discord

from bot.limits import CLOCKS_APART_S_MAX, POSTED_SEARCH_MESSAGES_MAX
from storage.types import Job


async def find_posted(
    channel: discord.PartialMessageable, job: Job, client: discord.Client, *, after_us: int
) -> int | None:
    """The newest message of ours since then that shows `job`; raises what the history does."""
    after = datetime.fromtimestamp(after_us / 1_000_000, tz=UTC)
    after -= timedelta(seconds=CLOCKS_APART_S_MAX)
    found = None
    async for message in channel.history(after=after, limit=POSTED_SEARCH_MESSAGES_MAX):
        if message.author == client.user and _shows(message.components, job):
            found = message.id
    return found


async def is_readable(channel: discord.PartialMessageable) -> bool:
    """Whether old messages are told; without that right Discord says that there are none."""
    async for _message in channel.history(limit=1):
        return True
    return False


def _shows(components: Iterable[Any], job: Job) -> bool:
    """Whether the small print or a button names the job; a prompt can be neither."""
    small_print = re.compile(rf"^-# .*\bjob {job.short_id}\b", re.MULTILINE)
    button = re.compile(rf"job:[^:]+:{job.short_id}")
    for component in components:
        if small_print.search(getattr(component, "content", None) or ""):
            return True
        if button.fullmatch(getattr(component, "custom_id", None) or ""):
            return True
        if _shows(getattr(component, "children", ()), job):
            return True
    return False
