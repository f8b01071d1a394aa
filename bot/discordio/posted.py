"""Looks for a message that a former process posted: every card names its job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import discord

from bot.discordio.troubles import Trouble, diagnosed
from bot.limits import POSTED_SEARCH_MESSAGES_MAX
from storage.types import Job

_CLOCKS_S_MAX = 60
"""Our clock and Discord's may differ by this much."""


async def find_posted(
    channel: discord.PartialMessageable | discord.DMChannel, job: Job, client: discord.Client
) -> discord.Message | None:
    """The newest message of ours that shows `job`; None also where we may not read (S-7).

    Raises what passes: then nobody knows whether it was posted.
    """
    begun = datetime.fromtimestamp(job.created_us / 1_000_000, tz=UTC)
    after = begun - timedelta(seconds=_CLOCKS_S_MAX)
    try:
        async for message in channel.history(limit=POSTED_SEARCH_MESSAGES_MAX):
            if message.created_at < after:
                return None
            if message.author == client.user and _shows(message.components, job):
                return message
    except discord.HTTPException as error:
        if diagnosed(error).trouble is Trouble.PASSES:
            raise
    return None


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
