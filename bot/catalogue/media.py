"""Models of pictures and videos as data: what each takes, what it costs, what may be chosen.

Nothing here is about one model: an operator adds one in `models.toml`. The wire forms are those
of `bot/providers/tasks.py` and `bot/providers/openai_video.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

SECONDS = "seconds"
"""The option that holds a video's length; prices per second multiply by it."""
SIZE = "size"
"""What `/video` calls a video's shape; see `MediaModel.size_from`."""


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"


class MediaProtocol(StrEnum):
    TASKS = "tasks"
    """`POST /images/generations` or `/videos/generations`, `GET /tasks/{id}`, with callback."""
    OPENAI_VIDEO = "openai_video"
    """`POST /videos` as multipart, `GET /videos/{id}`, without callback (provider-docs 004)."""


PROVIDER_PROTOCOLS: Mapping[str, MediaProtocol] = {
    "aivideo": MediaProtocol.TASKS,
    "video": MediaProtocol.OPENAI_VIDEO,
}
"""What each host of ours speaks; a job finds its way back by the provider's name alone."""


class PromptRule(StrEnum):
    REQUIRED = "required"
    OR_IMAGES = "or_images"
    """Pictures alone are a request, too (trap 30)."""


class OptionKind(StrEnum):
    CHOICE = "choice"
    """One of `choices`; compared without regard to case, sent as written there (trap 29)."""
    INTEGER = "integer"
    """A whole number within `low`…`high`, or one of `choices`."""
    BOOLEAN = "boolean"
    STRING = "string"
    """A text of at most `high` characters."""
    URLS = "urls"
    """`low`…`high` public http(s) addresses."""


OptionValue = str | int | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One field of a model's input. `send` is the provider's name for it.

    `low` and `high` bound the value of an integer, the length of a string, the number of
    addresses. An option without `default` that is not given is not sent.
    """

    name: str
    send: str
    kind: OptionKind
    choices: tuple[str | int, ...] = ()
    default: OptionValue | None = None
    low: int | None = None
    high: int | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRule:
    """Options that exclude each other: when all of `when` holds, all of `need` must (trap 28).

    Both map an option's name to the values meant; `images_*` bound the number of pictures.
    """

    when: Mapping[str, tuple[OptionValue, ...]]
    need: Mapping[str, tuple[OptionValue, ...]]
    images_min: int | None = None
    images_max: int | None = None


class PriceUnit(StrEnum):
    JOB = "job"
    SECOND = "second"
    """Of the finished video, as asked for by the option `seconds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPrice:
    """µcr per unit: one amount, or one for each choice of the option named `by`."""

    per: PriceUnit
    by: str | None
    amounts_ucr: Mapping[str, int]
    """By choice of `by`; under "" when there is no `by`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaModel:
    """One model. `wire_id` is its name at the provider, `id` its name here.

    `size_from` names the choice options that `/video`'s `size` is made of, such as
    `720p 16:9`. `twin` is the model to take when the number of pictures does not fit this one.
    `nsfw_checker` is the provider's name of its safety switch, None where there is none.
    """

    id: str
    wire_id: str
    label: str
    kind: MediaKind
    provider: str
    protocol: MediaProtocol
    prompt_chars_max: int
    prompt_rule: PromptRule
    images_min: int
    images_max: int
    options: Mapping[str, Option]
    size_from: tuple[str, ...]
    rules: tuple[MediaRule, ...]
    price: MediaPrice
    nsfw_checker: str | None
    twin: str | None

    @property
    def calls_back(self) -> bool:
        """Whether a task may carry a callback address (trap 45)."""
        return self.protocol is MediaProtocol.TASKS

    @property
    def takes_images(self) -> bool:
        return self.images_max > 0


# --- What may be chosen, for completion ----------------------------------------------------------


def choices(
    model: MediaModel, name: str, given: Mapping[str, OptionValue] | None = None
) -> tuple[str | int, ...]:
    """Return what an option may be, default first, left over by the rules for what is `given`.

    A range is spelt out; an option that the model does not have has no choices.
    """
    option = model.options.get(name)
    if option is None:
        return ()
    found = option.choices
    if option.kind is OptionKind.INTEGER and not found and None not in {option.low, option.high}:
        found = tuple(range(option.low or 0, (option.high or 0) + 1))
    values = {key: other.default for key, other in model.options.items()} | dict(given or {})
    for rule in model.rules:
        if name in rule.need and all(values.get(key) in rule.when[key] for key in rule.when):
            found = tuple(value for value in found if value in rule.need[name])
    return tuple(sorted(found, key=lambda value: value != option.default))


def seconds_choices(model: MediaModel) -> tuple[int, ...]:
    """Return the lengths of a video that may be asked for, shortest first; () for a fixed one."""
    return tuple(sorted(int(value) for value in choices(model, SECONDS)))


def size_choices(model: MediaModel) -> tuple[str, ...]:
    """Return what `size` may be, the default first: the choices of `size_from`, joined.

    () for a model whose shape cannot be chosen.
    """
    if not model.size_from:
        return ()
    parts = [[str(value) for value in choices(model, name)] for name in model.size_from]
    return tuple(" ".join(words) for words in product(*parts))


def fitting_model(models: Mapping[str, MediaModel], model: MediaModel, images: int) -> MediaModel:
    """Return the model, or its twin when that takes this number of pictures and it does not.

    One family is often two ids upstream, one for text and one for pictures; a member need not
    know.
    """
    twin = models.get(model.twin or "")
    if twin is None or model.images_min <= images <= model.images_max:
        return model
    return twin if twin.images_min <= images <= twin.images_max else model
