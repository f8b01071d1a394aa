"""Ordered faults, the request log, and the control surface's own manners."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord.seed import ADULTS_ID, BOT_ID, GENERAL_ID, MIRA_ID, SAM_ID, TOM_ID
from tests.contract.discord_lab import WAIT_S, Robot, running_lab

CREATE = {"method": "POST", "path_regex": r"^/channels/\d+/messages$"}


async def test_a_create_whose_answer_is_lost_makes_one_message() -> None:
    """The effect takes place, then 500; discord.py's repeat carries the same nonce (F-86)."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        await lab.call("POST", "faults", CREATE | {"status": 500, "after_effect": True})
        message = await robot.general().send("once")
        (shown,) = await lab.read()
        assert shown["id"] == str(message.id)
        creates = [one for one in await lab.requests() if one["method"] == "POST"]
        assert [one["status"] for one in creates] == [500, 200]
        assert creates[0]["body"]["nonce"] == creates[1]["body"]["nonce"]


async def test_a_dropped_connection_is_an_error_without_an_answer() -> None:
    """discord.py does not repeat a reset on Linux; with after_effect the message is there."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        for after_effect, count in ((False, 0), (True, 1)):
            await lab.call("POST", "faults", CREATE | {"drop": True, "after_effect": after_effect})
            with pytest.raises(aiohttp.ClientError):
                await robot.general().send("lost?")
            assert len(await lab.read()) == count


async def test_a_cloudflare_page_raises_at_once() -> None:
    """A 429 of HTML has no Via header, which discord.py takes for a ban (F-85)."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        await lab.call("POST", "faults", CREATE | {"status": 429, "body": "<h1>banned</h1>"})
        with pytest.raises(discord.HTTPException) as caught:
            await robot.general().send("hello")
        assert caught.value.status == 429
        assert "banned" in caught.value.text


async def test_an_ordered_rate_limit_is_waited_for() -> None:
    """A 429 of JSON carries Via, so that discord.py waits for retry_after and succeeds (F-84)."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        body = {"message": "slow down", "retry_after": 0.05, "global": False}
        await lab.call("POST", "faults", CREATE | {"status": 429, "body": body})
        await robot.general().send("patient")
        assert len(await lab.read()) == 1


async def test_faults_are_counted_delayed_and_forgotten() -> None:
    """`times` counts down, a mere delay lets the request through, DELETE clears the rest."""
    async with running_lab() as lab:
        order = {"method": "GET", "path_regex": "^/users/@me$", "status": 503, "times": 2}
        await lab.call("POST", "faults", order)
        statuses = [(await lab.rest("GET", "/users/@me"))[0] for _ in range(3)]
        assert statuses == [503, 503, 200]
        await lab.call("POST", "faults", order | {"status": None, "delay_s": 0.01})
        assert (await lab.rest("GET", "/users/@me"))[0] == 200
        await lab.call("POST", "faults", order)
        assert await lab.call("DELETE", "faults") == {"cleared": 2}
        assert (await lab.rest("GET", "/users/@me"))[0] == 200
        for wrong in ({}, {"path_regex": "("}, {"path_regex": "x", "times": 0}):
            assert (await lab.call("POST", "faults", wrong, status=400))["error"]


async def test_every_request_is_logged_without_secrets() -> None:
    """Method, path, parsed body (multipart too), status; unknown properties are named."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        since = (await lab.requests())[-1]["n"]
        await robot.general().send("hi", file=discord.File(__file__, "x.py"))
        body = {"content": "hi", "contnet": 1}
        await lab.rest("POST", f"/channels/{GENERAL_ID}/messages", body)
        sent, misspelt = (await lab.call("GET", f"requests?since={since}"))["requests"]
        assert sent["path"] == f"/channels/{GENERAL_ID}/messages"
        assert sent["body"]["content"] == "hi"
        assert sent["files"][0]["filename"] == "x.py"
        assert (sent["status"], sent["unknown"]) == (200, [])
        assert not {"authorization", "Authorization"} & set(sent["headers"])
        assert misspelt["unknown"] == ["contnet"]


async def test_an_unknown_route_is_404_and_logged() -> None:
    """Code 0, and no route in the log."""
    async with running_lab() as lab:
        status, answer = await lab.rest("GET", "/guilds/1/soundboard-sounds")
        assert (status, answer["code"]) == (404, 0)
        assert (await lab.requests())[-1]["route"] is None
        status, answer = await lab.rest("GET", "/channels/none")
        assert (status, answer["code"]) == (400, 50035)


async def test_a_body_that_is_no_json_is_refused() -> None:
    """400 with 50109."""
    async with running_lab() as lab:
        headers = {"Authorization": f"Bot {lab.sandbox.token}"}
        url = f"{lab.sandbox.api_url}/channels/{GENERAL_ID}/messages"
        async with lab.http.post(url, data=b"{", headers=headers) as response:
            assert response.headers["Content-Type"] == "application/json"
            assert (response.status, (await response.json())["code"]) == (400, 50109)


async def test_events_tell_each_user_what_they_may_see() -> None:
    """Tom does not hear of a channel that is closed to him; Mira does."""
    async with running_lab() as lab:
        view = str(1 << 10)
        told = {"target_id": str(TOM_ID), "deny": view}
        await lab.call("PUT", f"channels/{ADULTS_ID}/overwrites", told)
        async with lab.events(TOM_ID) as toms, lab.events(MIRA_ID) as miras:
            await lab.write("secret", channel_id=str(ADULTS_ID))
            await lab.write("open")
            kind, first = await asyncio.wait_for(anext(toms), WAIT_S)
            assert (kind, first["content"]) == ("message_create", "open")
            _, first = await asyncio.wait_for(anext(miras), WAIT_S)
            assert first["content"] == "secret"
        told = {"user_id": str(TOM_ID), "channel_id": str(ADULTS_ID), "content": "let me in"}
        await lab.call("POST", "messages", told, status=403)


async def test_registering_commands_and_new_channels_are_told() -> None:
    """A page that waits for commands or channels hears of them."""
    async with running_lab() as lab, lab.events() as events:
        await lab.rest("PUT", f"/applications/{BOT_ID}/commands", [])
        assert await asyncio.wait_for(anext(events), WAIT_S) == ("commands", {"count": 0})
        made = await lab.call("POST", "channels", {"name": "new"})
        assert await asyncio.wait_for(anext(events), WAIT_S) == ("channels", made)


async def test_another_website_cannot_use_the_control_surface() -> None:
    """A foreign Origin is refused, and a foreign name for loopback; one's own is fine."""
    async with running_lab() as lab:
        url = f"{lab.sandbox.base_url}/control/state"
        for headers, status in (
            ({"Origin": "http://evil.example"}, 403),
            ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
            ({"Origin": lab.sandbox.base_url}, 200),
        ):
            async with lab.http.get(url, headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "messages", {}, 400),
        ("POST", "messages", {"user_id": str(MIRA_ID), "channel_id": "1", "content": "x"}, 404),
        ("POST", "messages", {"user_id": "1", "channel_id": str(GENERAL_ID), "content": "x"}, 404),
        ("POST", "messages", {"user_id": str(MIRA_ID), "channel_id": str(GENERAL_ID)}, 400),
        ("POST", "messages/delete", {"user_id": str(MIRA_ID), "message_id": "1"}, 404),
        ("POST", "gateway", {"action": "explode"}, 400),
        ("POST", "modals", {"user_id": str(MIRA_ID), "interaction_id": "1"}, 404),
        ("GET", "interactions/1", None, 404),
        ("POST", "dm", {"user_id": str(BOT_ID)}, 404),
    ],
)
async def test_what_a_user_cannot_do_is_refused_in_words(
    method: str, path: str, body: Any, status: int
) -> None:
    """Each refusal says why under `error`."""
    async with running_lab() as lab:
        assert (await lab.call(method, path, body, status=status))["error"]


async def test_people_edit_and_delete_their_own_messages_and_staff_any() -> None:
    """The bot hears of the edit; a stranger may not delete, staff may."""
    async with running_lab() as lab:
        message_id = await lab.write("frist")
        told = {"user_id": str(MIRA_ID), "message_id": message_id, "content": "first"}
        await lab.call("POST", "messages/edit", told)
        assert (await lab.read())[-1]["history"][0]["content"] == "frist"
        told = {"user_id": str(TOM_ID), "message_id": message_id}
        await lab.call("POST", "messages/delete", told, status=403)
        await lab.call("POST", "messages/delete", told | {"user_id": str(SAM_ID)})
        assert (await lab.read())[-1]["deleted"] is True


async def test_a_deleted_channel_is_unknown_to_the_bot() -> None:
    """10003 (F-89), and discord.py forgets it."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        channel = robot.general()
        gone = asyncio.create_task(robot.wait_for("guild_channel_delete"))
        await asyncio.sleep(0)
        await lab.call("DELETE", f"channels/{GENERAL_ID}")
        await asyncio.wait_for(gone, WAIT_S)
        with pytest.raises(discord.NotFound) as caught:
            await channel.send("anyone?")
        assert caught.value.code == 10003
