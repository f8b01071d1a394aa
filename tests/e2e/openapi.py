"""Judges whether a request is valid under Discord's published description of its API.

The description (MIT, discord/discord-api-spec) lies beside the repository, not in it; without it
`load()` gives None and the caller says so. Facts about it: discord.md, "Validating our requests".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DESCRIPTION = Path(__file__).parents[3] / "shared" / "data" / "discord-openapi.json"
MESSAGE_CHARS_MAX = 2_000
"""The description says 4,000, which is true for members with Nitro and not for bots."""

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path of the description."""

    method: str
    path: re.Pattern[str]
    fixed_parts: int
    schema: Json | None


def load() -> Description | None:
    """The description, or None where the file is not there."""
    if not DESCRIPTION.is_file():
        return None
    return Description(json.loads(DESCRIPTION.read_text(encoding="utf-8")))


class Description:
    def __init__(self, document: Mapping[str, Json]) -> None:
        self._document = document
        self._operations = tuple(_operations(document))

    def problems(self, method: str, path: str, body: Json) -> list[str]:
        """What is wrong with this request; empty when nothing is."""
        operation = self._find(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation"]
        if operation.schema is None:
            return [] if body in (None, {}, []) else [f"{method} {path}: takes no body"]
        body = _without_departures(method, body)
        schema = {**operation.schema, "components": self._document["components"]}
        found = [
            f"{method} {path}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
            for error in Draft202012Validator(schema).iter_errors(body)
        ]
        found += [f"{method} {path}: unknown {name}" for name in self._unknown(schema, body)]
        if isinstance(body, dict) and len(str(body.get("content"))) > MESSAGE_CHARS_MAX:
            found.append(f"{method} {path}: content above {MESSAGE_CHARS_MAX} characters")
        return found

    def _find(self, method: str, path: str) -> Operation | None:
        fitting = [o for o in self._operations if o.method == method and o.path.fullmatch(path)]
        return max(fitting, key=lambda operation: operation.fixed_parts, default=None)

    def _unknown(self, schema: Json, body: Json, where: str = "") -> Iterator[str]:
        """Objects accept unknown properties almost everywhere, so a misspelling passes: list it."""
        if isinstance(body, list):
            items = [s["items"] for s in self._alternatives(schema) if "items" in s]
            for item in body:
                yield from self._unknown({"anyOf": items}, item, f"{where}[]")
        if not isinstance(body, dict):
            return
        known: dict[str, list[Json]] = {}
        for alternative in self._alternatives(schema):
            if "additionalProperties" in alternative and not alternative.get("properties"):
                return  # a free map, such as localisations
            for name, property_schema in alternative.get("properties", {}).items():
                known.setdefault(name, []).append(property_schema)
        for name, value in body.items():
            if name not in known:
                yield f"{where}.{name}"
            else:
                yield from self._unknown({"anyOf": known[name]}, value, f"{where}.{name}")

    def _alternatives(self, schema: Json) -> Iterator[Json]:
        """Each object schema that `schema` may mean."""
        if "$ref" in schema:
            target: Json = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            yield from self._alternatives(target)
            return
        yield schema
        for word in ("oneOf", "anyOf", "allOf"):
            for part in schema.get(word, ()):
                yield from self._alternatives(part)


def _operations(document: Mapping[str, Json]) -> Iterator[Operation]:
    for template, item in document["paths"].items():
        parts = template.strip("/").split("/")
        pattern = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
        for method in ("get", "post", "put", "patch", "delete"):
            if method not in item:
                continue
            content = item[method].get("requestBody", {}).get("content", {})
            yield Operation(
                method=method.upper(),
                path=re.compile(f"/{pattern}"),
                fixed_parts=sum(not part.startswith("{") for part in parts),
                schema=content.get("application/json", {}).get("schema"),
            )


def _without_departures(method: str, body: Json) -> Json:
    """What discord.py 2.7.1 sends otherwise than described (discord.md), and Discord accepts."""
    body = json.loads(json.dumps(body))
    if not isinstance(body, dict):
        return body
    if method == "PATCH":
        body.pop("tts", None)
    if "recipient_id" in body:
        body["recipient_id"] = str(body["recipient_id"])
    for holder in (body, body.get("data") or {}):
        if not isinstance(holder, dict):
            continue
        reference = holder.get("message_reference") or {}
        for name in ("message_id", "channel_id", "guild_id"):
            if name in reference:
                reference[name] = str(reference[name])
        mentioned = holder.get("allowed_mentions") or {}
        if "users" in mentioned:
            mentioned["users"] = [str(user_id) for user_id in mentioned["users"]]
        for attachment in holder.get("attachments") or []:
            attachment["id"] = str(attachment["id"])
    return body
