"""What Discord checks in the body of a message, before anything happens (code 50035, 50006)."""

from __future__ import annotations

from typing import Any, Final

from sandbox.discord.components import ComponentCheck
from sandbox.discord.errors import ApiError, FormErrors, Json
from sandbox.discord.world import MessageFlag

# --- limits (Discord, "Message" and "Embed Limits") ----------------------------------------------
CONTENT_CHARS_MAX: Final = 2_000
NONCE_CHARS_MAX: Final = 25
EMBEDS_MAX: Final = 10
EMBED_CHARS_MAX: Final = 6_000
"""All embeds of one message together."""
EMBED_FIELDS_MAX: Final = 25
MENTION_IDS_MAX: Final = 100

_EMBED_LENGTHS: Final = (
    (("title",), 256),
    (("description",), 4_096),
    (("footer", "text"), 2_048),
    (("author", "name"), 256),
)
_FIELD_LENGTHS: Final = (("name", 256), ("value", 1_024))
_FLAGS_ON_CREATE: Final = (
    MessageFlag.SUPPRESS_EMBEDS
    | MessageFlag.SUPPRESS_NOTIFICATIONS
    | MessageFlag.IS_COMPONENTS_V2
    | MessageFlag.EPHEMERAL
)
_V2_EXCLUDES: Final = ("content", "embeds", "poll", "sticker_ids")


def check_message(body: Json, *, prior_flags: int = 0, root: tuple[str, ...] = ()) -> None:
    """Refuse a body that Discord refuses; `prior_flags` are those of the message being edited.

    `root` is where the message stands in the request, such as ("data",) of an interaction answer.
    """
    errors = FormErrors()
    flags = body.get("flags") or 0
    if not isinstance(flags, int) or isinstance(flags, bool):
        errors.add((*root, "flags"), "NUMBER_TYPE_COERCE", f'Value "{flags}" is not int.')
        flags = 0
    v2 = bool((flags | prior_flags) & MessageFlag.IS_COMPONENTS_V2)
    _check_content(body.get("content"), root, errors)
    _check_nonce(body.get("nonce"), root, errors)
    if body.get("embeds") is not None:
        _check_embeds(body["embeds"], root, errors)
    if body.get("components") is not None:
        inner = FormErrors()
        ComponentCheck(inner).message(body["components"], v2=v2)
        _graft(inner, errors, root)
    if v2:
        for key in _V2_EXCLUDES:
            if body.get(key):
                errors.add(
                    (*root, key),
                    "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                    f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
                )
    if body.get("allowed_mentions") is not None:
        _check_mentions(body["allowed_mentions"], root, errors)
    errors.raise_if_any()


def check_not_empty(body: Json, *, has_files: bool) -> None:
    """50006 when a new message would show nothing."""
    if has_files:
        return
    if not any(body.get(key) for key in ("content", "embeds", "components", "poll", "sticker_ids")):
        raise ApiError(400, 50006, "Cannot send an empty message")


def allowed_flags(flags: Any) -> int:
    """The flags that a sender may set; Discord ignores the others."""
    return int(flags or 0) & _FLAGS_ON_CREATE


def _graft(inner: FormErrors, errors: FormErrors, root: tuple[str, ...]) -> None:
    try:
        inner.raise_if_any()
    except ApiError as error:
        for path, code, message in _leaves(error.errors or {}, ()):
            errors.add((*root, *path), code, message)


def _leaves(tree: Json, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], str, str]]:
    found = [(path, one["code"], one["message"]) for one in tree.get("_errors", [])]
    for step, node in tree.items():
        if step != "_errors":
            found += _leaves(node, (*path, step))
    return found


def _check_content(content: Any, root: tuple[str, ...], errors: FormErrors) -> None:
    if content is None:
        return
    if not isinstance(content, str):
        errors.add((*root, "content"), "STRING_TYPE_CONVERT", "Could not interpret as string.")
    elif len(content) > CONTENT_CHARS_MAX:
        errors.add(
            (*root, "content"),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {CONTENT_CHARS_MAX} or fewer in length.",
        )


def _check_nonce(nonce: Any, root: tuple[str, ...], errors: FormErrors) -> None:
    if nonce is not None and len(str(nonce)) > NONCE_CHARS_MAX:
        errors.add(
            (*root, "nonce"),
            "NONCE_TYPE_TOO_LONG",
            f"Nonces must be {NONCE_CHARS_MAX} characters or fewer.",
        )


def _check_embeds(embeds: Any, root: tuple[str, ...], errors: FormErrors) -> None:
    path = (*root, "embeds")
    if not isinstance(embeds, list) or not all(isinstance(one, dict) for one in embeds):
        errors.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return
    if len(embeds) > EMBEDS_MAX:
        errors.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {EMBEDS_MAX} or fewer in length.")
    total = 0
    for index, embed in enumerate(embeds):
        total += _check_embed(embed, (*path, index), errors)
    if total > EMBED_CHARS_MAX:
        errors.add(
            path, "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_CHARS_MAX}"
        )


def _check_embed(embed: Json, path: tuple[str | int, ...], errors: FormErrors) -> int:
    """Note the breaches of one embed and return its counted characters."""
    total = 0
    for keys, chars_max in _EMBED_LENGTHS:
        value: Any = embed
        for key in keys:
            value = (value or {}).get(key)
        total += _check_length(value, (*path, *keys), chars_max, errors)
    fields = embed.get("fields") or []
    if len(fields) > EMBED_FIELDS_MAX:
        errors.add(
            (*path, "fields"),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {EMBED_FIELDS_MAX} or fewer in length.",
        )
    for index, one in enumerate(fields):
        for key, chars_max in _FIELD_LENGTHS:
            where = (*path, "fields", index, key)
            if not one.get(key):
                errors.add(where, "BASE_TYPE_REQUIRED", "This field is required")
            total += _check_length(one.get(key), where, chars_max, errors)
    return total


def _check_length(
    value: Any, path: tuple[str | int, ...], chars_max: int, errors: FormErrors
) -> int:
    if value is None:
        return 0
    text = str(value)
    if len(text) > chars_max:
        errors.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {chars_max} or fewer in length.")
    return len(text)


def _check_mentions(allowed: Any, root: tuple[str, ...], errors: FormErrors) -> None:
    path = (*root, "allowed_mentions")
    if not isinstance(allowed, dict):
        errors.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return
    parse = allowed.get("parse") or []
    for index, kind in enumerate(parse):
        if kind not in {"users", "roles", "everyone"}:
            errors.add(
                (*path, "parse", index),
                "BASE_TYPE_CHOICES",
                "Value must be one of ('users', 'roles', 'everyone').",
            )
    for kind in ("users", "roles"):
        ids = allowed.get(kind) or []
        if len(ids) > MENTION_IDS_MAX:
            errors.add(
                (*path, kind),
                "BASE_TYPE_MAX_LENGTH",
                f"Must be {MENTION_IDS_MAX} or fewer in length.",
            )
        if ids and kind in parse:
            errors.add(
                path,
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )
