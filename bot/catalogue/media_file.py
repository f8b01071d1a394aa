"""The `[[image_model]]` and `[[video_model]]` tables of a `models.toml`, and what is wrong in them.

Each table is judged by itself, so that one mistake does not hide those of the other tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
)

from bot.catalogue.fields import MODELS_MAX, TEXT, Key, Name, Strict, exact, shape_problems, where
from bot.catalogue.media import (
    PROVIDER_PROTOCOLS,
    SECONDS,
    SIZE,
    MediaKind,
    MediaModel,
    MediaPrice,
    MediaProtocol,
    MediaRule,
    Option,
    OptionKind,
    PriceUnit,
    PromptRule,
)
from bot.errors import Problem
from storage.types import UCR_PER_CREDIT

MEDIA_KEYS = frozenset({"image_model", "video_model", "default_image_model", "default_video_model"})

# Limits.
PRICE_MAX = 100_000
"""Credits per job or second, 500 USD: beyond it a point has slipped."""
CHOICES_MAX = 100
"""Bounds the completions made from an option."""
SECONDS_MAX = 3_600
"""No model makes an hour; a larger number is a slip of the keyboard."""


def _amount_ucr(value: object) -> int:
    if value == "free":
        return 0
    amount = exact(value)
    if amount <= 0:
        raise ValueError('must be positive; write "free" to give it away')
    if amount > PRICE_MAX:
        raise ValueError(f"must be at most {PRICE_MAX}")
    # Decimal arithmetic rounds at its context's precision; a fraction does not.
    tiny = amount < Decimal(1) / UCR_PER_CREDIT
    amount_ucr = Fraction(1, 2) if tiny else Fraction(amount) * UCR_PER_CREDIT
    if amount_ucr.denominator != 1:
        raise ValueError("must have at most six decimals")
    return int(amount_ucr)


def _price(value: object) -> object:
    """A table, or the amount alone."""
    if isinstance(value, list):
        raise ValueError('must be an amount, "free", or a table with credits')  # noqa: TRY004 - pydantic takes only this class for a mistake of the file
    return value if isinstance(value, dict) else {"credits": value}


def _amounts(value: object) -> object:
    """One amount for all, or a table of them."""
    return value if isinstance(value, dict) else {"": value}


def _choice(value: object) -> object:
    """One message for what would else be one for each type."""
    plain = isinstance(value, int | str) and not isinstance(value, bool)
    if not plain or not re.fullmatch(r"\S{1,40}", str(value)):
        raise ValueError("must be a whole number, or a word of at most 40 characters")
    return value


def _value(value: object) -> object:
    plain = isinstance(value, bool | int | str)
    if not plain:
        raise ValueError("must be true, false, a whole number or a text")
    return value


_Amount = Annotated[int, BeforeValidator(_amount_ucr)]
_Choice = Annotated[int | str, BeforeValidator(_choice)]
_Value = Annotated[bool | int | str, BeforeValidator(_value)]
_Meant = dict[str, Annotated[tuple[_Value, ...], Field(min_length=1)]]
_Count = Annotated[int, Field(ge=0, le=100, strict=True)]


class _OptionFile(Strict):
    kind: OptionKind = OptionKind.CHOICE
    send: Key | None = None
    choices: Annotated[tuple[_Choice, ...], Field(max_length=CHOICES_MAX)] = ()
    default: _Value | None = None
    low: StrictInt | None = None
    high: StrictInt | None = None
    required: StrictBool = False


class _RuleFile(Strict):
    when: Annotated[_Meant, Field(min_length=1)]
    need: _Meant = Field(default_factory=dict)
    images_min: _Count | None = None
    images_max: _Count | None = None


class _PriceFile(Strict):
    per: PriceUnit = PriceUnit.JOB
    by: str | None = None
    credits: Annotated[
        dict[str, _Amount], BeforeValidator(_amounts), Field(min_length=1, max_length=CHOICES_MAX)
    ]


class _ImagesFile(Strict):
    low: _Count = 0
    high: _Count = 0


class _MediaModelFile(Strict):
    id: Name
    wire_id: Name | None = None
    label: Name
    provider: str
    protocol: MediaProtocol
    enabled: StrictBool = True
    prompt_chars_max: Annotated[int, Field(gt=0, le=100_000, strict=True)]
    prompt: PromptRule = PromptRule.REQUIRED
    images: _ImagesFile = _ImagesFile()
    options: dict[Key, _OptionFile] = Field(default_factory=dict, max_length=CHOICES_MAX)
    size_from: tuple[str, ...] = ()
    rule: tuple[_RuleFile, ...] = ()
    price: Annotated[_PriceFile, BeforeValidator(_price)]
    nsfw_checker: Key | None = None
    twin: Name | None = None

    def record(self, kind: MediaKind) -> MediaModel:
        return MediaModel(
            id=self.id,
            wire_id=self.wire_id or self.id,
            label=self.label,
            kind=kind,
            provider=self.provider,
            protocol=self.protocol,
            prompt_chars_max=self.prompt_chars_max,
            prompt_rule=self.prompt,
            images_min=self.images.low,
            images_max=self.images.high,
            options={
                name: Option(
                    name=name,
                    send=option.send or name,
                    kind=option.kind,
                    choices=option.choices,
                    default=option.default,
                    low=option.low,
                    high=option.high,
                    required=option.required,
                )
                for name, option in self.options.items()
            },
            size_from=self.size_from or ((SIZE,) if SIZE in self.options else ()),
            rules=tuple(
                MediaRule(
                    when=rule.when,
                    need=rule.need,
                    images_min=rule.images_min,
                    images_max=rule.images_max,
                )
                for rule in self.rule
            ),
            price=MediaPrice(per=self.price.per, by=self.price.by, amounts_ucr=self.price.credits),
            nsfw_checker=self.nsfw_checker,
            twin=self.twin,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What a file says about media; only enabled models, each under its id."""

    image_models: Mapping[str, MediaModel]
    video_models: Mapping[str, MediaModel]
    default_image_model: str | None
    default_video_model: str | None


