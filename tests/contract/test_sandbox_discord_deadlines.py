"""Deadlines, shapes and registration of interactions, asked without discord.py in between."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.discord.seed import (
    APPLICATION_ID,
    BOT_ID,
    GENERAL_ID,
    GUILD_ID,
    MIRA_ID,
    TOM_ID,
)
from tests.contract.discord_lab import Lab, ManualClock, running_lab


def _raw(lab: Lab, interaction_id: str) -> tuple[str, str]:
    """The paths of an interaction's callback and webhook, for talking without discord.py."""
    interaction = lab.sandbox.core.interactions.get(int(interaction_id))
    assert interaction is not None
    return (
        f"/interactions/{interaction_id}/{interaction.token}/callback",
        f"/webhooks/{APPLICATION_ID}/{interaction.token}",
    )


async def _register(lab: Lab, *commands: dict[str, Any]) -> None:
    path = f"/applications/{APPLICATION_ID}/commands"
    status, _ = await lab.rest("PUT", path, list(commands))
    assert status == 200


PING = {"name": "ping", "description": "Answers.", "type": 1}


async def test_an_answer_after_three_seconds_is_unknown() -> None:
    """404 with 10062; the user sees that the application did not respond (F-93)."""
    clock = ManualClock()
    async with running_lab(clock=clock) as lab:
        await _register(lab, PING)
        interaction_id = await lab.invoke("ping")
        callback, webhook = _raw(lab, interaction_id)
        await clock.advance(3.01)
        told = await lab.call("GET", f"interactions/{interaction_id}")
        assert (told["state"], told["error"]) == ("failed", "The application did not respond")
        status, answer = await lab.rest("POST", callback, {"type": 5})
        assert (status, answer["code"]) == (404, 10062)
        status, answer = await lab.rest("POST", webhook, {"content": "late"})
        assert (status, answer["code"]) == (404, 10015)


async def test_a_second_first_answer_is_refused() -> None:
    """400 with 40060 (F-100)."""
    async with running_lab() as lab:
        await _register(lab, PING)
        callback, _ = _raw(lab, await lab.invoke("ping"))
        assert (await lab.rest("POST", callback, {"type": 5}))[0] == 204
        status, answer = await lab.rest("POST", callback, {"type": 5})
        assert (status, answer["code"]) == (400, 40060)


async def test_a_follow_up_before_any_answer_is_refused() -> None:
    """404 with 10015, for the original's edit too."""
    async with running_lab() as lab:
        await _register(lab, PING)
        _, webhook = _raw(lab, await lab.invoke("ping"))
        for method, path in (("POST", webhook), ("PATCH", webhook + "/messages/@original")):
            status, answer = await lab.rest(method, path, {"content": "early"})
            assert (status, answer["code"]) == (404, 10015)


async def test_a_token_ends_after_fifteen_minutes() -> None:
    """401 with 50027; before that it still works, and the message's own route works after it."""
    clock = ManualClock()
    async with running_lab(clock=clock) as lab:
        await _register(lab, PING)
        callback, webhook = _raw(lab, await lab.invoke("ping"))
        answered = {"type": 4, "data": {"content": "pong"}}
        status, answer = await lab.rest("POST", callback + "?with_response=true", answered)
        message = answer["resource"]["message"]
        assert (status, message["content"]) == (200, "pong")
        original = webhook + "/messages/@original"
        await clock.advance(899)
        assert (await lab.rest("PATCH", original, {"content": "still"}))[0] == 200
        await clock.advance(2)
        status, answer = await lab.rest("PATCH", original, {"content": "late"})
        assert (status, answer["code"]) == (401, 50027)
        path = f"/channels/{GENERAL_ID}/messages/{message['id']}"
        assert (await lab.rest("PATCH", path, {"content": "by the bot"}))[0] == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": 8, "data": {"choices": []}}, "type"),
        ({"type": 7, "data": {"content": "x"}}, "type"),
        ({"type": 4, "data": {"content": "x" * 2001}}, "data"),
        ({"type": 9, "data": {"title": "t", "custom_id": "c", "components": []}}, "data"),
    ],
)
async def test_an_answer_of_a_wrong_shape_is_refused_and_may_be_given_again(
    body: dict[str, Any], field: str
) -> None:
    """50035 names the field; the interaction still waits."""
    async with running_lab() as lab:
        await _register(lab, PING)
        callback, _ = _raw(lab, await lab.invoke("ping"))
        status, answer = await lab.rest("POST", callback, body)
        assert (status, answer["code"]) == (400, 50035)
        assert field in answer["errors"]
        assert (await lab.rest("POST", callback, {"type": 5}))[0] == 204


async def test_commands_are_checked_and_keep_their_ids() -> None:
    """Names and lengths are refused with the place; an unchanged name keeps its id."""
    async with running_lab() as lab:
        path = f"/applications/{APPLICATION_ID}/commands"
        bad = [PING, PING | {"name": "Upper"}, PING | {"name": "a" * 33}, {"name": "x"}]
        status, answer = await lab.rest("PUT", path, bad)
        assert (status, answer["code"]) == (400, 50035)
        assert set(answer["errors"]) == {"1", "2", "3"}
        options = [{"type": 3, "name": f"o{n}", "description": "d"} for n in range(26)]
        status, _ = await lab.rest("POST", path, PING | {"options": options})
        assert status == 400
        await _register(lab, PING)
        (first,) = (await lab.call("GET", "state"))["commands"]
        await _register(lab, PING | {"description": "Else."}, PING | {"name": "pong"})
        again = {one["name"]: one for one in (await lab.call("GET", "state"))["commands"]}
        assert again["ping"]["id"] == first["id"]
        assert again["ping"]["version"] != first["version"]
        guild_path = f"/applications/{APPLICATION_ID}/guilds/{GUILD_ID}/commands"
        status, made = await lab.rest("POST", guild_path, PING)
        assert (status, made["guild_id"]) == (201, str(GUILD_ID))
        assert (await lab.rest("DELETE", f"{guild_path}/{made['id']}"))[0] == 204
        assert (await lab.rest("GET", guild_path))[1] == []


async def test_components_of_others_cannot_be_pressed() -> None:
    """A user's message has none, and an ephemeral message is for its user only."""
    async with running_lab() as lab:
        message_id = await lab.write("hello")
        told = {"user_id": str(TOM_ID), "message_id": message_id, "custom_id": "x"}
        await lab.call("POST", "components", told, status=400)
        await _register(lab, PING)
        callback, _ = _raw(lab, await lab.invoke("ping"))
        row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "B", "custom_id": "x"}]}
        data = {"content": "yours", "flags": 64, "components": [row]}
        await lab.rest("POST", callback, {"type": 4, "data": data})
        shown = (await lab.read())[-1]
        assert shown["author"]["id"] == str(BOT_ID)
        told["message_id"] = shown["id"]
        await lab.call("POST", "components", told, status=404)
        pressed = await lab.call("POST", "components", told | {"user_id": str(MIRA_ID)})
        assert pressed["interaction_id"]
