"""What an answer of Discord's means for a delivery: try later, go elsewhere, leave the file out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import aiohttp
import discord

from bot.limits import BAN_PAUSE_S, DELIVERY_RETRY_S


class Trouble(Enum):
    PASSES = auto()
    """429, 5xx, the network: the same again, later."""
    GONE = auto()
    """The message was deleted; on a create, its twin with the same nonce was (F-91)."""
    CLOSED = auto()
    """Nothing can be written there: no permission, no channel, a locked thread, a closed DM."""
    TOO_LARGE = auto()
    TOKEN_DEAD = auto()
    """The interaction's token has ended (F-92)."""
    BLOCKED = auto()
    """A filter of the server took it (F-97)."""
    REFUSED = auto()
    """Something else that will not change by itself."""


_CODES = {
    10003: Trouble.CLOSED,  # unknown channel
    10004: Trouble.CLOSED,  # unknown guild
    10008: Trouble.GONE,
    10015: Trouble.TOKEN_DEAD,  # unknown webhook
    10062: Trouble.TOKEN_DEAD,  # unknown interaction
    40005: Trouble.TOO_LARGE,
    50001: Trouble.CLOSED,  # missing access
    50007: Trouble.CLOSED,  # cannot send messages to this user
    50013: Trouble.CLOSED,  # missing permissions
    50027: Trouble.TOKEN_DEAD,
    50045: Trouble.TOO_LARGE,
    50083: Trouble.CLOSED,  # thread is archived
    160005: Trouble.CLOSED,  # thread is locked
    200000: Trouble.BLOCKED,
    240000: Trouble.BLOCKED,
}
"""Discord's JSON error codes (reliability.md S-7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    trouble: Trouble
    retry_after_s: float = DELIVERY_RETRY_S


def diagnosed(error: Exception) -> Diagnosis:
    """Sort one of `faults.DISCORD_ERRORS`."""
    match error:
        case discord.RateLimited():
            return Diagnosis(trouble=Trouble.PASSES, retry_after_s=error.retry_after)
        case discord.HTTPException():
            return _answer(error)
        case aiohttp.ClientError() | OSError():
            return Diagnosis(trouble=Trouble.PASSES)
        case _:
            return Diagnosis(trouble=Trouble.REFUSED)


def _answer(error: discord.HTTPException) -> Diagnosis:
    if error.status >= 500:
        return Diagnosis(trouble=Trouble.PASSES)
    if error.status == 429 or (error.status == 403 and error.code == 0):
        # Without Discord's own proxy header, or with a page for an answer, it is Cloudflare (F-85).
        from_discord = error.status == 429 and "Via" in error.response.headers
        return Diagnosis(
            trouble=Trouble.PASSES, retry_after_s=DELIVERY_RETRY_S if from_discord else BAN_PAUSE_S
        )
    if error.status == 413:
        return Diagnosis(trouble=Trouble.TOO_LARGE)
    if error.code in _CODES:
        return Diagnosis(trouble=_CODES[error.code])
    if error.status == 401:  # the bot's own token: the client is about to end (F-88)
        return Diagnosis(trouble=Trouble.PASSES, retry_after_s=BAN_PAUSE_S)
    return Diagnosis(trouble=Trouble.REFUSED)
