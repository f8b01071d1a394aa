"""Asks Discord once whom the token belongs to, without connecting: `check --online`."""

from __future__ import annotations

import asyncio

import discord

from bot.discordio import endpoints
from bot.discordio.faults import REACHABILITY_ERRORS
from bot.errors import DiscordRefused, DiscordUnreachable
from bot.limits import GET_TIMEOUT_S

_NOT_DISCORD = (LookupError, TypeError, ValueError, AttributeError)
"""What discord.py stumbles over when something else answers, such as a login page."""


async def bot_name(*, api_url: str, token: str) -> str:
    """Log in by REST only; the bot's name. Raises `DiscordRefused`, `DiscordUnreachable`."""
    endpoints.use_api(api_url)
    # Never used: without guilds the library would warn.
    client = discord.Client(intents=discord.Intents(guilds=True))
    try:
        async with asyncio.timeout(GET_TIMEOUT_S), client:
            await client.login(token)
            return str(client.user)
    except discord.LoginFailure as error:
        raise DiscordRefused from error
    except (*REACHABILITY_ERRORS, *_NOT_DISCORD) as error:
        raise DiscordUnreachable(attempts=1) from error
