"""Components as Discord gives them back: with ids, defaults filled in, and media resolved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sandbox.discord.components import (
    CONTAINER,
    FILE,
    GALLERY,
    SELECTS,
    SEPARATOR,
    THUMBNAIL,
    walk,
)
from sandbox.discord.errors import Json

Resolve = Callable[[Json], Json]
"""From {"url": …} of a request to the media item of an answer."""

_DEFAULTS: Final[dict[int, Json]] = {
    **{kind: {"min_values": 1, "max_values": 1} for kind in SELECTS},
    THUMBNAIL: {"description": None, "spoiler": False},
    FILE: {"name": None, "size": None, "spoiler": False},
    SEPARATOR: {"divider": True, "spacing": 1},
    CONTAINER: {"accent_color": None, "spoiler": False},
}
_GALLERY_ITEM: Final[Json] = {"description": None, "spoiler": False}


def rendered(components: list[Json], resolve: Resolve) -> list[Json]:
    """The tree that a message keeps."""
    taken = {one["id"] for one in walk(components) if one.get("id")}
    free = iter(number for number in range(1, 10_000) if number not in taken)

    def made(one: Json) -> Json:
        given = {key: value for key, value in one.items() if value is not None}
        component = _DEFAULTS.get(one["type"], {}) | given
        component["id"] = one.get("id") or next(free)
        if "components" in given:
            component["components"] = [made(child) for child in given["components"]]
        for key in ("accessory", "component"):
            if key in given:
                component[key] = made(given[key])
        return _with_media(component, resolve)

    return [made(one) for one in components]


def _with_media(component: Json, resolve: Resolve) -> Json:
    if component["type"] == GALLERY:
        items: list[Any] = component["items"]
        component["items"] = [
            _GALLERY_ITEM | item | {"media": resolve(item["media"])} for item in items
        ]
    elif component["type"] == THUMBNAIL:
        component["media"] = resolve(component["media"])
    elif component["type"] == FILE:
        told = component["file"]
        component["name"] = str(told["url"]).removeprefix("attachment://")
        component["file"] = resolve(told)
    return component
