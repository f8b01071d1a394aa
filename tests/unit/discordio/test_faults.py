"""Discord's exceptions in our words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import pytest
from discord import app_commands

from bot.discordio.faults import as_surface_error, is_worth_an_alarm, translated
from bot.discordio.surface import MessageGone, SurfaceBusy, SurfaceClosed
from bot.errors import (
    BotPermissionMissing,
    GuildOnly,
    PermissionMissing,
    PromptEmpty,
    Unexpected,
)
from storage.errors import Duplicate, StoreUnavailable


def answer(status: int, code: int = 0) -> discord.HTTPException:
    """What discord.py raises for an answer with this status and code."""
    response: Any = SimpleNamespace(status=status, reason="x")
    return discord.HTTPException(response, {"code": code, "message": "x"})


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (discord.RateLimited(90.0), SurfaceBusy),
        (answer(429), SurfaceBusy),
        (answer(503), SurfaceBusy),
        (TimeoutError(), SurfaceBusy),
        (ConnectionResetError(104, "x"), SurfaceBusy),
        (aiohttp.ClientError(), SurfaceBusy),
        (answer(404, 10008), MessageGone),
        (answer(403, 50001), SurfaceClosed),
        (answer(403, 50013), SurfaceClosed),
        (answer(404, 10003), SurfaceClosed),
        (answer(401, 50027), SurfaceClosed),
        (answer(400, 200000), SurfaceClosed),
    ],
    ids=repr,
)
def test_every_trouble_has_a_meaning(error: Exception, meaning: type[Exception]) -> None:
    """Try again, write anew, or go elsewhere."""
    assert isinstance(as_surface_error(error), meaning)


def test_the_wait_that_discord_names_is_kept() -> None:
    """F-84."""
    busy = as_surface_error(discord.RateLimited(90.0))

    assert isinstance(busy, SurfaceBusy)
    assert busy.retry_after_s == 90.0


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (app_commands.NoPrivateMessage(), GuildOnly),
        (app_commands.MissingPermissions(["manage_guild"]), PermissionMissing),
        (app_commands.BotMissingPermissions(["send_messages"]), BotPermissionMissing),
        (ValueError("x"), Unexpected),
    ],
    ids=repr,
)
def test_foreign_errors_become_ours_with_their_cause(
    error: Exception, ours: type[Exception]
) -> None:
    """The log has the cause, the member the words."""
    found = translated(error, reference="i:1")

    assert isinstance(found, ours)
    assert found.__cause__ is error


def test_our_own_errors_go_through_unchanged() -> None:
    """Also out of the wrapping of a command."""
    error = PromptEmpty()

    assert translated(error, reference="i:1") is error


@pytest.mark.parametrize(
    ("error", "alarm"),
    [
        (PromptEmpty(), False),
        (Duplicate(reference="m:1"), False),
        (StoreUnavailable(cause="x"), True),
        (Unexpected(reference="m:1"), True),
    ],
    ids=repr,
)
def test_only_what_needs_somebody_is_an_alarm(error: Exception, alarm: bool) -> None:  # noqa: FBT001 - a parameter of the test.
    """A typing mistake of a member is everyday life."""
    assert is_worth_an_alarm(error) is alarm
