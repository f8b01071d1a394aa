"""The world that a newcomer meets. Ids are fixed, so that tests and links can name them."""

from __future__ import annotations

from typing import Final

from sandbox.discord.clock import Clock
from sandbox.discord.permissions import MEMBER, Permission
from sandbox.discord.world import Channel, ChannelKind, Guild, Member, Role, User, World

GUILD_ID: Final = 1_100_000_000_000_000_001
STAFF_ROLE_ID: Final = 1_100_000_000_000_000_002
BOT_ROLE_ID: Final = 1_100_000_000_000_000_003
GENERAL_ID: Final = 1_100_000_000_000_000_011
STUDIO_ID: Final = 1_100_000_000_000_000_012
BOT_LAB_ID: Final = 1_100_000_000_000_000_013
ADULTS_ID: Final = 1_100_000_000_000_000_014
OLIVE_ID: Final = 1_100_000_000_000_000_101
MIRA_ID: Final = 1_100_000_000_000_000_102
TOM_ID: Final = 1_100_000_000_000_000_103
SAM_ID: Final = 1_100_000_000_000_000_104
BOT_ID: Final = 1_100_000_000_000_000_200
APPLICATION_ID: Final = BOT_ID
"""Applications made since 2016 share their id with their bot user."""

_PEOPLE: Final = (
    (MIRA_ID, "mira", "Mira", "#c2410c"),
    (TOM_ID, "tom", "Tom", "#0f766e"),
    (SAM_ID, "sam", "Sam", "#6d28d9"),
    (OLIVE_ID, "olive", "Olive", "#4d7c0f"),
)
_CHANNELS: Final = (
    (GENERAL_ID, "general", "Say hello.", False),
    (STUDIO_ID, "studio", "Pictures and videos.", False),
    (BOT_LAB_ID, "bot-lab", "Try the bot here.", False),
    (ADULTS_ID, "adults", "Age-restricted.", True),
)


def seeded_world(clock: Clock) -> World:
    """The guild "Atelier" with its members, channels and bot."""
    now_ms = clock.now_ms()
    guild = Guild(id=GUILD_ID, name="Atelier", owner_id=OLIVE_ID)
    world = World(clock=clock, guild=guild, bot_id=BOT_ID, application_id=APPLICATION_ID)
    _add_roles(world)
    for user_id, name, display_name, color in _PEOPLE:
        world.users[user_id] = User(
            id=user_id, name=name, display_name=display_name, avatar_color=color
        )
        roles = [STAFF_ROLE_ID] if user_id == SAM_ID else []
        world.members[user_id] = Member(user_id=user_id, joined_ms=now_ms, role_ids=roles)
    world.users[BOT_ID] = User(
        id=BOT_ID, name="Atelier", display_name="Atelier", avatar_color="#1d4ed8", bot=True
    )
    world.members[BOT_ID] = Member(user_id=BOT_ID, joined_ms=now_ms, role_ids=[BOT_ROLE_ID])
    for position, (channel_id, name, topic, nsfw) in enumerate(_CHANNELS):
        world.add_channel(
            Channel(
                id=channel_id,
                kind=ChannelKind.TEXT,
                name=name,
                guild_id=GUILD_ID,
                position=position,
                topic=topic,
                nsfw=nsfw,
                created_ms=now_ms,
            )
        )
    return world


def _add_roles(world: World) -> None:
    staff = MEMBER | Permission.MANAGE_GUILD | Permission.MANAGE_MESSAGES
    staff |= Permission.MENTION_EVERYONE
    for role in (
        Role(id=GUILD_ID, name="@everyone", permissions=MEMBER, position=0),
        Role(id=STAFF_ROLE_ID, name="Staff", permissions=int(staff), position=1, color=0x6D28D9),
        Role(id=BOT_ROLE_ID, name="Atelier", permissions=MEMBER, position=2, bot_id=BOT_ID),
    ):
        world.roles[role.id] = role
