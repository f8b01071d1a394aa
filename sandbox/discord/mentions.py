"""Who a message mentions, and who would be notified under `allowed_mentions`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sandbox.discord.errors import Json
from sandbox.discord.permissions import Permission, can_view, permissions_in
from sandbox.discord.world import Channel, ChannelKind, World

_USER = re.compile(r"<@!?(\d{1,20})>")
_ROLE = re.compile(r"<@&(\d{1,20})>")
_EVERYONE = re.compile(r"@(?:everyone|here)\b")

PARSE_ALL = ("users", "roles", "everyone")
"""An ordinary message without `allowed_mentions`."""
PARSE_USERS = ("users",)
"""A webhook's or interaction's message without `allowed_mentions`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """What the message shows as mentioned, and whom it notifies."""

    user_ids: list[int]
    role_ids: list[int]
    everyone: bool
    notified: list[int]


def resolve_mentions(
    world: World,
    channel: Channel,
    *,
    author_id: int,
    texts: tuple[str, ...],
    replied_to: int | None,
    allowed: Json | None,
    parse_by_default: tuple[str, ...],
) -> Mentions:
    """Apply Discord's rules; `replied_to` is the author of the message that is answered."""
    text = "\n".join(texts)
    parse = parse_by_default if allowed is None else tuple(allowed.get("parse") or ())
    users = _chosen(_USER, text, "users", parse, allowed)
    roles = _chosen(_ROLE, text, "roles", parse, allowed)
    users = [user_id for user_id in users if user_id in world.users]
    roles = [role_id for role_id in roles if role_id in world.roles]
    pings_author = True if allowed is None else bool(allowed.get("replied_user"))
    if replied_to is not None and pings_author and replied_to not in users:
        users.append(replied_to)
    may_all = bool(permissions_in(world, author_id, channel) & Permission.MENTION_EVERYONE)
    everyone = bool(may_all and "everyone" in parse and _EVERYONE.search(text))
    notified = {user_id for user_id in users if can_view(world, user_id, channel)}
    if channel.kind is not ChannelKind.DM:
        for member in world.members.values():
            by_role = any(
                role_id in member.role_ids and (world.roles[role_id].mentionable or may_all)
                for role_id in roles
            )
            if (everyone or by_role) and can_view(world, member.user_id, channel):
                notified.add(member.user_id)
    notified.discard(author_id)
    return Mentions(user_ids=users, role_ids=roles, everyone=everyone, notified=sorted(notified))


def _chosen(
    pattern: re.Pattern[str], text: str, kind: str, parse: tuple[str, ...], allowed: Json | None
) -> list[int]:
    found = list(dict.fromkeys(int(one) for one in pattern.findall(text)))
    if kind in parse:
        return found
    listed: list[Any] = (allowed or {}).get(kind) or []
    permitted = {int(one) for one in listed}
    return [one for one in found if one in permitted]
