"""Answers of Discord's, sorted for deliveries: the list of reliability.md S-7, code by code."""

from __future__ import annotations

from typing import Any

import aiohttp
import discord
import pytest

from bot.discordio.troubles import diagnosed
from bot.jobs.ports import Trouble
from bot.limits import BAN_PAUSE_S


class Answer:
    """As much of a response as discord.py's exceptions read."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.reason = "because"
        self.headers = headers or {}


def refusal(status: int, code: int, headers: dict[str, str] | None = None) -> discord.HTTPException:
    answer: Any = Answer(status, headers)
    return discord.HTTPException(answer, {"code": code, "message": "no"})


@pytest.mark.parametrize(
    ("status", "code", "trouble"),
    [
        (404, 10003, Trouble.CLOSED),
        (404, 10004, Trouble.CLOSED),
        (404, 10008, Trouble.GONE),
        (404, 10015, Trouble.TOKEN_DEAD),
        (404, 10062, Trouble.TOKEN_DEAD),
        (401, 50027, Trouble.TOKEN_DEAD),
        (400, 20016, Trouble.PASSES),
        (400, 20022, Trouble.PASSES),
        (413, 40005, Trouble.TOO_LARGE),
        (400, 50045, Trouble.TOO_LARGE),
        (413, 0, Trouble.TOO_LARGE),
        (403, 50001, Trouble.CLOSED),
        (403, 50013, Trouble.CLOSED),
        (400, 50083, Trouble.CLOSED),
        (403, 160005, Trouble.CLOSED),
        (403, 50007, Trouble.CLOSED),
        (400, 200000, Trouble.BLOCKED),
        (400, 240000, Trouble.BLOCKED),
        (400, 50035, Trouble.REFUSED),
        (404, 0, Trouble.REFUSED),
        (401, 0, Trouble.PASSES),
        (403, 0, Trouble.PASSES),
        (429, 0, Trouble.PASSES),
        (500, 0, Trouble.PASSES),
        (503, 0, Trouble.PASSES),
    ],
)
def test_each_code_has_its_meaning(status: int, code: int, trouble: Trouble) -> None:
    """Permanent ones move on, passing ones wait."""
    assert diagnosed(refusal(status, code)).trouble is trouble


def test_cloudflare_is_left_alone_for_long() -> None:
    """F-85: without Discord's own proxy header it is a ban, and requests prolong it."""
    banned = diagnosed(refusal(429, 0))
    limited = diagnosed(refusal(429, 0, {"Via": "1.1 google"}))

    assert banned.retry_after_s == BAN_PAUSE_S
    assert limited.retry_after_s < BAN_PAUSE_S


def test_a_long_rate_limit_says_its_own_time() -> None:
    """F-84."""
    assert diagnosed(discord.RateLimited(3_600.0)).retry_after_s == 3_600.0


@pytest.mark.parametrize("error", [aiohttp.ClientError(), OSError(), TimeoutError()])
def test_the_network_comes_back(error: Exception) -> None:
    assert diagnosed(error).trouble is Trouble.PASSES


def test_the_librarys_own_refusal_is_final() -> None:
    assert diagnosed(discord.ClientException()).trouble is Trouble.REFUSED
