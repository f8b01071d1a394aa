"""Messages between the real discord.py client and the sandbox's users."""

from __future__ import annotations

import base64
import io
from typing import Any

import aiohttp
import discord
import pytest
from discord import ui

from sandbox.discord.attachments import FILE_BYTES_MAX
from sandbox.discord.seed import ADULTS_ID, BOT_ID, GENERAL_ID, GUILD_ID, MIRA_ID, SAM_ID, TOM_ID
from tests.contract.discord_lab import ManualClock, Robot, running_lab

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAC56t6BAAAADklEQVR4nGNgQAX/cXIAJuIC/vJn3p0AAAAASUVORK5CYII="
)


async def test_login_makes_the_client_ready_in_its_guild() -> None:
    """discord.py sees itself, the guild, its channels and the age restriction."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        assert robot.user is not None
        assert robot.user.id == BOT_ID
        guild = robot.get_guild(GUILD_ID)
        assert guild is not None
        assert guild.me.id == BOT_ID
        names = [channel.name for channel in guild.text_channels]
        assert names == ["general", "studio", "bot-lab", "adults"]
        adults = guild.get_channel(ADULTS_ID)
        assert isinstance(adults, discord.TextChannel)
        assert adults.is_nsfw()
        assert (await lab.call("GET", "state"))["bot_online"] is True


async def test_a_mention_arrives_and_the_reply_is_posted_and_edited() -> None:
    """The bot sees itself mentioned; each earlier text stays in the history."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        asked_id = await lab.write(f"<@{BOT_ID}> hello there")
        question = await robot.next_message()
        assert robot.user in question.mentions
        assert question.content.endswith("hello there")
        answer = await question.reply("Let me th", mention_author=False)
        await answer.edit(content="Let me think.")
        _, shown = await lab.read()
        assert shown["content"] == "Let me think."
        assert shown["edited_timestamp"] is not None
        assert [version["content"] for version in shown["history"]] == ["Let me th"]
        assert shown["message_reference"]["message_id"] == asked_id
        assert shown["notified"] == []


async def test_without_the_content_intent_only_messages_to_the_bot_have_text() -> None:
    """Other people's words arrive empty; mentions, replies to the bot and DMs are whole."""
    intents = discord.Intents.default()
    assert not intents.message_content
    async with running_lab() as lab, Robot(intents).online(lab) as robot:
        await lab.write("between us")
        assert (await robot.next_message()).content == ""
        own = await robot.general().send("here")
        await lab.write("to you", reply_to=str(own.id))
        assert (await robot.next_message()).content == "to you"
        dm = await lab.call("POST", "dm", {"user_id": str(MIRA_ID)})
        await lab.write("private", channel_id=dm["channel_id"])
        assert (await robot.next_message()).content == "private"


async def test_with_the_content_intent_every_text_arrives() -> None:
    """The privileged intent opens all messages."""
    intents = discord.Intents.default()
    intents.message_content = True
    async with running_lab() as lab, Robot(intents).online(lab) as robot:
        await lab.write("between us")
        assert (await robot.next_message()).content == "between us"


async def test_a_direct_message_goes_both_ways() -> None:
    """The bot answers in the DM, and opens one by itself to the same channel."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        dm = await lab.call("POST", "dm", {"user_id": str(TOM_ID)})
        await lab.write("hi", user_id=str(TOM_ID), channel_id=dm["channel_id"])
        heard = await robot.next_message()
        assert isinstance(heard.channel, discord.DMChannel)
        await heard.channel.send("hello Tom")
        user = await robot.fetch_user(TOM_ID)
        await user.send("again")
        texts = [one["content"] for one in await lab.read(int(dm["channel_id"]), TOM_ID)]
        assert texts == ["hi", "hello Tom", "again"]


async def test_closed_direct_messages_are_refused() -> None:
    """50007, as for people who do not take messages from the server (F-99)."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        await lab.call("PATCH", f"users/{TOM_ID}", {"dms_open": False})
        user = await robot.fetch_user(TOM_ID)
        with pytest.raises(discord.Forbidden) as caught:
            await user.send("psst")
        assert caught.value.code == 50007


