"""Far from Discord's ban: refused requests are counted, and then nothing is sent (S-13)."""

from __future__ import annotations

import asyncio

import discord
import pytest
from structlog.testing import capture_logs

from bot.discordio.rest_breaker import RestBreaker, RestLevel, RestPaused, delivering
from bot.discordio.troubles import diagnosed
from bot.errors import DiscordRefused
from bot.jobs.ports import Trouble
from bot.limits import (
    BAN_PAUSE_S,
    INVALID_REQUESTS_SPARING,
    INVALID_REQUESTS_STOP,
    INVALID_WINDOW_S,
)
from sandbox.discord.faults import Fault, parse_fault
from sandbox.discord.seed import BOT_ID, MIRA_ID
from sandbox.discord.server import TOKEN
from tests.cogs.studio import opened
from tests.cogs.town import Inhabited, Town
from tests.unit.chat.world import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> RestBreaker:
    return RestBreaker(clock)


# --- The count ------------------------------------------------------------------------------------


async def test_at_a_fifth_of_discords_limit_only_results_are_sent(
    breaker: RestBreaker, clock: FakeClock
) -> None:
    """S-13: 2,000 refused requests in ten minutes; said once, and over with the window."""
    with capture_logs() as lines:
        for status in (401, 403, 429) * 1_000:
            breaker.note(status)
    assert [line["event"] for line in lines] == ["discord_results_only"]
    breaker.check(is_result=True)
    with pytest.raises(RestPaused) as paused:
        breaker.check(is_result=False)
    await clock.sleep(paused.value.retry_after_s)
    breaker.check(is_result=False)


async def test_at_half_of_discords_limit_nothing_is_sent_for_ten_minutes(
    breaker: RestBreaker, clock: FakeClock
) -> None:
    """S-13: 5,000; an alarm, and a new beginning afterwards."""
    with capture_logs() as lines:
        for _ in range(INVALID_REQUESTS_STOP + 5):
            breaker.note(403)
    assert [line["event"] for line in lines] == ["discord_results_only", "discord_stopped"]
    assert {line["log_level"] for line in lines} == {"error"}
    with pytest.raises(RestPaused) as paused:
        breaker.check(is_result=True)
    assert paused.value.retry_after_s == pytest.approx(BAN_PAUSE_S)
    await clock.sleep(BAN_PAUSE_S)
    assert breaker.level is RestLevel.OPEN


async def test_what_does_not_count_for_discord_does_not_count_for_us(
    breaker: RestBreaker, clock: FakeClock
) -> None:
    """F-84: shared limits are nobody's fault; what is older than ten minutes is forgotten."""
    for _ in range(INVALID_REQUESTS_STOP):
        breaker.note(429, is_shared=True)
        breaker.note(404)
        breaker.note(500)
    for _ in range(4):
        for _ in range(INVALID_REQUESTS_SPARING - 1):
            breaker.note(403)
        assert breaker.level is RestLevel.OPEN
        await clock.sleep(INVALID_WINDOW_S)


def test_a_paused_request_is_tried_again_when_the_pause_is_over() -> None:
    """S-7, S-13: it passes, and says when."""
    diagnosis = diagnosed(RestPaused(retry_after_s=7.0))
    assert (diagnosis.trouble, diagnosis.retry_after_s) == (Trouble.PASSES, 7.0)


# --- Over sockets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 429])
async def test_a_ban_stops_every_request(town: Town, status: int) -> None:
    """F-85: Cloudflare's page instead of Discord's answer; not one request more for ten minutes."""
    await town.fault(path_regex=f"/users/{MIRA_ID}$", status=status, body="<html>1015</html>")
    with pytest.raises(discord.HTTPException, match="1015"):
        await town.bot.fetch_user(MIRA_ID)
    requests = len(await town.requests())
    with pytest.raises(RestPaused), delivering(is_result=True):
        await town.bot.fetch_user(MIRA_ID)
    assert len(await town.requests()) == requests
    assert town.bot.rest.level is RestLevel.STOPPED


async def test_refusals_of_discord_itself_are_counted(town: Town) -> None:
    """S-13, I-32: 403 counts once, and an answer that says `shared` does not."""
    body = {"message": "You are being rate limited.", "retry_after": 0.01, "global": False}
    headers = {"X-RateLimit-Scope": "shared"}
    path = f"/users/{MIRA_ID}$"
    await town.fault(path_regex=path, status=429, body=body, headers=headers)
    await town.fault(path_regex=path, status=403, body={"message": "no", "code": 50001})
    for _ in range(INVALID_REQUESTS_SPARING - 1):
        town.bot.rest.note(403)
    with pytest.raises(discord.HTTPException, match="50001"):
        await town.bot.fetch_user(MIRA_ID)
    assert town.bot.rest.level is RestLevel.SPARING


async def test_results_are_delivered_while_discord_is_spared() -> None:
    """S-13: the outcome comes through; progress and everything else waits."""
    async with opened() as studio:
        job = await studio.order()
        for _ in range(INVALID_REQUESTS_SPARING):
            studio.town.bot.rest.note(403)
        requests = len(await studio.town.requests())
        with pytest.raises(RestPaused):
            await studio.town.bot.fetch_user(MIRA_ID)
        await studio.delivery.show(await studio.foreman.card(job))
        assert len(await studio.town.requests()) == requests
        await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))
        assert len(await studio.town.requests()) > requests


async def test_a_token_that_is_taken_back_ends_the_run_at_once() -> None:
    """F-88: 401 on a request of the bot's own; the process ends with exit code 78."""
    inhabited = Inhabited()
    async with inhabited.served(), inhabited.client() as bot:
        running = asyncio.create_task(bot.start(TOKEN))
        await bot.wait_for("connect")
        inhabited.sandbox.core.faults.add(refusal("/users/", code=0))
        with pytest.raises(discord.HTTPException, match="401"):
            await bot.fetch_user(MIRA_ID)
        with pytest.raises(DiscordRefused) as refused:
            await running
        assert bot.is_closed()
    assert refused.value.close_code is None


async def test_an_interactions_token_that_is_over_is_no_reason_to_end(town: Town) -> None:
    """F-92: 401 of a webhook says nothing of the bot's own token."""
    town.sandbox.core.faults.add(refusal("/webhooks/", code=50027))
    hook = discord.Webhook.partial(BOT_ID, "t" * 60, client=town.bot)
    with pytest.raises(discord.HTTPException, match="401"):
        await hook.fetch_message(1)
    assert (await town.bot.fetch_user(MIRA_ID)).id == MIRA_ID


def refusal(path: str, *, code: int) -> Fault:
    order = {"path_regex": path, "status": 401, "body": {"message": "401", "code": code}}
    return parse_fault(order)
