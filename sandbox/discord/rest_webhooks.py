"""REST: answers to interactions, and the messages behind their tokens."""

from __future__ import annotations

from typing import Final

from sandbox.discord.core import Core
from sandbox.discord.errors import unknown_interaction, unknown_webhook
from sandbox.discord.http import Auth, Call, Reply, Route
from sandbox.discord.interactions import Interaction
from sandbox.discord.ratelimits import WEBHOOKS

_MESSAGE_KEYS: Final = frozenset(
    {"content", "embeds", "allowed_mentions", "components", "attachments", "poll", "flags", "tts"}
)
_CALLBACK_DATA: Final = _MESSAGE_KEYS | {"choices", "custom_id", "title"}


def callback(core: Core, call: Call) -> Reply:
    """POST /interactions/{interaction_id}/{interaction_token}/callback."""
    raw_id = call.params["interaction_id"]
    if not raw_id.isdigit():
        raise unknown_interaction()
    response = core.interactions.respond(
        int(raw_id), call.params["interaction_token"], call.data, call.uploads
    )
    if call.query.get("with_response", "").lower() in {"1", "true"}:
        return Reply(body=response)
    return Reply()


def follow_up(core: Core, call: Call) -> Reply:
    """POST /webhooks/{webhook_id}/{webhook_token}."""
    message = core.interactions.follow_up(_interaction(core, call), call.data, call.uploads)
    return Reply(body=core.payloads.message(message))


def get_message(core: Core, call: Call) -> Reply:
    """GET …/messages/{message_id}, also @original."""
    message = core.interactions.message(_interaction(core, call), call.params["message_id"])
    return Reply(body=core.payloads.message(message))


def edit_message(core: Core, call: Call) -> Reply:
    """PATCH …/messages/{message_id}, also @original."""
    interaction = _interaction(core, call)
    message = core.interactions.message(interaction, call.params["message_id"])
    core.interactions.edit(interaction, message, call.data, call.uploads)
    return Reply(body=core.payloads.message(message))


def delete_message(core: Core, call: Call) -> Reply:
    """DELETE …/messages/{message_id}, also @original."""
    core.posting.delete(
        core.interactions.message(_interaction(core, call), call.params["message_id"])
    )
    return Reply()


def _interaction(core: Core, call: Call) -> Interaction:
    raw_id = call.params["webhook_id"]
    if not raw_id.isdigit():
        raise unknown_webhook()
    return core.interactions.by_token(int(raw_id), call.params["webhook_token"])


_HOOK = "/webhooks/{webhook_id}/{webhook_token}"
_MESSAGE = _HOOK + "/messages/{message_id}"

ROUTES: Final = [
    Route(
        method="POST",
        path="/interactions/{interaction_id}/{interaction_token}/callback",
        handler=callback,
        rule=None,
        auth=Auth.PATH,
        known=frozenset({"type", "data"}),
        known_data=_CALLBACK_DATA,
    ),
    Route(
        method="POST",
        path=_HOOK,
        handler=follow_up,
        rule=WEBHOOKS,
        auth=Auth.PATH,
        known=_MESSAGE_KEYS,
    ),
    Route(method="GET", path=_MESSAGE, handler=get_message, rule=WEBHOOKS, auth=Auth.PATH),
    Route(
        method="PATCH",
        path=_MESSAGE,
        handler=edit_message,
        rule=WEBHOOKS,
        auth=Auth.PATH,
        known=_MESSAGE_KEYS,
    ),
    Route(method="DELETE", path=_MESSAGE, handler=delete_message, rule=WEBHOOKS, auth=Auth.PATH),
]