async def test_files_go_both_ways_through_the_cdn() -> None:
    """A user's picture is readable by the bot, the bot's file by its signed address only."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        told = {
            "filename": "dot.png",
            "content_type": "image/png",
            "data_base64": base64.b64encode(PNG).decode(),
        }
        await lab.write(f"<@{BOT_ID}> look", attachments=[told])
        (picture,) = (await robot.next_message()).attachments
        assert (picture.content_type, picture.width, picture.height) == ("image/png", 2, 3)
        assert await picture.read() == PNG
        file = discord.File(io.BytesIO(b"a,b\n1,2\n"), "table.csv", description="numbers")
        sent = await robot.general().send("here", file=file)
        kept = await sent.edit(
            attachments=[*sent.attachments, discord.File(io.BytesIO(b"x"), "x.txt")]
        )
        assert [one.filename for one in kept.attachments] == ["table.csv", "x.txt"]
        shown = (await lab.read())[-1]["attachments"][0]
        assert shown["description"] == "numbers"
        async with lab.http.get(shown["url"]) as response:
            assert await response.read() == b"a,b\n1,2\n"
            assert response.content_type == "text/csv"
        async with lab.http.get(shown["url"].split("?", maxsplit=1)[0]) as response:
            assert response.status == 404


async def test_a_file_above_the_limit_is_refused() -> None:
    """413 with 40005 (F-96); nothing is posted."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        file = discord.File(io.BytesIO(bytes(FILE_BYTES_MAX + 1)), "big.bin")
        with pytest.raises(discord.HTTPException) as caught:
            await robot.general().send(file=file)
        assert (caught.value.status, caught.value.code) == (413, 40005)
        assert await lab.read() == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"content": "x" * 2001}, "content"),
        ({"content": "x", "nonce": "n" * 26}, "nonce"),
        ({"embed": discord.Embed(title="t" * 257)}, "embeds.0.title"),
        ({"embed": discord.Embed(description="d" * 4097)}, "embeds.0.description"),
    ],
)
async def test_a_message_beyond_the_lengths_is_refused(
    arguments: dict[str, Any], field: str
) -> None:
    """50035 names the field, in the nested form that discord.py flattens."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        with pytest.raises(discord.HTTPException) as caught:
            await robot.general().send(**arguments)
        assert caught.value.code == 50035
        assert f"In {field}:" in caught.value.text
        assert await lab.read() == []


async def test_an_empty_message_is_refused() -> None:
    """50006."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        with pytest.raises(discord.HTTPException) as caught:
            await robot.general().send("")
        assert caught.value.code == 50006


