"""Commands, autocomplete, buttons, modals and their deadlines, with the real discord.py client."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest
from discord import app_commands, ui

from sandbox.discord.seed import (
    APPLICATION_ID,
    BOT_ID,
    GENERAL_ID,
    GUILD_ID,
    MIRA_ID,
    OLIVE_ID,
    SAM_ID,
    TOM_ID,
)
from tests.contract.discord_lab import WAIT_S, Lab, ManualClock, Robot, running_lab


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


async def test_a_command_is_deferred_edited_and_followed_up() -> None:
    """The waiting message becomes the answer, a follow-up comes after it."""
    robot = Robot()

    @robot.tree.command(description="Adds.")
    async def add(interaction: discord.Interaction, a: int, b: float, to: discord.Member) -> None:
        await interaction.response.defer(thinking=True)
        message = await interaction.edit_original_response(content=f"{to.name}: {a + b}")
        await message.edit(content=f"{to.name} gets {a + b}")
        await interaction.followup.send("and more")

    async with running_lab() as lab, robot.online(lab):
        options = {"a": 2, "b": 0.5, "to": str(TOM_ID)}
        interaction_id = await lab.invoke("add", options)
        told = await lab.interaction(interaction_id, "answered")
        assert told["response_type"] == 5

        async def both() -> Any:
            shown = await lab.read()
            return shown if len(shown) == 2 else None

        answer, more = await lab.until(both)
        assert answer["id"] == told["message_id"]
        assert answer["content"] == "tom gets 2.5"
        assert answer["type"] == 20
        assert answer["interaction_metadata"]["user"]["id"] == str(MIRA_ID)
        assert more["content"] == "and more"


async def test_the_first_follow_up_takes_the_place_of_a_deferred_answer() -> None:
    """No second message appears, as Discord does it."""
    robot = Robot()

    @robot.tree.command(description="Waits.")
    async def wait(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.followup.send("done")

    async with running_lab() as lab, robot.online(lab):
        told = await lab.interaction(await lab.invoke("wait"), "answered")
        (shown,) = await lab.read()
        assert (shown["id"], shown["content"]) == (told["message_id"], "done")
        assert shown["ephemeral_for"] == str(MIRA_ID)


async def test_an_ephemeral_answer_is_seen_by_its_user_alone() -> None:
    """Others do not find it, nor do the channel's ordinary routes; its token edits it."""
    robot = Robot()

    @robot.tree.command(description="Whispers.")
    async def whisper(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("psst", ephemeral=True)
        await interaction.edit_original_response(content="psst!")

    async with running_lab() as lab, robot.online(lab):
        told = await lab.interaction(await lab.invoke("whisper"), "answered")
        assert await lab.read(user_id=TOM_ID) == []
        (shown,) = await lab.read(user_id=MIRA_ID)
        assert shown["id"] == told["message_id"]
        with pytest.raises(discord.NotFound):
            await robot.general().fetch_message(int(shown["id"]))


async def test_a_group_of_commands_and_choices_work() -> None:
    """Subcommands are named with spaces; a choice is taken by its name or its value."""
    robot = Robot()
    group = app_commands.Group(name="credits", description="Credits.")

    @group.command(description="Prices.")
    @app_commands.choices(unit=[app_commands.Choice(name="Per answer", value="answer")])
    async def prices(interaction: discord.Interaction, unit: app_commands.Choice[str]) -> None:
        await interaction.response.send_message(f"{unit.name}={unit.value}")

    robot.tree.add_command(group)
    async with running_lab() as lab, robot.online(lab):
        for given in ("answer", "Per answer"):
            interaction_id = await lab.invoke("credits prices", {"unit": given})
            await lab.interaction(interaction_id, "answered")
            assert (await lab.read())[-1]["content"] == "Per answer=answer"
        body = {"user_id": str(MIRA_ID), "channel_id": str(GENERAL_ID)}
        for name, options, status in (
            ("credits", {}, 400),
            ("credits nothing", {}, 404),
            ("credits prices", {}, 400),
            ("credits prices", {"unit": "else"}, 400),
            ("credits prices", {"unit": "answer", "other": 1}, 400),
        ):
            told = body | {"name": name, "options": options}
            assert (await lab.call("POST", "commands", told, status=status))["error"]


async def test_autocomplete_returns_the_bots_choices() -> None:
    """What is typed so far and the other options reach the bot."""
    robot = Robot()

    @robot.tree.command(description="Chooses.")
    async def choose(interaction: discord.Interaction, kind: str, model: str) -> None:
        await interaction.response.send_message(kind + model)

    @choose.autocomplete("model")
    async def suggest(
        interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        names = [f"{interaction.namespace.kind}-{current}{number}" for number in range(25)]
        return [app_commands.Choice(name=name, value=name) for name in names]

    async with running_lab() as lab, robot.online(lab):
        body = {
            "user_id": str(MIRA_ID),
            "channel_id": str(GENERAL_ID),
            "name": "choose",
            "options": {"kind": "chat", "model": "g"},
            "focused": "model",
        }
        choices = (await lab.call("POST", "autocomplete", body))["choices"]
        assert len(choices) == 25
        assert choices[0] == {"name": "chat-g0", "value": "chat-g0"}


async def test_a_button_updates_its_message_and_a_select_answers_anew() -> None:
    """Custom ids and values reach the view; a disabled button cannot be pressed."""
    robot = Robot()

    class Panel(ui.View):
        @ui.button(label="Stop", custom_id="stop")
        async def stop_it(
            self, interaction: discord.Interaction, button: ui.Button[ui.View]
        ) -> None:
            button.disabled = True
            await interaction.response.edit_message(content="stopped", view=self)

        @ui.select(
            custom_id="pick",
            options=[discord.SelectOption(label="One", value="1"), discord.SelectOption(label="2")],
        )
        async def pick(self, interaction: discord.Interaction, select: ui.Select[ui.View]) -> None:
            await interaction.response.send_message(f"picked {select.values}", ephemeral=True)

    async with running_lab() as lab, robot.online(lab):
        message = await robot.general().send("running", view=Panel())
        told = {"user_id": str(MIRA_ID), "message_id": str(message.id), "custom_id": "pick"}
        chosen = await lab.call("POST", "components", told | {"values": ["1"]})
        await lab.interaction(chosen["interaction_id"], "answered")
        assert (await lab.read())[-1]["content"] == "picked ['1']"
        await lab.call("POST", "components", told | {"values": ["3"]}, status=400)
        pressed = await lab.call("POST", "components", told | {"custom_id": "stop"})
        done = await lab.interaction(pressed["interaction_id"], "answered")
        assert done["message_id"] == str(message.id)
        first = (await lab.read())[0]
        assert first["content"] == "stopped"
        assert [version["content"] for version in first["history"]] == ["running"]
        await lab.call("POST", "components", told | {"custom_id": "stop"}, status=409)


async def test_a_modal_is_shown_filled_in_and_submitted() -> None:
    """The texts reach the modal, old style rows and labels alike."""
    robot = Robot()

    class Form(ui.Modal, title="Tell us"):
        short: ui.TextInput[ui.Modal] = ui.TextInput(label="Name", custom_id="name", max_length=10)
        long = ui.Label(text="Story", component=ui.TextInput(custom_id="story", required=False))

        async def on_submit(self, interaction: discord.Interaction) -> None:
            story = self.long.component
            assert isinstance(story, ui.TextInput)
            await interaction.response.send_message(f"{self.short.value}: {story.value}")

    @robot.tree.command(description="Asks.")
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Form())

    async with running_lab() as lab, robot.online(lab):
        async with lab.events(MIRA_ID) as events:
            interaction_id = await lab.invoke("ask")
            kind, told = await asyncio.wait_for(anext(events), WAIT_S)
        assert kind == "modal"
        assert told["interaction_id"] == interaction_id
        assert told["modal"]["title"] == "Tell us"
        body = {"user_id": str(MIRA_ID), "interaction_id": interaction_id}
        long_name = {"name": "x" * 11}
        await lab.call("POST", "modals", body | {"values": long_name}, status=400)
        values = {"name": "Mira", "story": "once"}
        sent = await lab.call("POST", "modals", body | {"values": values})
        await lab.interaction(sent["interaction_id"], "answered")
        assert (await lab.read())[-1]["content"] == "Mira: once"


async def test_a_file_option_arrives_as_an_attachment() -> None:
    """The interaction tells the upload limit and resolves the file."""
    robot = Robot()

    @robot.tree.command(description="Reads.")
    async def read(interaction: discord.Interaction, file: discord.Attachment) -> None:
        text = (await file.read()).decode()
        await interaction.response.send_message(f"{text} {interaction.filesize_limit}")

    async with running_lab() as lab, robot.online(lab):
        file = {"filename": "a.txt", "content_type": "text/plain", "data_base64": "aGVsbG8="}
        interaction_id = await lab.invoke("read", attachments={"file": file})
        await lab.interaction(interaction_id, "answered")
        assert (await lab.read())[-1]["content"] == "hello 10485760"


async def test_commands_work_in_direct_messages() -> None:
    """There is a user instead of a member, and the context says so."""
    robot = Robot()

    @robot.tree.command(description="Where?")
    async def where(interaction: discord.Interaction) -> None:
        assert isinstance(interaction.user, discord.User)
        await interaction.response.send_message(f"dm: {interaction.context.dm_channel}")

    @robot.tree.command(description="Only there.")
    @app_commands.guild_only()
    async def there(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("here")

    async with running_lab() as lab, robot.online(lab):
        channel_id = (await lab.call("POST", "dm", {"user_id": str(MIRA_ID)}))["channel_id"]
        interaction_id = await lab.invoke("where", channel_id=channel_id)
        await lab.interaction(interaction_id, "answered")
        assert (await lab.read(int(channel_id)))[-1]["content"] == "dm: True"
        told = {"user_id": str(MIRA_ID), "channel_id": channel_id, "name": "there"}
        await lab.call("POST", "commands", told, status=403)


async def test_commands_for_staff_are_hidden_from_members_but_can_be_forced() -> None:
    """`default_member_permissions` hides; a manager may open the command, which `override` does."""
    robot = Robot()

    @robot.tree.command(description="Staff.")
    @app_commands.default_permissions(manage_guild=True)
    async def staff(interaction: discord.Interaction) -> None:
        await interaction.response.send_message(str(interaction.permissions.manage_guild))

    async with running_lab() as lab, robot.online(lab):
        told = {"user_id": str(MIRA_ID), "channel_id": str(GENERAL_ID), "name": "staff"}
        await lab.call("POST", "commands", told, status=403)
        for user_id, override, shown in (
            (MIRA_ID, True, "False"),
            (SAM_ID, False, "True"),
            (OLIVE_ID, False, "True"),
        ):
            interaction_id = await lab.invoke("staff", user_id=str(user_id), override=override)
            await lab.interaction(interaction_id, "answered")
            assert (await lab.read())[-1]["content"] == shown


async def test_context_menus_reach_their_targets() -> None:
    """User and message commands carry the resolved target."""
    robot = Robot()

    @robot.tree.context_menu(name="Who Is This")
    async def who(interaction: discord.Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(member.display_name)

    @robot.tree.context_menu(name="Count")
    async def count(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(str(len(message.content)))

    async with running_lab() as lab, robot.online(lab):
        message_id = await lab.write("four")
        for name, kind, target, shown in (
            ("Who Is This", 2, str(TOM_ID), "Tom"),
            ("Count", 3, message_id, "4"),
        ):
            interaction_id = await lab.invoke(name, type=kind, target_id=target)
            await lab.interaction(interaction_id, "answered")
            assert (await lab.read())[-1]["content"] == shown


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
