"""`/credits`, `/quota` and `/help` in a simulated Discord."""

from __future__ import annotations

import pytest

from sandbox.discord.seed import BOT_ID, MIRA_ID, OLIVE_ID, SAM_ID, TOM_ID
from tests.cogs.studio import opened
from tests.cogs.town import Town, words

CONTAINER = 17


async def test_the_balance_is_a_private_card(town: Town) -> None:
    """Heading, what can be spent, when there is more."""
    card = await town.card("mira", "credits balance")

    assert card["ephemeral_for"] == str(MIRA_ID)
    assert card["components"][0]["type"] == CONTAINER
    assert "### Your credits\n**20** to spend\nThe next allowance comes <t:" in words(card)


async def test_the_history_names_who_and_why(town: Town) -> None:
    """Spending appears once, with what it cost; staff entries with actor and reason."""
    town.model.says("Hi.")
    await town.say("mira", "{bot} hello")
    await town.finished()
    await town.card("sam", "quota grant", member=str(MIRA_ID), amount=5, reason="for *helping*")

    shown = words(await town.card("mira", "credits history"))
    assert f"**+5** Granted by <@{SAM_ID}>: for \\*helping\\*" in shown
    assert "**−0.08** Answer" in shown
    assert "**+20** Daily allowance" in shown


async def test_the_history_names_pictures_and_videos() -> None:
    """By kind, model and prompt: ten lines that all say *Answer* tell nothing."""
    async with opened(allowance_credits=100) as studio:
        studio.foreman.succeed(await studio.order(prompt="a red fox"))
        studio.foreman.succeed(await studio.order(command="video", prompt="waves " * 40))
        shown = words(await studio.town.card("mira", "credits history"))

    assert "**−2.4** Picture · GPT Image 2 · a red fox" in shown
    assert "**−14.4** Video · Grok Imagine · waves waves" in shown
    assert max(map(len, shown.splitlines())) < 120
    assert "Answer" not in shown


async def test_an_empty_history_says_so(town: Town) -> None:
    """Before anything happened."""
    assert "Nothing yet." in words(await town.card("tom", "credits history"))


async def test_prices_are_exact(town: Town) -> None:
    """Per million tokens, and of an everyday answer."""
    shown = words(await town.card("mira", "credits prices"))

    assert "**GPT-5.4**" in shown
    assert "300 read, 1,800 written" in shown
    assert "**GPT Image 2**: 2.4 (1k), 4.8 (2k), 7.2 (4k) each" in shown
    assert "**Grok Imagine**: 2.4 (480p), 4.5 (720p) per second" in shown


async def test_only_what_is_offered_has_a_price() -> None:
    """A model without a key makes nothing."""
    async with opened() as studio:
        studio.foreman.models.off.add("kling-v2-master")
        shown = words(await studio.town.card("mira", "credits prices"))

    assert "Kling 3.0" in shown
    assert "Kling 2 Master" not in shown


async def test_staff_grant_take_and_set(town: Town) -> None:
    """Each confirmation names the new balance, to the staff member alone."""
    granted = await town.card("sam", "quota grant", member=str(TOM_ID), amount=1000, reason="x")
    assert f"1,000 credits given to <@{TOM_ID}>\nSpendable now: **1,020**" in words(granted)
    assert granted["ephemeral_for"] == str(SAM_ID)

    taken = await town.card("sam", "quota take", member=str(TOM_ID), amount=20, reason="x")
    assert f"20 credits taken from <@{TOM_ID}>\nSpendable now: **1,000**" in words(taken)

    changed = await town.card("sam", "quota set", member=str(TOM_ID), amount=0, reason="x")
    assert f"<@{TOM_ID}> can now spend 0 credits\nSpendable now: **0**" in words(changed)


async def test_more_than_there_is_cannot_be_taken(town: Town) -> None:
    """The refusal names the member's balance and what to do, not the staff member's own story."""
    refused = await town.card("sam", "quota take", member=str(TOM_ID), amount=21, reason="x")

    told = words(refused)
    assert "Taking 21 credits is too much: the member has 20 credits to spend." in told
    assert "`/quota set`" in told
    assert "you have" not in told
    assert "allowance" not in told


