"""The client: start, refusal, restart, and the one error hook."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from discord import app_commands
from structlog.testing import capture_logs

from bot.app import Left, _tell_when_ready
from bot.discordio import endpoints
from bot.discordio.client import EXTENSIONS
from bot.discordio.start_guard import IdentifyPostponed, StartGuard
from bot.errors import DiscordRefused, DiscordUnreachable
from bot.limits import (
    LOGIN_ATTEMPTS_MAX,
    LOGIN_DELAY_S,
    START_DELAY_S,
    START_DELAY_S_MAX,
    STARTS_WITHOUT_DELAY,
)
from bot.text.answers import PLACEHOLDERS
from sandbox.discord.faults import parse_fault
from sandbox.discord.gateway import GatewayOptions
from sandbox.discord.seed import GENERAL_ID
from sandbox.discord.server import TOKEN, DiscordSandbox
from storage import turns
from storage.errors import StoreUnavailable
from storage.inline import InlineDatabase
from storage.types import OwedTurn
from tests.cogs.town import (
    PATIENCE_S,
    POLL_S,
    EagerClock,
    Inhabited,
    Town,
    has_button,
    words,
)
from tests.unit.discordio.surfaces import settle


async def test_commands_are_registered_once_while_they_stay_the_same() -> None:
    """Ask 53: a second start of the same version asks Discord for nothing."""
    inhabited = Inhabited()
    async with inhabited.open() as town:
        async with inhabited.client() as again:
            await again.login(TOKEN)
        assert [one["method"] for one in await town.requests()].count("PUT") == 1


async def test_the_bot_asks_for_the_least(town: Town) -> None:
    """No privileged intent without the setting, no member list, no mention."""
    intents = town.bot.intents
    assert not intents.message_content
    assert not intents.members
    assert not intents.presences
    assert town.bot.allowed_mentions is not None
    assert town.bot.allowed_mentions.to_dict()["parse"] == []
    assert set(town.bot.extensions) == set(EXTENSIONS)


async def test_a_refused_token_ends_the_start() -> None:
    """F-88: only the operator can help."""
    inhabited = Inhabited()
    async with inhabited.served(), inhabited.client() as bot:
        with pytest.raises(DiscordRefused) as refused:
            await bot.start("wrong")
    assert refused.value.close_code is None


async def test_a_token_that_is_refused_at_the_gateway_ends_the_start_at_once() -> None:
    """F-88: it was taken back after the login; not one request more, and no waiting."""
    clock = EagerClock()
    fault = {"method": "GET", "path_regex": "/gateway/bot$", "status": 401, "times": 1}
    inhabited = Inhabited(clock=clock, faults=[fault])
    async with inhabited.served(), inhabited.client() as bot:
        with pytest.raises(DiscordRefused):
            await bot.start(TOKEN)
    assert clock.slept_s == []


async def test_a_refused_intent_ends_the_start_with_its_code() -> None:
    """F-82: close code 4014 is final."""
    options = GatewayOptions(token=TOKEN, privileged_intents=0)
    inhabited = Inhabited(sandbox=DiscordSandbox(options=options))
    async with inhabited.served(), inhabited.client(message_content=True) as bot:
        with pytest.raises(DiscordRefused) as refused:
            await bot.start(TOKEN)
    assert refused.value.close_code == 4014


@pytest.mark.parametrize("code", [4004, 4013])
async def test_a_final_close_code_while_connected_ends_the_run_with_it(code: int) -> None:
    """F-82: the token was reset, or the intents are not valid; not one session more."""
    inhabited = Inhabited()
    async with inhabited.served(), inhabited.client() as bot:
        running = asyncio.create_task(bot.start(TOKEN))
        await bot.wait_for("connect")
        await inhabited.sandbox.core.gateway.close_all(code=code, resumable=False)
        with pytest.raises(DiscordRefused) as refused:
            await running
    assert refused.value.close_code == code


async def test_an_unreachable_discord_is_tried_again_for_minutes() -> None:
    """A network that comes up after the bot does no harm; nothing was identified."""
    clock = EagerClock()
    inhabited = Inhabited(clock=clock)
    endpoints.use_api(f"http://127.0.0.1:{unused_port()}/api/v10")
    async with inhabited.client() as bot:
        with pytest.raises(DiscordUnreachable):
            await bot.start(TOKEN)
    assert sum(clock.slept_s) > 200
    await inhabited.database.close()


async def test_a_discord_that_comes_back_is_joined() -> None:
    """The first login fails, the second works, and nothing is loaded twice."""
    fault = {"method": "GET", "path_regex": "/gateway/bot$", "status": 503, "times": 1}
    async with Inhabited(clock=EagerClock(), faults=[fault]).open() as town:
        assert town.bot.user is not None


def gateway_at(url: str, *, remaining: int = 1000, times: int = 1) -> dict[str, Any]:
    """The order that lets Discord name this gateway, and what is left of the session starts."""
    limit = {"total": 1000, "remaining": remaining, "reset_after": 61_000, "max_concurrency": 1}
    body = {"url": url, "shards": 1, "session_start_limit": limit}
    order = {"method": "GET", "path_regex": "/gateway/bot$", "status": 200, "body": body}
    return order | {"times": times}


async def test_a_gateway_that_cannot_be_reached_is_looked_for_again() -> None:
    """S-10: REST answers and the gateway does not; the next one that Discord names is joined."""
    clock = EagerClock()
    fault = gateway_at(f"ws://127.0.0.1:{unused_port()}")
    async with Inhabited(clock=clock, faults=[fault]).open() as town:
        assert [one["path"] for one in await town.requests()].count("/gateway/bot") == 2
    assert LOGIN_DELAY_S in clock.slept_s


async def test_a_gateway_that_never_greets_is_tried_again_for_minutes() -> None:
    """S-10: then it is a Discord out of reach like any other, not a bug and its traceback."""

    async def hang_up(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close(code=1001)
        return socket

    clock = EagerClock()
    inhabited = Inhabited(clock=clock)
    gateway = web.Application()
    gateway.router.add_get("/", hang_up)
    async with inhabited.served(), TestServer(gateway) as silent, inhabited.client() as bot:
        fault = gateway_at(f"ws://127.0.0.1:{silent.port}", times=LOGIN_ATTEMPTS_MAX)
        inhabited.sandbox.core.faults.add(parse_fault(fault))
        with pytest.raises(DiscordUnreachable):
            await bot.start(TOKEN)
    assert sum(clock.slept_s) > 200


async def test_a_mistake_of_ours_while_connecting_is_not_taken_for_an_outage() -> None:
    """It shows itself at once."""
    inhabited = Inhabited()
    async with inhabited.served(), inhabited.client() as bot:
        bot._counted = False
        bot._guard = cast(StartGuard, None)  # the bug
        with pytest.raises(AttributeError, match="next_delay_s"):
            await bot.start(TOKEN)


async def test_few_session_starts_are_waited_for() -> None:
    """S-9: below fifty the bot waits for the reset before it identifies."""
    clock = EagerClock()
    inhabited = Inhabited(clock=clock)
    async with inhabited.served(), inhabited.client() as bot:
        url = inhabited.sandbox.base_url.replace("http", "ws") + "/gateway"
        inhabited.sandbox.core.faults.add(parse_fault(gateway_at(url, remaining=12)))
        running = asyncio.create_task(bot.start(TOKEN))
        await bot.wait_for("connect")
        await bot.close()
        await running
    assert 61.0 in clock.slept_s


async def test_a_session_that_discord_ends_again_and_again_waits_for_its_turn() -> None:
    """S-9, F-81: a new session within the process counts like a start, and waits as long."""
    clock = EagerClock()
    inhabited = Inhabited(clock=clock)
    async with inhabited.served(), inhabited.client() as bot:
        guard = StartGuard(inhabited.database, clock)
        for _ in range(STARTS_WITHOUT_DELAY + 1):
            await guard.next_delay_s()
        running = asyncio.create_task(bot.start(TOKEN))
        await bot.wait_for("connect")
        back = asyncio.ensure_future(bot.wait_for("connect"))
        inhabited.sandbox.core.gateway.invalidate(resumable=False)
        await back
        *ended, _last = [one for one in threading.enumerate() if "keep-alive" in one.name]
        for one in ended:  # those of the sessions that were let go
            await asyncio.to_thread(one.join, PATIENCE_S)
            assert not one.is_alive()
        await bot.close()
        await running
    assert 2 * START_DELAY_S in clock.slept_s


async def test_a_session_that_cannot_be_counted_waits_for_long() -> None:
    """F-110: without the database nobody knows how many there were."""
    clock = EagerClock()
    inhabited = Inhabited(clock=clock)
    async with inhabited.client() as bot:
        await bot.before_identify_hook(None, initial=True)
        await inhabited.database.close()

        class Gone(InlineDatabase):
            async def read(self, *_args: Any, **_kwargs: Any) -> Any:
                raise StoreUnavailable(cause="locked")

        bot._guard = StartGuard(Gone(), clock)
        with pytest.raises(IdentifyPostponed) as postponed:
            await bot.before_identify_hook(None)
    assert postponed.value.delay_s == START_DELAY_S_MAX


async def test_an_old_stop_button_says_that_the_answer_is_over(town: Town) -> None:
    """Custom ids outlive a restart; the button goes away when it is pressed."""
    more = asyncio.Event()
    town.model.says("One", then=more)
    await town.say("mira", "{bot} count")
    (draft,) = await town.until(lambda found: bool(found) and has_button(found[0]))
    fresh = Inhabited()
    town.bot.services = fresh.services()  # as after a restart: nobody knows of the turn

    await town.settled(await town.press("mira", draft))
    found = await town.until(lambda all_: len(all_) == 2)
    assert "Already over" in words(found[1])
    assert not has_button(found[0])
    more.set()
    await fresh.database.close()


async def test_after_a_restart_the_unfinished_answer_gets_its_end(town: Town) -> None:
    """What was shown stays; the notice says that nothing was charged."""
    more = asyncio.Event()
    town.model.says("Half an answer", then=more)
    asked = await town.say("mira", "{bot} hello")
    (draft,) = await town.until(lambda found: bool(found) and has_button(found[0]))

    turn = OwedTurn(
        reference=f"m:{asked}", channel_id=GENERAL_ID, author_id=1, message_id=int(draft["id"])
    )
    await town.bot.tell_interrupted([turn])
    (told,) = await town.finished()
    assert told["content"].startswith("Half an answer\n**Interrupted by a restart**")
    assert "not charged" in told["content"]
    more.set()


async def test_after_a_restart_a_question_without_an_answer_gets_one(town: Town) -> None:
    """The notice replies to it; one for a channel that is gone harms nobody."""
    asked = await town.say("mira", "hello?")
    lost = OwedTurn(reference="m:1", channel_id=1, author_id=1, message_id=2)
    turn = OwedTurn(reference=f"m:{asked}", channel_id=GENERAL_ID, author_id=1, message_id=None)
    await town.bot.tell_interrupted([lost, turn])

    (told,) = await town.finished()
    assert told["message_reference"]["message_id"] == asked
    assert "Interrupted" in words(told)


async def test_a_long_answer_that_a_crash_cut_gets_its_end_on_its_last_page() -> None:
    """S-12: no shown word is lost, no Stop button stays, and the end stands at the end."""
    inhabited = Inhabited()
    async with inhabited.open() as town:
        more = asyncio.Event()
        texts = [f"{letter * 9} " * 150 for letter in "abc"]
        town.model.says("\n\n".join(texts), then=more)
        await town.say("mira", "{bot} hello")
        shown = await town.until(lambda found: len(found) == 3 and has_button(found[2]))
        turn = await _noted_at(inhabited, message_id=int(shown[2]["id"]))
        await town.bot.tell_interrupted([turn])

        told = [words(message) for message in await town.finished(3)]
        assert told[:2] == [text.strip() for text in texts[:2]]
        assert told[2].startswith(f"{texts[2].strip()}\n**Interrupted by a restart**")
        more.set()


async def _noted_at(inhabited: Inhabited, *, message_id: int) -> OwedTurn:
    """The open turn, once its newest message is in the books."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            (turn,) = await inhabited.database.read(turns.open_turns)
            if turn.message_id == message_id:
                return OwedTurn(
                    reference=turn.reference,
                    channel_id=turn.channel_id,
                    author_id=turn.author_id,
                    message_id=turn.message_id,
                )
            await asyncio.sleep(POLL_S)


