"""What goes wrong around a delivery, and what the bot asked of Discord meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sandbox.discord.seed import BOT_ID, GENERAL_ID
from storage.types import Job
from tests.cogs.studio import Studio
from tests.cogs.town import Json
from tests.e2e.openapi import load

CHANNEL = rf"/channels/{GENERAL_ID}/messages"
EDIT = rf"{CHANNEL}/\d+$"
CREATE = rf"{CHANNEL}$"
MEBIBYTE = 1_048_576
SEND_MESSAGES, VIEW_CHANNEL, READ_MESSAGE_HISTORY = 1 << 11, 1 << 10, 1 << 16


def without_token(job: Job) -> Job:
    return replace(job, interaction_token=None, interaction_expires_us=None)


async def refused(studio: Studio, method: str, path: str, status: int, code: int) -> None:
    await studio.town.fault(
        method=method, path_regex=path, status=status, body={"message": "no", "code": code}
    )


async def paths(studio: Studio, method: str, part: str) -> list[Json]:
    """Requests of one method whose path contains `part`."""
    return [
        one
        for one in await studio.town.requests()
        if one["method"] == method and part in one["path"]
    ]


async def remove(studio: Studio, message_id: str | int | None) -> None:
    """The member takes the bot's message away, as a moderator would."""
    message = studio.town.sandbox.world.find_message(int(message_id or 0))
    assert message is not None
    studio.town.sandbox.core.posting.delete(message)


async def close_channel(studio: Studio) -> None:
    """Staff take the bot's right to write and to see away."""
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(SEND_MESSAGES | VIEW_CHANNEL)}
    await studio.town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)


def problems(requests: Sequence[Json]) -> list[str]:
    """What is wrong with the requests by Discord's own description."""
    description = load()
    if description is None:
        pytest.skip("Discord's description is not beside the repository")
    return [
        problem
        for request in requests
        if not request["path"].startswith("/applications")  # discord.py's own departures
        for problem in description.problems(request["method"], request["path"], request["body"])
    ]
