"""From what a user typed or chose to the data of an interaction, checked as Discord's app does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sandbox.discord.attachments import AttachmentStore, Upload
from sandbox.discord.command_validation import (
    ATTACHMENT,
    BOOLEAN,
    CHANNEL,
    CHAT_INPUT,
    GROUP,
    INTEGER,
    MENTIONABLE,
    NUMBER,
    ROLE,
    STRING,
    SUBCOMMAND,
    USER,
)
from sandbox.discord.errors import Json
from sandbox.discord.payloads import Payloads
from sandbox.discord.permissions import base_permissions, permissions_in
from sandbox.discord.world import Channel, ChannelKind, World

# --- limits ------------------------------------------------------------------------------------
STRING_CHARS_MAX: Final = 6_000
"""Discord's for a string option."""
INTEGER_MAX: Final = 2**53
"""Discord's integers are exact in JavaScript."""


class Refused(Exception):
    """Discord's own app would not have sent this; `status` is for the control surface."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A user's use of a command. `focused` marks an autocomplete request."""

    user_id: int
    channel: Channel
    name: str
    options: Json
    uploads: dict[str, Upload]
    override: bool = False
    focused: str | None = None


class Invoker:
    """Builds interaction data from the registered commands."""

    def __init__(self, *, world: World, payloads: Payloads, store: AttachmentStore) -> None:
        self._world = world
        self._payloads = payloads
        self._store = store

    # --- commands ------------------------------------------------------------------------------

    def chat_input(self, call: Invocation) -> Json:
        """The data of a slash command or of its autocomplete."""
        words = call.name.removeprefix("/").split()
        if not words:
            raise Refused("name is empty")
        command = self._find(words[0], CHAT_INPUT, call.channel)
        self._check_allowed(command, call)
        path, leaf = self._descend(command, words[1:])
        resolved: Json = {}
        options = self._values(leaf.get("options") or [], call, resolved)
        for node in reversed(path):
            options = [{"name": node["name"], "type": node["type"], "options": options}]
        return self._base(command) | {"options": options, "resolved": resolved}

    def menu(self, call: Invocation, *, kind: int, target_id: int) -> Json:
        """The data of a user (2) or message (3) command on a target."""
        command = self._find(call.name, kind, call.channel)
        self._check_allowed(command, call)
        resolved: Json = {}
        if kind == 2:
            self._resolve_user(target_id, resolved)
        else:
            message = call.channel.messages.get(target_id)
            if message is None or message.deleted:
                raise Refused(f"no message {target_id} in this channel", status=404)
            resolved["messages"] = {str(target_id): self._payloads.message(message)}
        return self._base(command) | {"target_id": str(target_id), "resolved": resolved}

    @staticmethod
    def _base(command: Json) -> Json:
        base: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
        if "guild_id" in command:
            base["guild_id"] = command["guild_id"]
        return base

    def _find(self, name: str, kind: int, channel: Channel) -> Json:
        scopes = [None] if channel.guild_id is None else [channel.guild_id, None]
        for scope in scopes:
            for command in self._world.commands.get(scope, {}).values():
                if command["name"] == name and command["type"] == kind:
                    return command
        raise Refused(f"no command /{name} is registered here", status=404)

    def _check_allowed(self, command: Json, call: Invocation) -> None:
        channel, world = call.channel, self._world
        in_dm = channel.kind is ChannelKind.DM
        contexts = command.get("contexts")
        if contexts is None:
            contexts = [0, 1] if command.get("dm_permission", True) else [0]
        if (1 if in_dm else 0) not in contexts:
            place = "direct messages" if in_dm else "servers"
            raise Refused(f"/{command['name']} is not offered in {place}", status=403)
        if not permissions_in(world, call.user_id, channel):
            raise Refused("the user does not see this channel", status=403)
        if command.get("nsfw") and not channel.nsfw and not in_dm:
            raise Refused(f"/{command['name']} is for age-restricted channels", status=403)
        needed = command.get("default_member_permissions")
        if call.override or in_dm or needed is None:
            return
        rights = base_permissions(world, call.user_id)
        bits = int(needed)
        if rights & bits != bits or (bits == 0 and not rights & (1 << 3)):
            raise Refused(
                f"Discord does not show /{command['name']} to this user "
                f"(default_member_permissions); send override: true to use it all the same",
                status=403,
            )

    @staticmethod
    def _descend(command: Json, words: list[str]) -> tuple[list[Json], Json]:
        path: list[Json] = []
        node = command
        for word in words:
            options = node.get("options") or []
            inner = next((one for one in options if one["name"] == word), None)
            if inner is None or inner["type"] not in {SUBCOMMAND, GROUP}:
                raise Refused(f"/{command['name']} has no subcommand {word}", status=404)
            path.append(inner)
            node = inner
        if any(one["type"] in {SUBCOMMAND, GROUP} for one in node.get("options") or []):
            raise Refused(f"/{command['name']} needs a subcommand")
        return path, node

    # --- options -------------------------------------------------------------------------------

    def _values(self, schema: list[Json], call: Invocation, resolved: Json) -> list[Json]:
        given = dict(call.options) | {name: name for name in call.uploads}
        unknown = set(given) - {one["name"] for one in schema}
        if unknown:
            raise Refused(f"no such option: {', '.join(sorted(unknown))}")
        values = []
        for option in schema:
            name = option["name"]
            if given.get(name) is None:
                if option.get("required") and call.focused is None:
                    raise Refused(f"option {name} is required")
                if call.focused != name:
                    continue
            value: Json = {"name": name, "type": option["type"]}
            if call.focused is None:
                value["value"] = self._value(option, given[name], call, resolved)
            else:
                value["value"] = given.get(name, "")
                if name == call.focused:
                    value["value"] = str(value["value"])
                    value["focused"] = True
            values.append(value)
        return values

    def _value(self, option: Json, raw: Any, call: Invocation, resolved: Json) -> Any:
        name, kind = option["name"], option["type"]
        for choice in option.get("choices") or []:
            if raw in (choice["value"], choice["name"]):
                return choice["value"]
        if option.get("choices"):
            raise Refused(f"option {name} must be one of its choices")
        match kind:
            case _ if kind == STRING:
                return _text(option, raw)
            case _ if kind in {INTEGER, NUMBER}:
                return _number(option, raw)
            case _ if kind == BOOLEAN:
                if not isinstance(raw, bool):
                    raise Refused(f"option {name} must be true or false")
                return raw
            case _ if kind == ATTACHMENT:
                return self._upload(name, call, resolved)
            case _:
                return self._resolve(kind, _id(name, raw), call, resolved)

    def _upload(self, name: str, call: Invocation, resolved: Json) -> str:
        if name not in call.uploads:
            raise Refused(f"option {name} needs a file under attachments.{name}")
        upload = call.uploads[name]
        self._store.check((upload,))
        attachment = self._store.add(
            upload,
            attachment_id=self._world.new_id(),
            channel_id=call.channel.id,
            ephemeral=True,
        )
        rendered = self._payloads.attachment(attachment)
        resolved.setdefault("attachments", {})[rendered["id"]] = rendered
        return str(rendered["id"])

    def _resolve(self, kind: int, target_id: int, call: Invocation, resolved: Json) -> str:
        world = self._world
        if kind in {USER, MENTIONABLE} and target_id in world.users:
            self._resolve_user(target_id, resolved)
        elif kind in {ROLE, MENTIONABLE} and target_id in world.roles:
            role = self._payloads.role(world.roles[target_id])
            resolved.setdefault("roles", {})[str(target_id)] = role
        elif kind == CHANNEL and target_id in world.channels:
            channel = world.channels[target_id]
            rights = permissions_in(world, call.user_id, channel)
            rendered = self._payloads.channel(channel) | {"permissions": str(rights)}
            resolved.setdefault("channels", {})[str(target_id)] = rendered
        else:
            raise Refused(f"nothing with the id {target_id}", status=404)
        return str(target_id)

    def _resolve_user(self, user_id: int, resolved: Json) -> None:
        world = self._world
        if user_id not in world.users:
            raise Refused(f"no user {user_id}", status=404)
        user = self._payloads.user(world.users[user_id])
        resolved.setdefault("users", {})[str(user_id)] = user
        if user_id in world.members:
            member = self._payloads.member(world.members[user_id])
            member["permissions"] = str(base_permissions(world, user_id))
            resolved.setdefault("members", {})[str(user_id)] = member

    # --- selects -------------------------------------------------------------------------------

    def selected(self, component: Json, values: list[str], user_id: int, channel: Channel) -> Json:
        """`values` and `resolved` of a select that was used, checked against its bounds."""
        low, high = component.get("min_values", 1), component.get("max_values", 1)
        if not low <= len(values) <= high:
            raise Refused(f"choose between {low} and {high} values")
        resolved: Json = {}
        if component["type"] == 3:
            offered = {one["value"] for one in component.get("options") or []}
            if not set(values) <= offered:
                raise Refused("a value is not among the options")
            return {"values": values}
        kind = {5: USER, 6: ROLE, 7: MENTIONABLE, 8: CHANNEL}[component["type"]]
        call = Invocation(user_id=user_id, channel=channel, name="", options={}, uploads={})
        for value in values:
            self._resolve(kind, _id("values", value), call, resolved)
        return {"values": values, "resolved": resolved}


def _text(option: Json, raw: Any) -> str:
    text = str(raw)
    low = option.get("min_length") or 0
    high = option.get("max_length") or STRING_CHARS_MAX
    if not low <= len(text) <= high or not text:
        raise Refused(f"option {option['name']} must have {max(low, 1)} to {high} characters")
    return text


def _number(option: Json, raw: Any) -> int | float:
    name = option["name"]
    try:
        value = int(str(raw)) if option["type"] == INTEGER else float(raw)
    except (TypeError, ValueError) as error:
        raise Refused(f"option {name} must be a number") from error
    low = option.get("min_value")
    high = option.get("max_value")
    if (
        abs(value) > INTEGER_MAX
        or (low is not None and value < low)
        or (high is not None and value > high)
    ):
        raise Refused(f"option {name} is out of its range")
    return value


def _id(name: str, raw: Any) -> int:
    digits = str(raw).strip("<@!&#>")
    if not digits.isdigit():
        raise Refused(f"{name} must be an id")
    return int(digits)
