"""Who may do what, from what Discord sent along."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import discord
import pytest

from bot.discordio.people import is_age_restricted, is_staff, may_forget, require_staff
from bot.errors import GuildOnly, PermissionMissing


def used_by(guild_id: int | None, **permissions: bool) -> Any:
    """The part of an interaction that says where it was used, and by whom."""
    return SimpleNamespace(guild_id=guild_id, permissions=discord.Permissions(**permissions))


@pytest.mark.parametrize("permission", ["manage_guild", "administrator"])
def test_staff_is_who_may_manage_the_server(permission: str) -> None:
    """An administrator may everything."""
    interaction = used_by(5, **{permission: True})

    assert is_staff(interaction)
    assert require_staff(interaction) == 5
    assert may_forget(interaction)


def test_nobody_is_staff_in_a_direct_message() -> None:
    """Discord sends every permission there."""
    interaction = used_by(None, administrator=True)

    assert not is_staff(interaction)
    with pytest.raises(GuildOnly):
        require_staff(interaction)


def test_a_member_is_not_staff() -> None:
    """The error names what is missing."""
    with pytest.raises(PermissionMissing) as refused:
        require_staff(used_by(5, send_messages=True))
    assert refused.value.permission == "manage_guild"


def test_forgetting_is_like_deleting_messages() -> None:
    """A channel's history belongs to everyone in it; a DM's to its member."""
    assert may_forget(used_by(5, manage_messages=True))
    assert may_forget(used_by(None))
    assert not may_forget(used_by(5))


def place(*, guild_is: bool, channel_is: bool | None) -> Any:
    """An interaction in a server; `channel_is` None is a channel that we know nothing about."""
    level = discord.NSFWLevel.age_restricted if guild_is else discord.NSFWLevel.default
    channel = SimpleNamespace() if channel_is is None else SimpleNamespace(nsfw=channel_is)
    return SimpleNamespace(guild_id=5, guild=SimpleNamespace(nsfw_level=level), channel=channel)


@pytest.mark.parametrize(
    ("guild_is", "channel_is", "expected"),
    [
        (False, False, False),
        (False, True, True),
        (True, False, True),
        (True, None, True),
        (False, None, False),
    ],
)
def test_the_server_or_the_channel_makes_a_place_for_adults(
    *, guild_is: bool, channel_is: bool | None, expected: bool
) -> None:
    """F-150: Discord's own command flag looks at the channel alone; unknown means no."""
    assert is_age_restricted(place(guild_is=guild_is, channel_is=channel_is)) is expected


def test_a_server_that_we_do_not_know_is_not_for_adults() -> None:
    """A command used where the bot itself is not a member."""
    stranger: Any = SimpleNamespace(guild_id=5, guild=None, channel=None)

    assert not is_age_restricted(stranger)