async def test_the_sixth_edit_within_five_seconds_waits_and_then_succeeds() -> None:
    """discord.py reads the bucket's headers, waits for its end by itself and meets no 429."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        message = await robot.general().send("0")
        # A window of a fraction of a second keeps the test short; the rule is the same.
        window_s = lab.sandbox.core.limiter.shorten("PATCH", by=10)
        for number in range(1, 8):
            await message.edit(content=str(number))
        patches = [one for one in await lab.requests() if one["method"] == "PATCH"]
        assert [one["status"] for one in patches] == [200] * 7
        assert (patches[5]["at_ms"] - patches[0]["at_ms"]) / 1000 >= window_s
        assert (await lab.read())[-1]["content"] == "7"


async def test_a_client_that_ignores_the_headers_gets_a_429_with_via() -> None:
    """Body, scope, bucket and the Via header are there; after the window all is well again."""
    clock = ManualClock()
    async with running_lab(clock=clock) as lab:
        path = f"/channels/{GENERAL_ID}/messages"
        for number in range(5):
            assert (await lab.rest("POST", path, {"content": str(number)}))[0] == 200
        headers = {"Authorization": f"Bot {lab.sandbox.token}"}
        url = lab.sandbox.api_url + path
        async with lab.http.post(url, json={"content": "6"}, headers=headers) as response:
            assert response.status == 429
            assert response.headers["Via"]
            assert response.headers["X-RateLimit-Scope"] == "user"
            assert response.headers["Content-Type"] == "application/json"
            body = await response.json()
        assert body["retry_after"] == 5.0
        assert body["global"] is False
        await clock.advance(5.0)
        assert (await lab.rest("POST", path, {"content": "6"}))[0] == 200


async def test_the_global_limit_is_fifty_a_second() -> None:
    """The 51st request within a second is refused on any route, with `global`."""
    clock = ManualClock()
    async with running_lab(clock=clock) as lab:
        answers = [await lab.rest("GET", "/users/@me") for _ in range(50)]
        assert {status for status, _ in answers} == {200}
        status, body = await lab.rest("GET", f"/channels/{GENERAL_ID}")
        assert status == 429
        assert body["global"] is True
        await clock.advance(1.0)
        assert (await lab.rest("GET", "/users/@me"))[0] == 200


async def test_the_same_nonce_makes_one_message_within_minutes() -> None:
    """A repeated create returns the first message, also elsewhere; much later it makes a second.

    F-86, reliability.md 1.4: the rule names the author and the nonce, not the channel.
    """
    clock = ManualClock()
    async with running_lab(clock=clock) as lab:
        path = f"/channels/{GENERAL_ID}/messages"
        body = {"content": "once", "nonce": "turn-1", "enforce_nonce": True}
        _, first = await lab.rest("POST", path, body)
        _, second = await lab.rest("POST", path, body)
        assert first["id"] == second["id"]
        _, elsewhere = await lab.rest("POST", f"/channels/{ADULTS_ID}/messages", body)
        assert (elsewhere["id"], elsewhere["channel_id"]) == (first["id"], str(GENERAL_ID))
        assert len(await lab.read()) == 1
        await clock.advance(600)
        _, third = await lab.rest("POST", path, body)
        assert third["id"] != first["id"]


async def test_a_nonce_whose_message_was_deleted_answers_unknown_message() -> None:
    """404 with 10008 (F-91)."""
    async with running_lab() as lab:
        path = f"/channels/{GENERAL_ID}/messages"
        body = {"content": "once", "nonce": "turn-1", "enforce_nonce": True}
        _, first = await lab.rest("POST", path, body)
        told = {"user_id": str(SAM_ID), "message_id": first["id"]}
        await lab.call("POST", "messages/delete", told)
        status, answer = await lab.rest("POST", path, body)
        assert (status, answer["code"]) == (404, 10008)


async def test_a_channel_that_denies_sending_refuses_the_bot() -> None:
    """50013 without Send Messages, 50001 without View Channel (F-89)."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        send, view = 1 << 11, 1 << 10
        for deny, code in ((send, 50013), (view, 50001)):
            told = {"target_id": str(BOT_ID), "deny": str(deny)}
            await lab.call("PUT", f"channels/{GENERAL_ID}/overwrites", told)
            with pytest.raises(discord.Forbidden) as caught:
                await robot.general().send("may I?")
            assert caught.value.code == code


async def test_only_allowed_mentions_notify() -> None:
    """Without a say everyone named is notified, with none() nobody; the author never is."""
    async with running_lab() as lab:
        path = f"/channels/{GENERAL_ID}/messages"
        content = f"<@{MIRA_ID}> and <@{TOM_ID}>"
        bodies: list[tuple[dict[str, Any], list[str]]] = [
            ({}, [str(MIRA_ID), str(TOM_ID)]),
            ({"allowed_mentions": {"parse": []}}, []),
            ({"allowed_mentions": {"users": [str(TOM_ID)]}}, [str(TOM_ID)]),
        ]
        for more, notified in bodies:
            await lab.rest("POST", path, {"content": content} | more)
            assert (await lab.read())[-1]["notified"] == notified


