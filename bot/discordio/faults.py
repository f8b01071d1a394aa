"""Discord's own exceptions in our words: nothing of theirs goes further in than this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import discord
from discord import app_commands

from bot.discordio.rest_breaker import RestPaused
from bot.discordio.surface import MessageGone, SurfaceBusy, SurfaceClosed, SurfaceError
from bot.errors import (
    AtelierError,
    BotPermissionMissing,
    CommandOutdated,
    GuildOnly,
    InvalidInput,
    PermissionMissing,
    Refused,
    Unexpected,
)
from bot.limits import ASKED_WAIT_S_MAX, BAN_PAUSE_S
from storage.errors import BudgetExhausted, Duplicate, InsufficientCredits, StorageError

REACHABILITY_ERRORS = (
    discord.HTTPException,
    discord.RateLimited,
    discord.GatewayNotFound,
    aiohttp.ClientError,
    OSError,  # which TimeoutError is one of
)
"""What a login meets while Discord or the network takes nothing; trying again may help."""

DISCORD_ERRORS = (discord.DiscordException, aiohttp.ClientError, OSError)
"""Everything a call into discord.py can raise beside bugs of ours."""

UNKNOWN_MESSAGE = 10008
"""Deleted in between; also the answer to a create whose first message was deleted (F-91)."""
ALREADY_ACKNOWLEDGED = 40060
"""A second first answer: ours got through although its reply was lost."""

_FOREIGN: dict[type[BaseException], Callable[[Any], Exception]] = {
    app_commands.CommandNotFound: lambda _: CommandOutdated(),
    app_commands.CommandSignatureMismatch: lambda _: CommandOutdated(),
    app_commands.NoPrivateMessage: lambda _: GuildOnly(),
    app_commands.MissingPermissions: lambda e: PermissionMissing(
        permission=e.missing_permissions[0]
    ),
    app_commands.BotMissingPermissions: lambda e: BotPermissionMissing(
        permission=e.missing_permissions[0]
    ),
}


def translated(error: Exception, *, reference: str) -> Exception:
    """One of our errors for whatever a command or listener raised; bugs become `Unexpected`."""
    if isinstance(error, app_commands.CommandInvokeError):
        error = error.original
    if isinstance(error, AtelierError | StorageError):
        return error
    row = next((_FOREIGN[cls] for cls in type(error).__mro__ if cls in _FOREIGN), None)
    ours = row(error) if row is not None else Unexpected(reference=reference)
    ours.__cause__ = error
    return ours


def is_answered_elsewhere(error: BaseException | None) -> bool:
    """Whether Discord has an answer to this interaction that we do not know of (F-100)."""
    if isinstance(error, app_commands.CommandInvokeError):
        error = error.original
    return isinstance(error, discord.HTTPException) and error.code == ALREADY_ACKNOWLEDGED


def is_worth_an_alarm(error: Exception) -> bool:
    """Whether the operator should look; a refusal or a typing mistake is everyday life."""
    everyday = InvalidInput | Refused | InsufficientCredits | BudgetExhausted | Duplicate
    return not isinstance(error, everyday)


def asked_wait_s(error: Exception) -> float:
    """How long nothing may be sent, as Discord or our own breaker says; 0 when neither does."""
    match error:
        case discord.RateLimited(retry_after=wait_s) | RestPaused(retry_after_s=wait_s):
            return min(wait_s, ASKED_WAIT_S_MAX)
        case _:
            return 0.0


def as_surface_error(error: Exception) -> SurfaceError:
    """What one of `DISCORD_ERRORS` means for the place where an answer stands."""
    match error:
        case discord.RateLimited(retry_after=wait_s) | RestPaused(retry_after_s=wait_s):
            return SurfaceBusy(retry_after_s=wait_s)
        case discord.Forbidden() if error.code == 0:  # Cloudflare's, not Discord's (F-85)
            return SurfaceBusy(retry_after_s=BAN_PAUSE_S)
        case discord.HTTPException() if error.status == 429 or error.status >= 500:
            return SurfaceBusy()
        case discord.HTTPException() if error.code == UNKNOWN_MESSAGE:
            return MessageGone()
        case discord.DiscordException():
            return SurfaceClosed(f"{type(error).__name__}: {error}")
        case _:
            return SurfaceBusy()
