"""Message and modal components: Discord's rules on shape, counts and lengths.

Source: Discord's OpenAPI description (`...ComponentForMessageRequest`, `...ForModalRequest`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sandbox.discord.errors import FormErrors, Json

# --- limits (Discord, "Component Reference") -----------------------------------------------------
V1_ROWS_MAX: Final = 5
V2_COMPONENTS_MAX: Final = 40
"""All levels together."""
V2_TEXT_CHARS_MAX: Final = 4_000
"""All text displays of one message together."""
ROW_BUTTONS_MAX: Final = 5
CUSTOM_ID_CHARS_MAX: Final = 100
BUTTON_LABEL_CHARS_MAX: Final = 80
BUTTON_URL_CHARS_MAX: Final = 512
SELECT_OPTIONS_MAX: Final = 25
OPTION_CHARS_MAX: Final = 100
PLACEHOLDER_CHARS_MAX: Final = 150
SECTION_TEXTS_MAX: Final = 3
GALLERY_ITEMS_MAX: Final = 10
MODAL_ROWS_MAX: Final = 5
MODAL_TITLE_CHARS_MAX: Final = 45
LABEL_CHARS_MAX: Final = 45
DEPTH_MAX: Final = 4
"""Container, section, accessory: nothing that Discord accepts is deeper."""

Path = tuple[str | int, ...]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR = 9, 10, 11, 12, 13, 14
CONTAINER, LABEL, FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 17, 18, 19, 21, 22, 23
SELECTS: Final = frozenset({3, 5, 6, 7, 8})
LINK_STYLE: Final = 5
PREMIUM_STYLE: Final = 6

_V2_TOP: Final = frozenset({ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR, CONTAINER})
_CHILDREN: Final[dict[int, frozenset[int]]] = {
    ROW: SELECTS | {BUTTON},
    SECTION: frozenset({TEXT}),
    CONTAINER: frozenset({ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR}),
}
_IN_LABEL: Final = SELECTS | {TEXT_INPUT, FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX}


def walk(components: list[Json]) -> Iterator[Json]:
    """Every component of a tree, parents first."""
    for component in components:
        yield component
        yield from walk(component.get("components") or [])
        for key in ("accessory", "component"):
            if isinstance(component.get(key), dict):
                yield from walk([component[key]])


class ComponentCheck:
    """Walks one tree and notes every breach in `errors`."""

    def __init__(self, errors: FormErrors) -> None:
        self._errors = errors
        self._custom_ids: set[str] = set()
        self._ids: set[int] = set()

    def message(self, components: Any, *, v2: bool) -> None:
        """`components` of a message, under the old rules or under IS_COMPONENTS_V2."""
        path: Path = ("components",)
        if not isinstance(components, list):
            self._errors.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return
        if not v2 and len(components) > V1_ROWS_MAX:
            self._too_many(path, V1_ROWS_MAX)
        for index, component in enumerate(components):
            allowed = _V2_TOP if v2 else frozenset({ROW})
            self._component(component, (*path, index), allowed, 1)
        if v2 and not self._errors:
            self._v2_totals(components)

    def modal(self, data: Json) -> None:
        """The data of a modal response (type 9)."""
        self._text(data, ("data",), "title", MODAL_TITLE_CHARS_MAX)
        self._text(data, ("data",), "custom_id", CUSTOM_ID_CHARS_MAX)
        rows = data.get("components")
        path: Path = ("data", "components")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MODAL_ROWS_MAX:
            self._errors.add(
                path, "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {MODAL_ROWS_MAX} in length."
            )
            return
        for index, row in enumerate(rows):
            self._modal_row(row, (*path, index))

    # --- one component -----------------------------------------------------------------------

    def _component(self, one: Any, path: Path, allowed: frozenset[int], depth: int) -> None:
        kind = one.get("type") if isinstance(one, dict) else None
        if kind not in allowed or depth > DEPTH_MAX:
            values = ", ".join(str(value) for value in sorted(allowed))
            self._errors.add(
                (*path, "type"), "UNION_TYPE_CHOICES", f"Value of field must be one of ({values})."
            )
            return
        self._own_id(one, path)
        if kind == BUTTON:
            self._button(one, path)
        elif kind in SELECTS:
            self._select(one, path)
        elif kind == TEXT:
            self._text(one, path, "content", V2_TEXT_CHARS_MAX)
        elif kind in {GALLERY, FILE, THUMBNAIL}:
            self._media(one, path)
        elif kind in {ROW, SECTION, CONTAINER}:
            self._children(one, path, depth)

    def _children(self, one: Json, path: Path, depth: int) -> None:
        children = one.get("components")
        path_in: Path = (*path, "components")
        if not isinstance(children, list) or not children:
            self._errors.add(path_in, "BASE_TYPE_REQUIRED", "This field is required")
            return
        for index, child in enumerate(children):
            self._component(child, (*path_in, index), _CHILDREN[one["type"]], depth + 1)
        kinds = [child.get("type") for child in children if isinstance(child, dict)]
        if one["type"] == ROW and (
            len(kinds) > ROW_BUTTONS_MAX or (len(kinds) > 1 and SELECTS & set(kinds))
        ):
            self._too_many(path_in, 1 if SELECTS & set(kinds) else ROW_BUTTONS_MAX)
        if one["type"] == SECTION:
            if len(kinds) > SECTION_TEXTS_MAX:
                self._too_many(path_in, SECTION_TEXTS_MAX)
            accessory = frozenset({BUTTON, THUMBNAIL})
            self._component(one.get("accessory"), (*path, "accessory"), accessory, depth + 1)

    def _button(self, one: Json, path: Path) -> None:
        style = one.get("style")
        if style not in range(1, 7):
            self._errors.add(
                (*path, "style"),
                "BASE_TYPE_CHOICES",
                "Value must be one of (1, 2, 3, 4, 5, 6).",
            )
        if style == LINK_STYLE:
            self._text(one, path, "url", BUTTON_URL_CHARS_MAX)
            if one.get("custom_id"):
                self._errors.add(
                    (*path, "custom_id"),
                    "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
                    "A custom id and url cannot both be specified",
                )
        elif style != PREMIUM_STYLE:
            self._custom_id(one, path)
        if one.get("label"):
            self._text(one, path, "label", BUTTON_LABEL_CHARS_MAX)
        elif not one.get("emoji") and style != PREMIUM_STYLE:
            self._errors.add(
                path, "BUTTON_COMPONENT_INVALID_LABEL", "A button must have a label or an emoji"
            )

    def _select(self, one: Json, path: Path) -> None:
        self._custom_id(one, path)
        if one.get("placeholder"):
            self._text(one, path, "placeholder", PLACEHOLDER_CHARS_MAX)
        if one["type"] == STRING_SELECT:
            self._options(one, path)

    def _options(self, one: Json, path: Path) -> None:
        options = one.get("options")
        inside: Path = (*path, "options")
        if not isinstance(options, list) or not 1 <= len(options) <= SELECT_OPTIONS_MAX:
            self._errors.add(
                inside,
                "BASE_TYPE_BAD_LENGTH",
                f"Must be between 1 and {SELECT_OPTIONS_MAX} in length.",
            )
            return
        seen: set[Any] = set()
        for index, option in enumerate(options):
            for key in ("label", "value"):
                self._text(option, (*inside, index), key, OPTION_CHARS_MAX)
            if option.get("description"):
                self._text(option, (*inside, index), "description", OPTION_CHARS_MAX)
            if option.get("value") in seen:
                self._errors.add(
                    (*inside, index, "value"),
                    "COMPONENT_OPTION_VALUE_DUPLICATED",
                    "The specified option value is already used",
                )
            seen.add(option.get("value"))

    def _media(self, one: Json, path: Path) -> None:
        if one["type"] == GALLERY:
            items = one.get("items")
            if not isinstance(items, list) or not 1 <= len(items) <= GALLERY_ITEMS_MAX:
                self._errors.add(
                    (*path, "items"),
                    "BASE_TYPE_BAD_LENGTH",
                    f"Must be between 1 and {GALLERY_ITEMS_MAX} in length.",
                )
                return
            places = [((*path, "items", at, "media"), i.get("media")) for at, i in enumerate(items)]
        else:
            key = "file" if one["type"] == FILE else "media"
            places = [((*path, key), one.get(key))]
        for place, media in places:
            url = media.get("url") if isinstance(media, dict) else None
            schemes = ("attachment://",) if one["type"] == FILE else _MEDIA_SCHEMES
            if not isinstance(url, str) or not url.startswith(schemes):
                self._errors.add(
                    (*place, "url"), "URL_TYPE_INVALID_SCHEME", "Not a well formed URL."
                )

    def _modal_row(self, row: Any, path: Path) -> None:
        kind = row.get("type") if isinstance(row, dict) else None
        if kind == TEXT:
            self._text(row, path, "content", V2_TEXT_CHARS_MAX)
            return
        if kind == ROW:
            children = row.get("components") or [None]
            where, child = (*path, "components", 0), children[0]
            allowed: frozenset[int] = frozenset({TEXT_INPUT})
        elif kind == LABEL:
            self._text(row, path, "label", LABEL_CHARS_MAX)
            where, child, allowed = (*path, "component"), row.get("component"), _IN_LABEL
        else:
            self._errors.add(
                (*path, "type"), "UNION_TYPE_CHOICES", "Value of field must be one of (1, 10, 18)."
            )
            return
        if not isinstance(child, dict) or child.get("type") not in allowed:
            self._errors.add((*where, "type"), "UNION_TYPE_CHOICES", "Not a component for a modal.")
            return
        self._custom_id(child, where)
        if child["type"] == STRING_SELECT:
            self._options(child, where)

    # --- shared rules --------------------------------------------------------------------------

    def _custom_id(self, one: Json, path: Path) -> None:
        self._text(one, path, "custom_id", CUSTOM_ID_CHARS_MAX)
        custom_id = one.get("custom_id")
        if isinstance(custom_id, str):
            if custom_id in self._custom_ids:
                self._errors.add(
                    (*path, "custom_id"),
                    "COMPONENT_CUSTOM_ID_DUPLICATED",
                    "Component custom id cannot be duplicated",
                )
            self._custom_ids.add(custom_id)

    def _own_id(self, one: Json, path: Path) -> None:
        own = one.get("id")
        if own and own in self._ids:
            self._errors.add(
                (*path, "id"), "COMPONENT_ID_DUPLICATED", "Component id cannot be duplicated"
            )
        if own:
            self._ids.add(own)

    def _text(self, one: Any, path: Path, key: str, chars_max: int) -> None:
        text = one.get(key) if isinstance(one, dict) else None
        if not isinstance(text, str) or not text:
            self._errors.add((*path, key), "BASE_TYPE_REQUIRED", "This field is required")
        elif len(text) > chars_max:
            self._errors.add(
                (*path, key),
                "BASE_TYPE_BAD_LENGTH",
                f"Must be between 1 and {chars_max} in length.",
            )

    def _too_many(self, path: Path, count_max: int) -> None:
        self._errors.add(
            path, "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {count_max} in length."
        )

    def _v2_totals(self, components: list[Json]) -> None:
        everything = list(walk(components))
        if len(everything) > V2_COMPONENTS_MAX:
            self._errors.add(
                ("components",),
                "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
                f"The total number of components cannot exceed {V2_COMPONENTS_MAX}",
            )
        chars = sum(len(one["content"]) for one in everything if one["type"] == TEXT)
        if chars > V2_TEXT_CHARS_MAX:
            self._errors.add(
                ("components",),
                "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED",
                f"The total displayable text size exceeds the maximum size of {V2_TEXT_CHARS_MAX}",
            )


_MEDIA_SCHEMES: Final = ("attachment://", "https://", "http://")
