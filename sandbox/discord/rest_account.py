"""REST: the gateway's address, the bot's own account, its application, and users."""

from __future__ import annotations

from typing import Final

from sandbox.discord.core import Core
from sandbox.discord.errors import Json, missing_access, unknown_user
from sandbox.discord.http import Auth, Call, Reply, Route
from sandbox.discord.permissions import base_permissions


def gateway(core: Core, _call: Call) -> Reply:
    """GET /gateway."""
    return Reply(body={"url": core.gateway.url})


def gateway_bot(core: Core, _call: Call) -> Reply:
    """GET /gateway/bot."""
    return Reply(
        body={
            "url": core.gateway.url,
            "shards": 1,
            "session_start_limit": core.gateway.start_limit(),
        }
    )


def own_user(core: Core, _call: Call) -> Reply:
    """GET /users/@me."""
    return Reply(body=core.payloads.own_user())


def own_guilds(core: Core, _call: Call) -> Reply:
    """GET /users/@me/guilds."""
    world = core.world
    guild: Json = {
        "id": str(world.guild.id),
        "name": world.guild.name,
        "icon": None,
        "banner": None,
        "owner": False,
        "permissions": str(base_permissions(world, world.bot_id)),
        "features": [],
        "approximate_member_count": len(world.members),
        "approximate_presence_count": len(world.members),
    }
    return Reply(body=[guild])


def user(core: Core, call: Call) -> Reply:
    """GET /users/{user_id}."""
    found = core.world.users.get(call.id("user_id"))
    if found is None:
        raise unknown_user()
    return Reply(body=core.payloads.user(found))


def application(core: Core, _call: Call) -> Reply:
    """GET /oauth2/applications/@me and /applications/@me."""
    return Reply(body=application_object(core))


def application_object(core: Core) -> Json:
    """The bot's application."""
    world = core.world
    bot = world.users[world.bot_id]
    return {
        "id": str(world.application_id),
        "name": bot.display_name,
        "icon": None,
        "description": "",
        "summary": "",
        "type": None,
        "bot": core.payloads.user(bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": core.gateway.application_flags,
        "flags_new": str(core.gateway.application_flags),
        "explicit_content_filter": 0,
        "eligible_oauth2_scopes": [],
        "owner": core.payloads.user(world.users[world.guild.owner_id]),
        "team": None,
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "integration_types_config": {"0": {}},
        "approximate_guild_count": 1,
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "event_webhooks_status": 1,
    }


def check_application(core: Core, application_id: int) -> None:
    """50001 for an application that is not ours."""
    if application_id != core.world.application_id:
        raise missing_access()


ROUTES: Final = [
    Route(method="GET", path="/gateway", handler=gateway, auth=Auth.NONE),
    Route(method="GET", path="/gateway/bot", handler=gateway_bot),
    Route(method="GET", path="/users/@me", handler=own_user),
    Route(method="GET", path="/users/@me/guilds", handler=own_guilds),
    Route(method="GET", path="/oauth2/applications/@me", handler=application),
    Route(method="GET", path="/applications/@me", handler=application),
    Route(method="GET", path="/users/{user_id}", handler=user),
]