@pytest.mark.parametrize("length", [20, 1_900])
async def test_after_a_restart_a_stopped_answer_does_not_wait_for_its_price(
    town: Town, length: int
) -> None:
    """The note of Stop would be untrue: nothing is charged."""
    note = PLACEHOLDERS["stopped"]
    town.bot_writes(f"{'x' * length}\n{note}")
    (shown,) = await town.from_bot()
    turn = OwedTurn(
        reference="i:1", channel_id=GENERAL_ID, author_id=1, message_id=int(shown["id"])
    )
    await town.bot.tell_interrupted([turn])

    told = "\n".join(words(one) for one in await town.finished())
    assert told.startswith("x" * length)
    assert note not in told
    assert "not charged" in told


async def test_a_notice_that_finds_no_room_is_a_message_of_its_own(town: Town) -> None:
    """S-12: the page keeps every word and loses its Stop button; the notice replies to it."""
    more = asyncio.Event()
    town.model.says("x" * 1_990, then=more)
    asked = await town.say("mira", "{bot} hello")
    (draft,) = await town.until(lambda found: bool(found) and has_button(found[0]))
    turn = OwedTurn(
        reference=f"m:{asked}", channel_id=GENERAL_ID, author_id=1, message_id=int(draft["id"])
    )
    await town.bot.tell_interrupted([turn])

    page, notice = await town.finished(2)
    assert page["content"] == "x" * 1_990
    assert "### Interrupted by a restart" in words(notice)
    assert "not charged" in words(notice)
    assert notice["message_reference"]["message_id"] == draft["id"]
    more.set()


