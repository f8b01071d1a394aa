"""Files that are too large, troubles that pass, and the shape of every request (S-7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from bot.jobs.ports import DeliveryPostponed
from bot.limits import BAN_PAUSE_S
from sandbox.discord.seed import GUILD_ID
from storage.types import Outcome, Sink
from tests.cogs.foreman import PNG
from tests.cogs.mishaps import (
    EDIT,
    MEBIBYTE,
    problems,
    refused,
    remove,
)
from tests.cogs.studio import Studio, gallery, opened
from tests.cogs.town import words


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened() as made:
        yield made


# --- Files that are too large --------------------------------------------------------------------


async def test_above_the_servers_limit_there_is_a_link_and_its_end(studio: Studio) -> None:
    """asks.md 25: checked before the upload, told to the member."""
    job = studio.foreman.succeed(
        await studio.order(),
        size_bytes=12 * MEBIBYTE,
        source_url="https://files.example/a.png?sig=1",
        source_expires_us=4_000_000_000_000_000,
    )

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert delivered.sink is Sink.CARD
    assert not delivered.is_uploaded
    assert "The file (12 MiB) is above the 10 MiB allowed here." in words(shown)
    link = "[Open the picture](<https://files.example/a.png?sig=1>), until <t:4000000000:f>"
    assert link in words(shown)
    assert not gallery(shown)


@pytest.mark.parametrize("code", [40005, 50045])
async def test_a_file_that_discord_refuses_becomes_a_link(studio: Studio, code: int) -> None:
    """F-96, F-101: the limit may have changed since we knew it."""
    job = studio.foreman.succeed(await studio.order(), source_url="https://files.example/a.png")
    await refused(studio, "PATCH", EDIT, 413, code)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert delivered.sink is Sink.CARD
    assert "is too large for Discord" in words(shown)
    assert "[Open the picture](<https://files.example/a.png>)" in words(shown)


async def test_without_a_link_a_large_file_waits_in_the_list(studio: Studio) -> None:
    """The card says so: the job is over, the file is kept."""
    job = studio.foreman.succeed(await studio.order(), size_bytes=12 * MEBIBYTE)

    delivered = await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert delivered.sink is Sink.LIST
    assert f"`/jobs show {job.short_id}`" in words(shown)


async def test_an_expired_link_is_not_offered(studio: Studio) -> None:
    job = studio.foreman.succeed(
        await studio.order(),
        size_bytes=12 * MEBIBYTE,
        source_url="https://files.example/a.png",
        source_expires_us=1,
    )

    await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert "files.example" not in words(shown)


async def test_a_file_that_is_gone_is_told(studio: Studio) -> None:
    """Somebody emptied the folder: the member is not left with an empty card."""
    job = studio.foreman.succeed(await studio.order(), data=None)

    await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert "The file is no longer here." in words(shown)


async def test_a_boosted_server_takes_more(studio: Studio) -> None:
    """F-101: the limit is read from the server, not known by heart."""
    guild = studio.town.bot.get_guild(GUILD_ID)
    assert guild is not None
    guild.premium_tier = 2
    studio.town.sandbox.core.store.file_bytes_max = 50 * MEBIBYTE
    data = PNG + bytes(11 * MEBIBYTE)
    job = studio.foreman.succeed(await studio.order(), data=data)

    await studio.foreman.deliver(studio.delivery, job)

    (shown,) = await studio.town.from_bot()
    assert shown["attachments"][0]["size"] == len(data)


# --- Troubles that pass --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "retry_after_s"),
    [
        ({"status": 429, "body": {"message": "x", "retry_after": 3600.0, "global": False}}, 3600.0),
        ({"status": 503}, None),
        ({"drop": True}, None),
    ],
)
async def test_what_passes_is_tried_again_later(
    studio: Studio, fault: dict[str, Any], retry_after_s: float | None
) -> None:
    """F-84: no next sink for a trouble that ends by itself."""
    job = studio.foreman.succeed(await studio.order())
    await studio.town.fault(method="PATCH", path_regex=EDIT, **fault)

    with pytest.raises(DeliveryPostponed) as postponed:
        await studio.foreman.deliver(studio.delivery, job)
    delivered = await studio.foreman.deliver(studio.delivery, job)

    assert retry_after_s is None or postponed.value.retry_after_s == retry_after_s
    assert delivered.sink is Sink.CARD


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Via": ""}, "body": "<html>banned</html>"},
        {"status": 403, "body": "<html>1015</html>"},
    ],
)
async def test_a_result_waits_out_a_ban(studio: Studio, fault: dict[str, Any]) -> None:
    """F-85: nothing more is sent for ten minutes, and no next sink is tried."""
    job = studio.foreman.succeed(await studio.order())
    await studio.town.fault(method="PATCH", path_regex=EDIT, **fault)
    requests = len(await studio.town.requests())

    for _ in range(3):
        with pytest.raises(DeliveryPostponed) as postponed:
            await studio.foreman.deliver(studio.delivery, job)
        assert postponed.value.retry_after_s == pytest.approx(BAN_PAUSE_S, abs=5)

    assert len(await studio.town.requests()) == requests + 1


async def test_giving_up_in_a_global_limit_holds_nobody_back(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-84: discord.py holds all requests back until the one that met the limit has slept."""
    monkeypatch.setattr("bot.jobs.sinks.SHOW_TIMEOUT_S", 0.2)
    monkeypatch.setattr("bot.discordio.endpoints.GLOBAL_LIMIT_REST_S", 0.2)
    first, second = await studio.order(), await studio.order()
    await studio.town.fault(method="PATCH", path_regex=EDIT, status=429, body=limit("global", 30.0))
    running = replace(await studio.foreman.card(first), job=studio.foreman.start(first))

    await studio.delivery.show(running)
    async with asyncio.timeout(5):
        delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(second))

    assert delivered.sink is Sink.CARD


