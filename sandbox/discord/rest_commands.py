"""REST: registering application commands, global and per guild."""

from __future__ import annotations

from typing import Any, Final

from sandbox.discord.command_validation import CHAT_INPUT, check_command
from sandbox.discord.core import Core
from sandbox.discord.errors import (
    ApiError,
    FormErrors,
    Json,
    form_error,
    unknown_command,
    unknown_guild,
)
from sandbox.discord.http import Call, Reply, Route
from sandbox.discord.rest_account import check_application

# --- limits (Discord, "Application Commands", per scope) ------------------------------------------
CHAT_INPUT_MAX: Final = 100
MENU_MAX: Final = 15

_KEYS: Final = frozenset(
    {
        "id",
        "type",
        "name",
        "name_localizations",
        "description",
        "description_localizations",
        "options",
        "default_member_permissions",
        "dm_permission",
        "default_permission",
        "contexts",
        "integration_types",
        "nsfw",
        "handler",
    }
)


def list_commands(core: Core, call: Call) -> Reply:
    """GET …/commands."""
    return Reply(body=list(_scope(core, call).values()))


def get_command(core: Core, call: Call) -> Reply:
    """GET …/commands/{command_id}."""
    return Reply(body=_command(core, call))


def overwrite(core: Core, call: Call) -> Reply:
    """PUT …/commands: these and no others. A command that stays keeps its id."""
    scope = _scope(core, call)
    wanted: Any = call.body
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise form_error((), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    errors = FormErrors()
    seen: set[tuple[int, str]] = set()
    for index, command in enumerate(wanted):
        check_command(command, (index,), errors)
        key = _key(command)
        if key in seen:
            errors.add(
                (index, "name"),
                "APPLICATION_COMMANDS_DUPLICATE_NAME",
                "Application command names must be unique",
            )
        seen.add(key)
    errors.raise_if_any()
    _check_counts(wanted)
    before = {_key(command): command for command in scope.values()}
    scope.clear()
    for command in wanted:
        made = _made(core, call, command, before.get(_key(command)))
        scope[int(made["id"])] = made
    _tell(core)
    return Reply(body=list(scope.values()))


def create(core: Core, call: Call) -> Reply:
    """POST …/commands: adds one, or replaces the one of the same name (200)."""
    scope = _scope(core, call)
    errors = FormErrors()
    check_command(call.data, (), errors)
    errors.raise_if_any()
    before = next((one for one in scope.values() if _key(one) == _key(call.data)), None)
    if before is None:
        _check_counts([*scope.values(), call.data])
    made = _made(core, call, call.data, before)
    scope[int(made["id"])] = made
    _tell(core)
    return Reply(body=made, status=201 if before is None else 200)


def edit(core: Core, call: Call) -> Reply:
    """PATCH …/commands/{command_id}."""
    before = _command(core, call)
    changed = before | call.data
    errors = FormErrors()
    check_command(changed, (), errors)
    errors.raise_if_any()
    made = _made(core, call, changed, before)
    _scope(core, call)[int(made["id"])] = made
    _tell(core)
    return Reply(body=made)


def delete(core: Core, call: Call) -> Reply:
    """DELETE …/commands/{command_id}."""
    del _scope(core, call)[int(_command(core, call)["id"])]
    _tell(core)
    return Reply()


def _tell(core: Core) -> None:
    core.hub.tell_all("commands", {"count": len(core.world.command_objects())})


def _scope(core: Core, call: Call) -> dict[int, Json]:
    check_application(core, call.id("application_id"))
    if "guild_id" not in call.params:
        return core.world.commands[None]
    guild_id = call.id("guild_id")
    if guild_id != core.world.guild.id:
        raise unknown_guild()
    return core.world.commands.setdefault(guild_id, {})


def _command(core: Core, call: Call) -> Json:
    command = _scope(core, call).get(call.id("command_id"))
    if command is None:
        raise unknown_command()
    return command


def _key(command: Json) -> tuple[int, str]:
    return int(command.get("type") or CHAT_INPUT), str(command.get("name"))


def _check_counts(commands: list[Json]) -> None:
    for kind in (1, 2, 3):
        count_max = CHAT_INPUT_MAX if kind == CHAT_INPUT else MENU_MAX
        if sum(1 for one in commands if _key(one)[0] == kind) > count_max:
            raise ApiError(
                400, 30032, f"Maximum number of application commands reached ({count_max})"
            )


def _made(core: Core, call: Call, command: Json, before: Json | None) -> Json:
    permissions = command.get("default_member_permissions")
    made: Json = {
        "id": before["id"] if before is not None else str(core.world.new_id()),
        "application_id": str(core.world.application_id),
        "version": str(core.world.new_id()),
        "type": int(command.get("type") or CHAT_INPUT),
        "name": command["name"],
        "name_localizations": command.get("name_localizations"),
        "description": command.get("description") or "",
        "description_localizations": command.get("description_localizations"),
        "options": command.get("options") or [],
        "default_member_permissions": None if permissions is None else str(permissions),
        "dm_permission": command.get("dm_permission", True),
        "contexts": command.get("contexts"),
        "integration_types": command.get("integration_types") or [0],
        "nsfw": bool(command.get("nsfw")),
    }
    if "guild_id" in call.params:
        made["guild_id"] = call.params["guild_id"]
    return made


def _routes(base: str) -> list[Route]:
    one = base + "/{command_id}"
    return [
        Route(method="GET", path=base, handler=list_commands),
        Route(method="PUT", path=base, handler=overwrite, known_data=_KEYS),
        Route(method="POST", path=base, handler=create, known=_KEYS),
        Route(method="GET", path=one, handler=get_command),
        Route(method="PATCH", path=one, handler=edit, known=_KEYS),
        Route(method="DELETE", path=one, handler=delete),
    ]


ROUTES: Final = [
    *_routes("/applications/{application_id}/commands"),
    *_routes("/applications/{application_id}/guilds/{guild_id}/commands"),
]