def read_media(raw: Mapping[str, Any]) -> tuple[Media, list[Problem]]:
    """Read the media tables of a parsed file; never raises. With problems, `Media` is partial."""
    problems = list(_same_ids(raw))
    found: dict[MediaKind, dict[str, MediaModel]] = {}
    defaults: dict[MediaKind, str | None] = {}
    for kind in MediaKind:
        key = f"{kind}_model"
        models: dict[str, MediaModel] = {}
        found[kind] = models
        tables = raw.get(key, [])
        if not isinstance(tables, list) or len(tables) > MODELS_MAX:
            problems.append(Problem(where=key, what=f"must be 0 to {MODELS_MAX} [[{key}]] tables"))
            tables = []
        for position, table in enumerate(tables):
            at: tuple[int | str, ...] = (key, position)
            try:
                file = _MediaModelFile.model_validate(table)
            except ValidationError as error:
                problems += shape_problems(error, inside=at)
                continue
            problems += [
                Problem(where=where((*at, *path)), what=what)
                for path, what in _mistakes(file, kind)
            ]
            if file.enabled:
                models.setdefault(file.id, file.record(kind))
        problems += _twin_mistakes(key, tables)
        default = raw.get(f"default_{key}")
        defaults[kind] = default if isinstance(default, str) else next(iter(models), None)
        if default is not None and default not in _ids(tables, enabled=True):
            named = isinstance(default, str)
            what = f"is none of the enabled models: {default}" if named else TEXT
            problems.append(Problem(where=f"default_{key}", what=what))
    media = Media(
        image_models=found[MediaKind.IMAGE],
        video_models=found[MediaKind.VIDEO],
        default_image_model=defaults[MediaKind.IMAGE],
        default_video_model=defaults[MediaKind.VIDEO],
    )
    return media, problems


def _ids(tables: list[Any], *, enabled: bool = False) -> list[Any]:
    """List the ids as written, also of tables that are wrong elsewhere."""
    return [
        table.get("id")
        for table in tables
        if isinstance(table, dict) and not (enabled and table.get("enabled") is False)
    ]