@pytest.mark.parametrize("placeholder", PLACEHOLDERS.values())
async def test_the_notice_takes_the_place_of_a_placeholder(town: Town, placeholder: str) -> None:
    """Nothing was shown yet; and where nothing is, nothing is told."""
    town.bot_writes(placeholder)
    (shown,) = await town.from_bot()
    turn = OwedTurn(
        reference="i:1", channel_id=GENERAL_ID, author_id=1, message_id=int(shown["id"])
    )
    nowhere = OwedTurn(reference="i:1", channel_id=GENERAL_ID, author_id=1, message_id=None)
    await town.bot.tell_interrupted([turn, nowhere])

    (told,) = await town.finished()
    assert words(told).startswith("**Interrupted by a restart**")


async def test_a_replayed_message_is_answered_once(town: Town) -> None:
    """F-80: a resume may deliver an event again; nobody hears of it."""
    town.model.says("Once.")
    asked = await town.say("mira", "{bot} hello")
    await town.finished()
    channel: Any = town.bot.get_channel(GENERAL_ID)
    town.bot.dispatch("message", await channel.fetch_message(int(asked)))
    town.model.says("Another.")
    await town.say("mira", "{bot} hello again")

    assert len(await town.finished(2)) == 2
    assert len(town.model.requests) == 2