@pytest.mark.parametrize("scope", ["user", "shared"])
async def test_a_limit_of_one_route_leaves_the_others_alone(studio: Studio, scope: str) -> None:
    """F-84: an hour in one channel; meanwhile another one is served at once."""
    elsewhere = await studio.town.dm("mira")
    first, second = await studio.order(), await studio.order(channel=elsewhere)
    await studio.town.fault(method="PATCH", path_regex=EDIT, status=429, body=limit(scope, 3_600.0))

    with pytest.raises(DeliveryPostponed) as postponed:
        await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(first))
    async with asyncio.timeout(5):
        delivered = await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(second))

    assert postponed.value.retry_after_s == 3_600.0
    assert delivered.sink is Sink.CARD


def limit(scope: str, retry_after_s: float) -> dict[str, Any]:
    """The body of a 429."""
    return {"message": "x", "retry_after": retry_after_s, "global": scope == "global"}


@pytest.mark.parametrize("code", [20016, 20022])
async def test_slow_mode_and_announcements_are_waited_for(studio: Studio, code: int) -> None:
    """F-98: no reason to go elsewhere."""
    job = studio.foreman.succeed(await studio.order())
    await refused(studio, "PATCH", EDIT, 400, code)

    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)

    assert (await studio.foreman.deliver(studio.delivery, job)).sink is Sink.CARD


async def test_before_the_login_everything_waits(studio: Studio) -> None:
    """S-10: the engine is at work before Discord is."""
    job = studio.foreman.succeed(await studio.order())
    offline = studio.inhabited.client()

    with pytest.raises(DeliveryPostponed):
        await offline.delivery.deliver(await studio.foreman.card(job))
    assert await offline.delivery.show(await studio.foreman.card(job)) == int(
        (await studio.card(job))["id"]
    )


# --- Everything at once --------------------------------------------------------------------------


async def test_every_request_is_valid_and_mentions_nobody_by_accident(studio: Studio) -> None:
    """Judged by Discord's own description; F-144 on each request that carries words.

    Nothing goes out as a follow-up: those know no nonce (decision 8).
    """
    first = await studio.order(prompt="@everyone")
    await studio.delivery.show(
        replace(await studio.foreman.card(first), job=studio.foreman.start(first))
    )
    second = await studio.order()
    await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(second))
    third = await studio.order()
    await remove(studio, studio.foreman.fresh(third).card_message_id)
    await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(third))

    requests = await studio.town.requests()

    assert problems(requests) == []
    assert not [one for one in requests if one["method"] == "POST" and "/webhooks/" in one["path"]]
    for request in requests:
        body = request["body"]
        if isinstance(body, dict) and "components" in body:
            assert body["allowed_mentions"].get("parse", []) == []


async def test_a_delivery_never_raises_what_the_engine_does_not_know(studio: Studio) -> None:
    """A bug in a card must not stop the engine: the member finds the job in the list."""
    job = studio.foreman.succeed(await studio.order())
    broken = replace(job, outcome=Outcome.SUCCEEDED, request={"options": [1]})

    delivered = await studio.delivery.deliver(replace(await studio.foreman.card(job), job=broken))

    assert delivered.sink is Sink.LIST


async def test_a_silent_discord_is_not_waited_for_without_end(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's lease ends; whoever takes over must find nothing still on its way."""
    monkeypatch.setattr("bot.jobs.sinks.DELIVERY_TIMEOUT_S", 0.2)
    job = studio.foreman.succeed(await studio.order())
    await studio.town.fault(method="PATCH", path_regex=EDIT, delay_s=5)

    with pytest.raises(DeliveryPostponed):
        await studio.foreman.deliver(studio.delivery, job)


async def test_at_the_end_of_the_process_everything_waits(studio: Studio) -> None:
    """A closed client cannot say anything about a channel."""
    job = studio.foreman.succeed(await studio.order())
    facts = await studio.foreman.card(job)
    await studio.town.bot.close()

    with pytest.raises(DeliveryPostponed):
        await studio.delivery.deliver(facts)


async def test_what_is_remembered_is_bounded(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs and closed channels come and go for months; forgetting costs a request at most."""
    monkeypatch.setattr("bot.jobs.sinks.SHOWN_CARDS_MAX", 1)
    monkeypatch.setattr("bot.jobs.sinks.CLOSED_CHANNELS_MAX", 0)
    first = studio.foreman.succeed(await studio.order())
    second = studio.foreman.succeed(await studio.order())
    await refused(studio, "PATCH", EDIT, 403, 50001)

    sinks = [(await studio.foreman.deliver(studio.delivery, job)).sink for job in (first, second)]

    assert sinks == [Sink.TOKEN, Sink.CARD]
