"""Commands, autocomplete, buttons, modals and their deadlines, with the real discord.py client."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest
from discord import app_commands, ui

from sandbox.discord.seed import (
    GENERAL_ID,
    MIRA_ID,
    OLIVE_ID,
    SAM_ID,
    TOM_ID,
)
from tests.contract.discord_lab import WAIT_S, Robot, running_lab


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
        long: ui.Label[ui.Modal] = ui.Label(
            text="Story", component=ui.TextInput(custom_id="story", required=False)
        )

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