async def test_commands_that_discord_refuses_end_the_start() -> None:
    """That is a bug of ours, which waiting does not mend."""
    body = {"code": 50035, "message": "Invalid Form Body", "errors": {}}
    fault = {
        "method": "PUT",
        "path_regex": "/commands$",
        "status": 400,
        "body": body,
        "times": 1,
    }
    inhabited = Inhabited(clock=EagerClock(), faults=[fault])
    async with inhabited.served(), inhabited.client() as bot:
        with pytest.raises(app_commands.CommandSyncFailure):
            await bot.start(TOKEN)


def limited(method: str, path_regex: str) -> dict[str, Any]:
    """The order for one 429 that lasts longer than discord.py may sit out."""
    body = {"message": "limited", "retry_after": 300.0, "global": False}
    return {"method": method, "path_regex": path_regex, "status": 429, "body": body, "times": 1}


@pytest.mark.parametrize("path_regex", ["/users/@me$", "/gateway/bot$"])
async def test_a_long_limit_at_the_login_is_waited_for(path_regex: str) -> None:
    """F-84: as long as Discord says, and no longer."""
    clock = EagerClock()
    faults = [limited("GET", path_regex)]
    async with Inhabited(clock=clock, faults=faults).open() as town:
        assert town.bot.user is not None
    assert [delay_s for delay_s in clock.slept_s if delay_s > LOGIN_DELAY_S] == [300.0]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_long_limit_of_the_commands_keeps_nobody_from_starting(method: str) -> None:
    """F-84: Discord has those of before; ours are registered when the limit is over."""
    clock = EagerClock()
    refused = {"method": method, "path_regex": "/commands$", "status": 403, "times": 1}
    faults = [limited(method, "/commands$"), refused]
    async with Inhabited(clock=clock, faults=faults).open() as town:
        assert not town.sandbox.world.commands[None]
        left = Left(turns=(), interactions=())
        beside = asyncio.create_task(_tell_when_ready(town.bot, left))
        await _commands_in(town)
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
    assert clock.slept_s.count(300.0) == 2


