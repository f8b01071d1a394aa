"""What an answer of Discord's means for a delivery: try later, go elsewhere, leave the file out."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
import discord

from bot.discordio.rest_breaker import RestPaused
from bot.jobs.ports import MessageTrouble, Trouble
from bot.limits import BAN_PAUSE_S, DELIVERY_RETRY_S

_CODES = {
    10003: Trouble.CLOSED,  # unknown channel
    10004: Trouble.CLOSED,  # unknown guild
    10008: Trouble.GONE,
    10015: Trouble.TOKEN_DEAD,  # unknown webhook
    10062: Trouble.TOKEN_DEAD,  # unknown interaction
    20016: Trouble.PASSES,  # slow mode
    20022: Trouble.PASSES,  # announcements are edited a few times an hour
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
        case RestPaused():
            return Diagnosis(trouble=Trouble.PASSES, retry_after_s=error.retry_after_s)
        case aiohttp.ClientError() | OSError():
            return Diagnosis(trouble=Trouble.PASSES)
        case _:
            return Diagnosis(trouble=Trouble.REFUSED)


def as_trouble(error: Exception, *, may_be_done: bool) -> MessageTrouble:
    """One of `faults.DISCORD_ERRORS` as the jobs know it; see `rest_breaker.Tries`."""
    diagnosis = diagnosed(error)
    return MessageTrouble(
        diagnosis.trouble, retry_after_s=diagnosis.retry_after_s, may_be_done=may_be_done
    )


def _answer(error: discord.HTTPException) -> Diagnosis:
    if error.status >= 500:
        return Diagnosis(trouble=Trouble.PASSES)
    if error.status == 429 or (error.status == 403 and error.code == 0):
        # Without Discord's own proxy header, or with a page for an answer, it is Cloudflare (F-85).
        from_discord = error.status == 429 and not _is_page(error)
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


def _is_page(error: discord.HTTPException) -> bool:
    """Whether Cloudflare wrote it: a page, or no sign of the proxy before Discord."""
    headers = error.response.headers
    return not headers.get("Via") or "text/html" in headers.get("Content-Type", "")
