"""Whether Discord has our commands as we would send them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CHAT_INPUT = 1
"""Discord's type of a command that names none."""

Shape = tuple[Any, ...]


def shapes(payloads: Iterable[Mapping[str, Any]]) -> frozenset[Shape]:
    """What identifies the commands, whether Discord describes them or we do.

    Type, name and description of each command and option, with what an option requires and
    offers. Left out is what Discord rewrites or adds: ids, versions, limits, permissions,
    contexts. When *we* change one of those, the digest of what we sent last is another.
    """
    return frozenset((payload.get("type") or CHAT_INPUT, _shape(payload)) for payload in payloads)


def digest(application_id: int | None, payload: Sequence[Mapping[str, Any]]) -> str:
    """Another one whenever anything of what we send changes, or whose commands they are."""
    facts = {"application": application_id, "commands": payload}
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _shape(payload: Mapping[str, Any]) -> Shape:
    options = payload.get("options") or ()
    choices = payload.get("choices") or ()
    return (
        payload["name"],
        payload.get("description") or "",
        bool(payload.get("required")),
        tuple((choice["name"], choice["value"]) for choice in choices),
        tuple((option["type"], _shape(option)) for option in options),
    )
