"""Looks for a message that a former process posted: every card names its job.

Our clock says where it is likely to be. That clock may have been wrong, so it never says where a
message cannot be: ids tell Discord's own time (F-118).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
from discord.utils import time_snowflake

from bot.limits import CLOCKS_APART_S_MAX, POSTED_SEARCH_MESSAGES_MAX
from storage.types import Job

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def find_posted(
    channel: discord.PartialMessageable,
    job: Job,
    client: discord.Client,
    *,
    after_us: int,
    with_answers: bool,
) -> int | None:
    """The newest message of ours since then that shows `job`; raises what the history does.

    When there is none: the newest one after the job's card, from now back. Neither search reads
    more than `POSTED_SEARCH_MESSAGES_MAX`. What answered an interaction, as most cards do, counts
    only `with_answers`.
    """
    command = _command_id(job)
    then = _EPOCH + timedelta(microseconds=after_us, seconds=-CLOCKS_APART_S_MAX)
    after = discord.Object(max(time_snowflake(then, high=True), command))

    def is_it(message: discord.Message) -> bool:
        is_ours = message.author == client.user and _shows(message.components, job)
        return is_ours and (with_answers or message.interaction_metadata is None)

    read, found = 0, None
    async for message in channel.history(after=after, limit=POSTED_SEARCH_MESSAGES_MAX):
        read += 1
        if is_it(message):
            found = message.id
    end = discord.Object(max(job.card_message_id or 0, command))
    if found is not None or (read < POSTED_SEARCH_MESSAGES_MAX and after.id <= end.id):
        return found
    newest_first = channel.history(after=end, oldest_first=False, limit=POSTED_SEARCH_MESSAGES_MAX)
    async for message in newest_first:
        if is_it(message):
            return message.id
    return None


def _command_id(job: Job) -> int:
    """The interaction that ordered it: no message about the job is older."""
    return int(job.reference.removeprefix("i:"))


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
