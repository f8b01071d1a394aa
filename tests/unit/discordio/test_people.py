"""Who may do what, from what Discord sent along."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import discord
import pytest

from bot.discordio.people import is_staff, may_forget, require_staff
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