async def _commands_in(town: Town) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if town.sandbox.world.commands[None]:
                return
            await asyncio.sleep(POLL_S)


async def test_commands_that_discord_refuses_later_are_not_sent_again() -> None:
    """As at the start it is a bug of ours, but by now there are members to serve."""
    body = {"code": 50035, "message": "Invalid Form Body", "errors": {}}
    refused = {"method": "PUT", "path_regex": "/commands$", "status": 400, "body": body}
    faults = [limited("PUT", "/commands$"), refused | {"times": 2}]
    async with Inhabited(clock=EagerClock(), faults=faults).open() as town:
        with capture_logs() as logs:
            await town.bot.keep_registering()
        assert [one["event"] for one in logs if one["log_level"] == "error"] == ["commands_refused"]
        assert [one["method"] for one in await town.requests()].count("PUT") == 2


async def test_a_failing_listener_of_another_event_is_only_logged(town: Town) -> None:
    """There is nobody to tell."""

    async def on_odd(_what: str) -> None:
        raise ZeroDivisionError

    town.bot.add_listener(on_odd)
    with capture_logs() as logs:
        town.bot.dispatch("odd", "x")
        town.bot.dispatch("odd")  # even its arguments are wrong
        await settle()
    assert [one["event"] for one in logs].count("listener_failed") == 2


async def test_a_bug_becomes_one_message_with_a_reference(town: Town) -> None:
    """Never a stack trace, never silence."""
    cog: Any = town.bot.get_cog("Chat")
    cog._desk = None  # the bug
    await town.say("mira", "{bot} hello")
    (notice,) = await town.finished()
    assert "That was my mistake" in words(notice)
    assert "not charged · ref " in words(notice)
    assert "Attribute" not in words(notice)


async def test_a_stale_command_is_explained(town: Town) -> None:
    """Discord may offer a command that this version no longer has."""
    town.bot.tree.remove_command("help")
    card = await town.card("mira", "help")
    assert "An old command" in words(card)


async def test_a_notice_that_cannot_be_shown_is_only_logged(town: Town) -> None:
    """The hook never raises."""
    await town.fault(method="POST", path_regex="/callback", status=404, times=1)
    told = await town.settled(await town.use("tom", "forget"))
    assert told["state"] == "failed"
    assert "What I can do" in words(await town.card("tom", "help"))