async def test_staff_set_and_see_the_servers_budget(town: Town) -> None:
    """Day, month, zone; what is not named stays; without options it is shown."""
    none = await town.card("sam", "quota budget")
    assert "Per day: no ceiling\nPer month: no ceiling" in words(none)
    await town.card("sam", "quota budget", day=100, time_zone="Europe/Berlin")
    shown = words(await town.card("sam", "quota budget", month=2000))
    assert "Per day: **0** of 100 credits used; anew <t:" in shown
    assert "Per month: **0** of 2,000 credits used; anew <t:" in shown
    assert "Days and months turn in Europe/Berlin." in shown
    lifted = await town.card("sam", "quota budget", day=0)
    assert "Per day: no ceiling" in words(lifted)
    assert lifted["ephemeral_for"] == str(SAM_ID)


async def test_only_staff_set_a_budget(town: Town) -> None:
    """The permission is checked in code each time."""
    assert "*Manage Server*" in words(await town.card("tom", "quota budget", day=1))


async def test_a_time_zone_that_is_none_is_explained(town: Town) -> None:
    """With examples of what would do."""
    told = words(await town.card("sam", "quota budget", time_zone="Mars/Olympus"))
    assert "no time zone `Mars/Olympus`" in told
    assert "`Europe/Berlin`" in told


async def test_a_used_up_budget_is_told_apart_from_used_up_credits() -> None:
    """I-8: what it would need, what is left, when it starts anew, who can raise it."""
    async with opened(allowance_credits=100) as studio:
        await studio.town.card("sam", "quota budget", day=3)
        studio.foreman.succeed(await studio.order(prompt="a red fox"))
        await studio.use("mira", "imagine", options={"prompt": "a blue fox"})
        (refused,) = await studio.until_private(bool, user="mira")
        told = words(refused)
        assert "this server's daily budget of 3 there are 0.6 left" in told
        assert "not charged" in told
        assert "`/quota budget`" in told
        shown = words(await studio.town.card("sam", "quota budget"))
    assert "Per day: **2.4** of 3 credits used" in shown


async def test_a_member_gives_credits_to_another(town: Town) -> None:
    """Both histories name the other; the allowance stays where it is."""
    await town.card("sam", "quota grant", member=str(TOM_ID), amount=5, reason="x")
    given = await town.card("tom", "credits gift", member=str(MIRA_ID), amount=2)
    assert f"2 credits given to <@{MIRA_ID}>\nSpendable now: **23**" in words(given)
    assert given["ephemeral_for"] == str(TOM_ID)
    assert f"**−2** Gift to <@{MIRA_ID}>" in words(await town.card("tom", "credits history"))
    assert f"**+2** Gift from <@{TOM_ID}>" in words(await town.card("mira", "credits history"))


@pytest.mark.parametrize(
    ("member", "amount", "told"),
    [
        (MIRA_ID, 1, "have 0 credits to give"),
        (TOM_ID, 1, "A gift goes to somebody else"),
        (BOT_ID, 1, "That user is a bot"),
    ],
)
async def test_a_gift_that_cannot_be_is_explained(
    town: Town, member: int, amount: int, told: str
) -> None:
    """What can be mended is said, and that nothing was charged."""
    refused = words(await town.card("tom", "credits gift", member=str(member), amount=amount))
    assert told in refused
    assert "not charged" in refused


@pytest.mark.parametrize(
    ("user", "member", "told"),
    [
        ("tom", MIRA_ID, "*Manage Server*"),
        ("sam", SAM_ID, "Staff cannot change their own credits"),
        ("sam", BOT_ID, "That user is a bot"),
    ],
)
async def test_who_may_not_or_cannot_is_told_why(
    town: Town, user: str, member: int, told: str
) -> None:
    """F-142: the permission is checked in code each time, own credits are off limits."""
    refused = await town.card(user, "quota grant", member=str(member), amount=5, reason="x")

    assert told in words(refused)
    assert "not charged" in words(refused)


async def test_the_owner_may_change_their_own_credits(town: Town) -> None:
    """There is nobody above them."""
    done = await town.card("olive", "quota grant", member=str(OLIVE_ID), amount=5, reason="x")

    assert "Spendable now: **25**" in words(done)


async def test_a_user_from_elsewhere_gets_nothing(town: Town) -> None:
    """F-142: Discord lets staff name anybody by id."""
    del town.sandbox.world.members[TOM_ID]
    refused = await town.card("sam", "quota grant", member=str(TOM_ID), amount=5, reason="x")

    assert "not in this server" in words(refused)


async def test_help_lists_every_command(town: Town) -> None:
    """Each with its description, read from the tree itself."""
    shown = words(await town.card("mira", "help"))

    for command in town.bot.tree.walk_commands():
        assert f"/{command.qualified_name}" in shown
        assert command.description in shown or command.qualified_name in {
            "credits",
            "jobs",
            "quota",
        }
