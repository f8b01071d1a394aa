"""The operator is written to, if Discord knows who that is."""

from __future__ import annotations

from structlog.testing import capture_logs

from bot.discordio.owner import tell_owner
from tests.cogs.town import Inhabited, Town


async def test_the_owner_of_the_application_gets_a_direct_message(town: Town) -> None:
    """F-31: beside the line in the log."""
    assert await tell_owner(town.bot, "Your balance is used up.")
    channel = await town.dm("olive")
    texts = [message["content"] for message in await town.from_bot(channel=channel, user="olive")]
    assert "Your balance is used up." in texts


async def test_an_owner_who_takes_no_messages_has_the_log(town: Town) -> None:
    """F-99: it is not tried for ever."""
    body = {"code": 50007, "message": "Cannot send messages to this user"}
    await town.fault(method="POST", path_regex="/channels/.*/messages", status=403, body=body)
    with capture_logs() as lines:
        assert await tell_owner(town.bot, "Your balance is used up.")
    assert [line["event"] for line in lines] == ["operator_not_told"]


async def test_before_discord_is_there_nobody_can_be_told() -> None:
    """It is tried again at the next look."""
    async with Inhabited().client() as bot:
        assert not await tell_owner(bot, "Hello?")
