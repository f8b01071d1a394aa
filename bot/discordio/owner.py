"""A direct message to whoever owns the application: the operator, as far as Discord knows."""

from __future__ import annotations

import discord
import structlog

from bot.discordio.faults import DISCORD_ERRORS

_log = structlog.get_logger(__name__)


async def tell_owner(client: discord.Client, text: str) -> bool:
    """Send `text`; False while we are not logged in, so that it can be tried again.

    Best effort: an owner who takes no direct messages has the log.
    """
    application = client.application
    if application is None:
        return False
    owner_id = (application.team and application.team.owner_id) or application.owner.id
    try:
        channel = await client.create_dm(discord.Object(owner_id))
        await channel.send(text)
    except DISCORD_ERRORS as error:
        _log.warning("operator_not_told", error=repr(error))
    return True
