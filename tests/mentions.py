"""Which requests of the bot could notify somebody by what a model or a member wrote (F-144)."""

from __future__ import annotations

import re
from typing import Any

Json = Any

_WRITES = (
    ("POST", re.compile(r"/channels/\d+/messages")),
    ("PATCH", re.compile(r"/channels/\d+/messages/\d+")),
    ("POST", re.compile(r"/webhooks/\d+/[^/]+")),
    ("PATCH", re.compile(r"/webhooks/\d+/[^/]+/messages/[^/]+")),
)
_CALLBACK = re.compile(r"/interactions/\d+/[^/]+/callback")
_CALLBACKS_THAT_WRITE = {4, 7}
"""CHANNEL_MESSAGE_WITH_SOURCE and UPDATE_MESSAGE; choices, modals and deferrals show no text."""
_IS_COMPONENTS_V2 = 1 << 15


def written(request: Json) -> Json | None:
    """The message that a request makes or edits; None when it does neither."""
    method, path, body = request["method"], request["path"], request["body"]
    if method == "POST" and _CALLBACK.fullmatch(path):
        return (body.get("data") or {}) if body["type"] in _CALLBACKS_THAT_WRITE else None
    is_write = any(method == verb and route.fullmatch(path) for verb, route in _WRITES)
    return (body or {}) if is_write else None


def unguarded(requests: list[Json]) -> list[str]:
    """Requests whose message does not switch mentions off, the replied user's included.

    Only the card of a job may name one member: its owner, who has waited for it.
    """
    return [
        f"{request['method']} {request['path']}"
        for request in requests
        if (message := written(request)) is not None and not _is_guarded(message)
    ]


def _is_guarded(message: Json) -> bool:
    allowed = message.get("allowed_mentions")
    if allowed is None or allowed.get("parse") != []:
        return False
    named_max = 1 if (message.get("flags") or 0) & _IS_COMPONENTS_V2 else 0
    few = len(allowed.get("users") or ()) <= named_max
    return few and not allowed.get("roles") and not allowed.get("replied_user")