def _same_ids(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Find ids used twice across all kinds: a model is named by its id alone."""
    known: set[str] = set()
    for key in ("chat_model", "image_model", "video_model"):
        tables = raw.get(key)
        for position, table in enumerate(tables if isinstance(tables, list) else []):
            id_ = table.get("id") if isinstance(table, dict) else None
            if not isinstance(id_, str):
                continue
            if id_ in known and key != "chat_model":  # those are told by the loader
                yield Problem(where=f"{key}[{position}].id", what=f"stands twice: {id_}")
            known.add(id_)


def _twin_mistakes(key: str, tables: list[Any]) -> Iterator[Problem]:
    known = _ids(tables)
    for position, table in enumerate(tables):
        twin = table.get("twin") if isinstance(table, dict) else None
        if isinstance(twin, str) and (twin not in known or twin == table.get("id")):
            yield Problem(where=f"{key}[{position}].twin", what=f"is no other model: {twin}")


# --- What one table says against itself -----------------------------------------------------------

_Mistake = tuple[tuple[int | str, ...], str]


def _mistakes(file: _MediaModelFile, kind: MediaKind) -> Iterator[_Mistake]:
    if file.provider not in PROVIDER_PROTOCOLS:
        yield ("provider",), f"must be one of: {', '.join(sorted(PROVIDER_PROTOCOLS))}"
    elif file.protocol is not PROVIDER_PROTOCOLS[file.provider]:
        yield ("protocol",), f"must be {PROVIDER_PROTOCOLS[file.provider]} for {file.provider}"
    if file.protocol is MediaProtocol.OPENAI_VIDEO:
        if kind is MediaKind.IMAGE:
            yield ("protocol",), "makes videos only"
        if file.images.high > 1:
            yield ("images", "high"), "must be at most 1: the protocol has one input_reference"
    if file.images.low > file.images.high:
        yield ("images", "low"), "must not be above high"
    for name, option in file.options.items():
        for path, what in _option_mistakes(name, option):
            yield ("options", name, *path), what
    yield from _size_mistakes(file)
    for position, rule in enumerate(file.rule):
        yield from _rule_mistakes(file, rule, ("rule", position))
    yield from _price_mistakes(file)


def _option_mistakes(name: str, option: _OptionFile) -> Iterator[_Mistake]:
    kind = option.kind
    if kind is OptionKind.CHOICE and not option.choices:
        yield ("choices",), "is missing"
    types = {OptionKind.CHOICE: str, OptionKind.INTEGER: int}
    wanted = types.get(kind)
    if option.choices and (
        wanted is None or any(not isinstance(value, wanted) for value in option.choices)
    ):
        yield ("choices",), f"does not fit the kind {kind}"
    if len({str(value).casefold() for value in option.choices}) < len(option.choices):
        yield ("choices",), "names a value twice"
    if option.low is not None and option.high is not None and option.low > option.high:
        yield ("low",), "must not be above high"
    if kind is OptionKind.URLS and option.default is not None:
        yield ("default",), "does not fit the kind urls"
    elif option.default is not None and not _fits(option, option.default):
        yield ("default",), "is not a value of this option"
    if name == SECONDS:
        yield from _seconds_mistakes(option)


def _seconds_mistakes(option: _OptionFile) -> Iterator[_Mistake]:
    """Seconds are multiplied with and completed, so each must be a number and finite many."""
    lengths = [option.low, option.high] if not option.choices else [*option.choices]
    if not all(
        str(length).isascii() and str(length).isdecimal() and 1 <= int(str(length)) <= SECONDS_MAX
        for length in lengths
    ):
        yield (), f"must be choices, or low and high, between 1 and {SECONDS_MAX}"


def _fits(option: _OptionFile, value: object) -> bool:
    match option.kind:
        case OptionKind.BOOLEAN:
            return isinstance(value, bool)
        case OptionKind.CHOICE:
            return isinstance(value, str) and value in option.choices
        case OptionKind.INTEGER:
            if isinstance(value, bool) or not isinstance(value, int):
                return False
            inside = (option.low is None or value >= option.low) and (
                option.high is None or value <= option.high
            )
            return value in option.choices if option.choices else inside
        case OptionKind.STRING | OptionKind.URLS:
            return isinstance(value, str)


def _size_mistakes(file: _MediaModelFile) -> Iterator[_Mistake]:
    words: list[str] = []
    for name in file.size_from:
        option = file.options.get(name)
        if option is None or option.kind is not OptionKind.CHOICE or option.default is None:
            yield ("size_from",), f"{name} is not an option with choices and a default"
            continue
        words += [str(choice).casefold() for choice in option.choices]
    if len(set(words)) < len(words):
        yield ("size_from",), "has options that share a choice"
    if SIZE in file.options and file.size_from not in {(), (SIZE,)}:
        yield ("size_from",), "cannot stand beside an option named size"


def _rule_mistakes(
    file: _MediaModelFile, rule: _RuleFile, at: tuple[int | str, ...]
) -> Iterator[_Mistake]:
    for part, meant in (("when", rule.when), ("need", rule.need)):
        for name, values in meant.items():
            option = file.options.get(name)
            if option is None:
                yield (*at, part, name), "is not an option of this model"
            elif not all(_fits(option, value) for value in values):
                yield (*at, part, name), "has a value that the option does not"
    if not rule.need and rule.images_min is None and rule.images_max is None:
        yield at, "asks for nothing"


def _price_mistakes(file: _MediaModelFile) -> Iterator[_Mistake]:
    price = file.price
    if price.per is PriceUnit.SECOND and not _always_there(file.options.get(SECONDS)):
        yield ("price", "per"), "needs an option seconds with a default, or required"
    if price.by is None:
        if set(price.credits) != {""}:
            yield ("price", "by"), "is missing: it names the option that the amounts depend on"
        return
    option = file.options.get(price.by)
    if option is None or option.kind is not OptionKind.CHOICE or not _always_there(option):
        yield ("price", "by"), "is not an option with choices and a default"
    elif set(price.credits) != {str(choice) for choice in option.choices}:
        yield ("price", "credits"), f"must name exactly the choices of {price.by}"


def _always_there(option: _OptionFile | None) -> bool:
    return option is not None and (option.default is not None or option.required)
