"""A page that Discord made although it then said no: it is looked for before it comes again."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.discord.seed import BOT_ID, GENERAL_ID
from tests.cogs.mishaps import CREATE, READ_MESSAGE_HISTORY
from tests.cogs.town import PATIENCE_S, POLL_S, Town, has_button, words

REFUSED = {"code": 50013, "message": "Missing Permissions"}


async def made_then_refused(town: Town, *, path: str = CREATE, times: int = 9) -> None:
    """discord.py tries a 502 once more, and no message may be added from then on."""
    await town.fault(method="POST", path_regex=path, status=502, after_effect=True)
    await town.fault(method="POST", path_regex=path, status=403, body=REFUSED, times=times)


async def in_private(town: Town) -> list[str]:
    return [words(one) for one in await town.from_bot(channel=await town.dm("mira"))]


async def over(town: Town) -> None:
    """Until no answer is on its way any more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if not town.bot.services.chat._running:
                return
            await asyncio.sleep(POLL_S)


async def test_a_page_behind_a_refusal_is_found_and_goes_on(town: Town) -> None:
    """I-23, F-86, F-89: the answer stands once, to its end, and not in private as well."""
    more = asyncio.Event()
    town.model.says("Half of", then=more)
    await made_then_refused(town)
    await town.say("mira", "{bot} hello")
    await town.until(bool)
    more.set()
    (shown,) = await town.until(lambda found: "charged" in words(found[0]))
    assert words(shown).startswith("Half of")
    assert not has_button(shown)
    assert await in_private(town) == []


@pytest.mark.parametrize("is_refused", [True, False])
async def test_a_page_of_a_lost_try_is_brought_up_to_date(town: Town, *, is_refused: bool) -> None:
    """I-23, F-86: our own next try has newer words; what is refused or found says the old ones."""
    more = asyncio.Event()
    town.model.says("Half of", " it.")
    town.model.scripts[0] = [town.model.scripts[0][0], more, *town.model.scripts[0][1:]]
    await town.fault(method="POST", path_regex=CREATE, drop=True, after_effect=True)
    if is_refused:
        await town.fault(method="POST", path_regex=CREATE, status=403, body=REFUSED, times=9)
    await town.say("mira", "{bot} hello")
    await town.until(bool)
    more.set()
    (shown,) = await town.until(lambda found: "charged" in words(found[0]))
    assert words(shown).startswith("Half of it.")
    assert not has_button(shown)
    assert await in_private(town) == []


async def test_a_command_adds_no_page_twice(town: Town) -> None:
    """I-23: what the channel has is not also sent by the token."""
    town.model.says("\n\n".join(f"{letter * 9} " * 150 for letter in "ab"))
    await made_then_refused(town)
    await town.use("mira", "chat", prompt="hello")
    await town.until(lambda all_: len(all_) > 1 and "charged" in words(all_[-1]))
    await over(town)
    found = await town.from_bot()
    assert [words(one)[0] for one in found] == ["a", "b"]
    assert await in_private(town) == []


@pytest.mark.parametrize("status", [403, 429])
async def test_a_refusal_at_the_first_try_is_believed(town: Town, status: int) -> None:
    """F-89, I-32: also after a limit, which is no effect; nobody asks the history for it."""
    town.model.says("Half of it.")
    if status == 429:
        body = {"message": "limited", "retry_after": 0.05, "global": False}
        await town.fault(method="POST", path_regex=CREATE, status=429, body=body)
    await town.fault(method="POST", path_regex=CREATE, status=403, body=REFUSED)
    await town.say("mira", "{bot} hello")
    dm = await town.dm("mira")
    await town.until(lambda found: bool(found) and "charged" in words(found[-1]), channel=dm)
    assert await town.from_bot() == []
    asked = [one["path"] for one in await town.requests() if one["method"] == "GET"]
    assert not any(f"/channels/{GENERAL_ID}/messages" in path for path in asked)


@pytest.mark.parametrize("denied", [0, READ_MESSAGE_HISTORY])
async def test_what_the_history_does_not_show_comes_in_private(town: Town, denied: int) -> None:
    """F-89: the lost try was none, as far as we may know."""
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(denied)}
    await town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)
    town.model.says("Half of it.")
    await town.fault(method="POST", path_regex=CREATE, status=502)
    await town.fault(method="POST", path_regex=CREATE, status=403, body=REFUSED, times=9)
    await town.say("mira", "{bot} hello")
    dm = await town.dm("mira")
    found = await town.until(lambda all_: bool(all_) and "charged" in words(all_[-1]), channel=dm)
    assert "Half of it." in words(found[-1])
    assert await town.from_bot() == []
