"""What each picture and video model takes, and what it costs: data (providers.md 1.7 and 1.8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sandbox.provider.account import UCR
from sandbox.provider.wire import Json

CLIP_S: Final = 5
"""Length that is taken for a given video: nobody measures it here."""


class Kind(StrEnum):
    """What a task makes."""

    IMAGE = "image"
    VIDEO = "video"


class Form(StrEnum):
    """How the value of a field is written."""

    TEXT = "text"
    CHOICE = "choice"
    INTEGER = "integer"
    FLAG = "flag"
    URLS = "urls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of `input`. `low` and `high` bound characters, a number or a count of links."""

    form: Form
    choices: tuple[str | int, ...] = ()
    low: int = 0
    high: int = 0
    default: Any = None
    required: bool = False
    objects: bool = False
    """Links may also be objects with a `url`."""


def text(high: int, *, required: bool = False) -> Field:
    return Field(form=Form.TEXT, high=high, default="", required=required)


def choice(*choices: str | int, default: str | int | None = None, required: bool = False) -> Field:
    return Field(form=Form.CHOICE, choices=choices, default=default, required=required)


def integer(low: int, high: int, default: int | None = None) -> Field:
    return Field(form=Form.INTEGER, low=low, high=high, default=default)


def flag(default: bool | None = None) -> Field:  # noqa: FBT001 - the one argument is the value.
    return Field(form=Form.FLAG, default=default)