async def test_history_is_read_in_pages() -> None:
    """discord.py's own paging by before, after and around finds every message once."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        ids = [int(await lab.write(f"message {number}")) for number in range(120)]
        history = [message.id async for message in robot.general().history(limit=None)]
        assert history == ids[::-1]
        after = discord.Object(ids[99])
        newer = [one.id async for one in robot.general().history(after=after)]
        assert newer == ids[100:]
        middle = discord.Object(ids[50])
        around = [one.id async for one in robot.general().history(around=middle, limit=5)]
        assert sorted(around) == ids[48:53]


async def test_a_layout_view_is_accepted_and_its_limits_hold() -> None:
    """Components V2: containers and texts arrive with ids; content beside them is refused."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        view = ui.LayoutView()
        button: ui.Button[ui.LayoutView] = ui.Button(label="Stop", custom_id="stop")
        view.add_item(ui.Container(ui.TextDisplay("# Hello"), ui.Separator(), ui.ActionRow(button)))
        await robot.general().send(view=view)
        shown = (await lab.read())[-1]
        assert shown["flags"] & (1 << 15)
        assert shown["components"][0]["components"][0]["content"] == "# Hello"
        assert all(one["id"] for one in shown["components"][0]["components"])
        path = f"/channels/{GENERAL_ID}/messages"
        text = {"type": 10, "content": "x" * 4000}
        for body in (
            {"content": "words", "components": [text]},
            {"components": [text, {"type": 10, "content": "y"}]},
            {"components": [{"type": 10, "content": "z"}] * 41},
        ):
            status, answer = await lab.rest("POST", path, body | {"flags": 1 << 15})
            assert (status, answer["code"]) == (400, 50035)


async def test_a_file_component_shows_the_uploaded_file() -> None:
    """`attachment://` becomes the signed address; a name without a file is refused."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        view = ui.LayoutView()
        view.add_item(ui.File("attachment://notes.txt"))
        view.add_item(ui.MediaGallery(discord.MediaGalleryItem("attachment://notes.txt")))
        sent = await robot.general().send(
            view=view, file=discord.File(io.BytesIO(b"notes"), "notes.txt")
        )
        shown = (await lab.read())[-1]["components"]
        assert shown[0]["name"] == "notes.txt"
        for url in (shown[0]["file"]["url"], shown[1]["items"][0]["media"]["url"]):
            async with lab.http.get(url) as response:
                assert await response.read() == b"notes"
        await sent.edit(view=view)
        with pytest.raises(discord.HTTPException) as caught:
            await robot.general().send(view=view)
        assert caught.value.code == 50035


async def test_threads_are_made_and_written_in() -> None:
    """From a message and without one; messages arrive in the thread."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        message = await robot.general().send("start")
        thread = await message.create_thread(name="a thread")
        assert thread.id == message.id
        await thread.send("inside")
        await lab.write(f"<@{BOT_ID}> me too", channel_id=str(thread.id))
        assert isinstance((await robot.next_message()).channel, discord.Thread)
        other = await robot.general().create_thread(
            name="alone", type=discord.ChannelType.public_thread
        )
        kinds = {one["id"]: one["kind"] for one in (await lab.call("GET", "state"))["channels"]}
        assert kinds[str(thread.id)] == kinds[str(other.id)] == "thread"


async def test_a_wrong_token_cannot_log_in() -> None:
    """401, which discord.py words as a login failure."""
    async with running_lab() as lab:
        robot = Robot()
        with pytest.raises(discord.LoginFailure):
            await robot.login("wrong")
        await robot.close()
        assert (await lab.call("GET", "state"))["invalid_requests"] == 1


async def test_the_bot_deletes_reacts_and_types() -> None:
    """The smaller routes work, and deleted messages stay known to the control surface."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        async with lab.events() as events:
            await robot.general().typing()
            assert (await anext(events))[0] == "typing"
        message = await robot.general().send("soon gone")
        await message.add_reaction("👍")
        assert (await lab.read())[-1]["reactions"][0]["emoji"]["name"] == "👍"
        await message.delete()
        (shown,) = await lab.read()
        assert shown["deleted"] is True
        with pytest.raises(discord.NotFound) as caught:
            await message.edit(content="late")
        assert caught.value.code == 10008


async def test_uploads_are_checked_as_a_whole() -> None:
    """A request above 25 MiB is refused before it is read."""
    async with running_lab() as lab:
        form = aiohttp.FormData()
        form.add_field("files[0]", io.BytesIO(bytes(26 * 1024 * 1024)), filename="huge.bin")
        headers = {"Authorization": f"Bot {lab.sandbox.token}"}
        url = f"{lab.sandbox.api_url}/channels/{GENERAL_ID}/messages"
        async with lab.http.post(url, data=form, headers=headers) as response:
            assert response.status == 413
            assert (await response.json())["code"] == 40005