def urls(low: int, high: int, *, objects: bool = False) -> Field:
    return Field(form=Form.URLS, low=low, high=high, default=(), required=low > 0, objects=objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What must hold among the fields, and whose fault it is when it does not."""

    field: str
    text: str
    holds: Callable[[Json], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Credits by the value of the field `by`; per second of `duration`, or per job."""

    credits: Mapping[str, str]
    by: str = ""
    per_second: bool = False
    with_video: Mapping[str, str] = field(default_factory=dict)
    """Per second of input and output, when videos are given."""

    def amount_ucr(self, values: Json) -> int:
        """Exact micro-credits of a checked input."""
        tier = str(values[self.by]) if self.by else ""
        seconds = (int(values["duration"]) or CLIP_S) if self.per_second else 1
        rate = self.credits[tier]
        if clips := len(values.get("video_urls") or ()) if self.with_video else 0:
            rate, seconds = self.with_video[tier], seconds + CLIP_S * clips
        amount = Decimal(rate) * seconds * UCR
        assert amount == int(amount), "prices have six decimals at most"
        return int(amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaModel:
    """One model of the task endpoints."""

    id: str
    kind: Kind
    fields: Mapping[str, Field]
    price: Price
    rules: tuple[Rule, ...] = ()
    inner: str = ""
    """`output.metadata.model`, an internal name (trap 31)."""


RATIOS_4K: Final = ("16:9", "9:16", "2:1", "1:2", "21:9", "9:21")
RATIOS: Final = (
    *("auto", "1:1", "5:4", "4:3", "3:2", "4:5", "3:4", "2:3"),
    *RATIOS_4K,
)
SHAPES: Final = ("16:9", "9:16", "1:1", "4:3", "3:4")

PROMPT_OR_IMAGES: Final = Rule(
    field="prompt",
    text="or 'input.image_urls' is required.",
    holds=lambda v: bool(v["prompt"].strip() or v["image_urls"]),
)

GPT_IMAGE_2: Final = MediaModel(
    id="gpt-image-2",
    kind=Kind.IMAGE,
    inner="gpt-image-2",
    fields={
        "prompt": text(20_000),
        "image_urls": urls(0, 16),
        "aspect_ratio": choice(*RATIOS, default="auto"),
        "resolution": choice("1k", "2k", "4k", default="1k"),
        "nsfw_checker": flag(True),
    },
    price=Price(by="resolution", credits={"1k": "2.4", "2k": "4.8", "4k": "7.2"}),
    rules=(
        PROMPT_OR_IMAGES,
        Rule(
            field="aspect_ratio",
            text=f"must be one of {', '.join(RATIOS_4K)} when resolution is 4k.",
            holds=lambda v: v["resolution"] != "4k" or v["aspect_ratio"] in RATIOS_4K,
        ),
    ),
)


# --- Videos --------------------------------------------------------------------------------------


def _video(
    name: str, fields: Mapping[str, Field], price: Price, rules: tuple[Rule, ...] = ()
) -> MediaModel:
    return MediaModel(id=name, kind=Kind.VIDEO, fields=fields, price=price, rules=rules, inner=name)


def _per_second(**credits_by_resolution: str) -> Price:
    rates = {name.removeprefix("p") + "p": rate for name, rate in credits_by_resolution.items()}
    return Price(by="resolution", credits=rates, per_second=True)


SORA: Final = _video(
    "sora-2",
    {
        "prompt": text(5_000, required=True),
        "duration": choice(4, 8, 12, required=True),
        "aspect_ratio": choice("16:9", "9:16", required=True),
        "image_urls": urls(0, 1),
    },
    Price(credits={"": "25"}, per_second=True),
)


def _frames(values: Json) -> bool:
    wanted = {
        "TEXT_2_VIDEO": range(1),
        "FIRST_AND_LAST_FRAMES_2_VIDEO": range(1, 3),
        "REFERENCE_2_VIDEO": range(1, 4),
    }
    return len(values["image_urls"]) in wanted.get(values["generation_type"] or "", range(4))


VEO: Final = _video(
    "veo-3",
    {
        "prompt": text(20_000, required=True),
        "mode": choice("fast", "quality", default="fast"),
        "aspect_ratio": choice("16:9", "9:16", "Auto", default="16:9"),
        "generation_type": choice(
            "TEXT_2_VIDEO", "FIRST_AND_LAST_FRAMES_2_VIDEO", "REFERENCE_2_VIDEO"
        ),
        "image_urls": urls(0, 3),
        "seeds": integer(10_000, 99_999),
        "watermark": text(100),
    },
    Price(by="mode", credits={"fast": "40", "quality": "300"}),
    (
        Rule(field="image_urls", text="does not fit generation_type.", holds=_frames),
        Rule(
            field="mode",
            text="must be fast for REFERENCE_2_VIDEO.",
            holds=lambda v: v["generation_type"] != "REFERENCE_2_VIDEO" or v["mode"] == "fast",
        ),
    ),
)
KLING: Final = _video(
    "kling-3.0",
    {"prompt": text(2_500, required=True), "mode": choice("std", "pro", default="std")},
    Price(by="mode", credits={"std": "100", "pro": "200"}),
)

SEEDANCE_RULES: Final = (
    Rule(
        field="audio_urls",
        text="must not be given without a picture or a video.",
        holds=lambda v: not v["audio_urls"] or bool(v["image_urls"] or v["video_urls"]),
    ),
    Rule(
        field="image_urls",
        text="must hold 1 or 2 links for first_and_last_frames.",
        holds=lambda v: (
            v["generation_type"] != "first_and_last_frames" or len(v["image_urls"]) in {1, 2}
        ),
    ),
)


def _seedance(name: str, rates: Mapping[str, str], with_video: Mapping[str, str]) -> MediaModel:
    return _video(
        name,
        {
            "prompt": text(5_000, required=True),
            "generation_type": choice(
                "omni_reference", "first_and_last_frames", default="omni_reference"
            ),
            "image_urls": urls(0, 9, objects=True),
            "video_urls": urls(0, 3, objects=True),
            "audio_urls": urls(0, 3, objects=True),
            "duration": integer(4, 15, 5),
            "aspect_ratio": choice(*SHAPES, "21:9", "adaptive", default="adaptive"),
            "resolution": choice(*rates, default="720p"),
            "generate_audio": flag(True),
            "watermark": flag(),
            "seed": integer(-1, 4_294_967_295),
            "return_last_frame": flag(),
            "web_search": flag(),
        },
        Price(by="resolution", credits=rates, per_second=True, with_video=with_video),
        SEEDANCE_RULES,
    )


SEEDANCES: Final = (
    _seedance(
        "doubao-seedance-2.0",
        {"480p": "20", "720p": "42", "1080p": "102"},
        {"480p": "12", "720p": "25", "1080p": "62"},
    ),
    _seedance(
        "doubao-seedance-2.0-fast", {"480p": "16", "720p": "35"}, {"480p": "10", "720p": "22"}
    ),
)

_MULTI: Final = Rule(
    field="shot_type",
    text="must be single when prompt_extend is false.",
    holds=lambda v: v["shot_type"] != "multi" or bool(v["prompt_extend"]),
)
SEED: Final = integer(0, 2_147_483_647)


def _wan(name: str, more: Mapping[str, Field]) -> MediaModel:
    second = name.startswith("wan-2.6")
    shots = {"shot_type": choice("single", "multi", default="single")} if second else {}
    return _video(
        name,
        {
            "prompt": text(1_500 if second else 5_000, required=True),
            "negative_prompt": text(500),
            "resolution": choice("720p", "1080p", default="1080p"),
            "duration": integer(2, 15, 5),
            "prompt_extend": flag(True),
            "watermark": flag(),
            "seed": SEED,
            **shots,
            **more,
        },
        _per_second(p720="24", p1080="40"),
        (_MULTI,) if second else (),
    )


_SHAPE: Final = {"aspect_ratio": choice(*SHAPES, default="16:9")}
WANS: Final = (
    _wan("wan-2.6-text-to-video", _SHAPE),
    _wan("wan-2.6-image-to-video", {"image_urls": urls(1, 1), "audio": flag()}),
    _wan("wan-2.6-reference-to-video", {**_SHAPE, "image_urls": urls(1, 5)}),
    _wan("wan-2.7-text-to-video", _SHAPE),
    _wan("wan-2.7-image-to-video", {"image_urls": urls(1, 2)}),
    _wan("wan-2.7-reference-to-video", {**_SHAPE, "image_urls": urls(1, 5)}),
    _wan(
        "wan-2.7-video-edit",
        {"duration": integer(0, 10, 0), "image_urls": urls(0, 4), "video_urls": urls(1, 1)},
    ),
)


def _horse(name: str, more: Mapping[str, Field]) -> MediaModel:
    return _video(
        f"happyhorse-1.0-{name}",
        {
            "prompt": text(2_500, required=True),
            "duration": integer(3, 15, 5),
            "resolution": choice("720p", "1080p", default="720p"),
            "seed": SEED,
            **more,
        },
        _per_second(p720="34", p1080="67"),
    )


HORSES: Final = (
    _horse("text-to-video", _SHAPE),
    _horse("image-to-video", {"image_urls": urls(1, 1)}),
    _horse("reference-to-video", {**_SHAPE, "image_urls": urls(1, 9)}),
)


def _grok(name: str, more: Mapping[str, Field], rules: tuple[Rule, ...] = ()) -> MediaModel:
    return _video(
        f"grok-imagine-{name}",
        {
            "duration": integer(6, 30, 6),
            "resolution": choice("480p", "720p", default="480p"),
            "nsfw_checker": flag(True),
            **more,
        },
        _per_second(p480="2.4", p720="4.5"),
        rules,
    )


_GROK_SHAPES: Final = ("2:3", "3:2", "1:1", "16:9", "9:16")
GROKS: Final = (
    _grok(
        "text-to-video",
        {
            "prompt": text(5_000, required=True),
            "aspect_ratio": choice(*_GROK_SHAPES, default="2:3"),
            "mode": choice("fun", "normal", "spicy", default="normal"),
        },
    ),
    _grok(
        "image-to-video",
        {
            "prompt": text(5_000),
            "image_urls": urls(1, 7),
            "aspect_ratio": choice(*_GROK_SHAPES),
            "mode": choice("fun", "normal", default="normal"),
        },
    ),
)

IMAGE_MODELS: Final = {GPT_IMAGE_2.id: GPT_IMAGE_2}
VIDEO_MODELS: Final = {
    model.id: model for model in (SORA, VEO, KLING, *SEEDANCES, *WANS, *HORSES, *GROKS)
}
