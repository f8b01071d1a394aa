"""The built-in models of pictures and videos: the documents' fields, prices and choices."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.catalogue.loader import load
from bot.catalogue.media import (
    MediaKind,
    MediaModel,
    MediaProtocol,
    OptionValue,
    PriceUnit,
    PromptRule,
    choices,
    fitting_model,
    seconds_choices,
    size_choices,
)
from bot.catalogue.media_checks import check_media_request
from bot.catalogue.pricing import media_cost_ucr
from bot.limits import AUTOCOMPLETE_CHOICES_MAX
from storage.types import UCR_PER_CREDIT

CATALOGUE = load()
GPT_IMAGE = CATALOGUE.image_models["gpt-image-2"]
VIDEOS = CATALOGUE.video_models
EVERY = [*CATALOGUE.image_models.values(), *VIDEOS.values()]


def cost(model: MediaModel, **options: object) -> Decimal:
    """Return the price in credits of a valid request with these options."""
    images = ["https://a.example/1.png"] * model.images_min
    values = check_media_request(model, "A cat", images, options)
    return Decimal(media_cost_ucr(model, values)) / UCR_PER_CREDIT


def test_the_picture_model_is_the_documents() -> None:
    """Provider-docs 001, field by field."""
    assert GPT_IMAGE.prompt_chars_max == 20_000
    assert GPT_IMAGE.prompt_rule is PromptRule.OR_IMAGES
    assert (GPT_IMAGE.images_min, GPT_IMAGE.images_max) == (0, 16)
    assert GPT_IMAGE.nsfw_checker == "nsfw_checker"
    assert GPT_IMAGE.calls_back
    assert " ".join(map(str, GPT_IMAGE.options["aspect_ratio"].choices)) == (
        "auto 1:1 5:4 4:3 3:2 16:9 21:9 9:16 4:5 3:4 2:3 2:1 1:2 9:21"
    )
    assert GPT_IMAGE.options["resolution"].choices == ("1k", "2k", "4k")
    assert {name: option.default for name, option in GPT_IMAGE.options.items()} == {
        "aspect_ratio": "auto",
        "resolution": "1k",
    }
    assert CATALOGUE.default_image_model == "gpt-image-2"


@pytest.mark.parametrize(("tier", "credits_"), [("1k", "2.4"), ("2k", "4.8"), ("4k", "7.2")])
def test_a_picture_costs_what_the_document_says(tier: str, credits_: str) -> None:
    """Provider-docs 001: per output resolution, exact in micro-credits."""
    assert cost(GPT_IMAGE, resolution=tier, aspect_ratio="16:9") == Decimal(credits_)


@pytest.mark.parametrize(
    ("model", "options", "credits_"),
    [
        ("grok-imagine-text-to-video", {}, "14.4"),
        ("grok-imagine-text-to-video", {"seconds": 10, "size": "720p"}, "45"),
        ("grok-imagine-image-to-video", {"seconds": 30, "size": "720p"}, "135"),
        ("veo-3", {}, "40"),
        ("veo-3", {"size": "quality 9:16"}, "300"),
        ("kling-3.0", {}, "100"),
        ("kling-3.0", {"size": "pro"}, "200"),
        ("doubao-seedance-2.0", {}, "210"),
        ("doubao-seedance-2.0", {"seconds": 15, "size": "1080p"}, "1530"),
        ("doubao-seedance-2.0", {"seconds": 4, "size": "480p 1:1"}, "80"),
        ("doubao-seedance-2.0-fast", {}, "175"),
        ("doubao-seedance-2.0-fast", {"size": "480p"}, "80"),
        ("wan-2.6-text-to-video", {}, "200"),
        ("wan-2.6-image-to-video", {"seconds": 2, "size": "720p"}, "48"),
        ("wan-2.6-reference-to-video", {"seconds": 10}, "400"),
        ("wan-2.7-text-to-video", {"size": "720p"}, "120"),
        ("wan-2.7-image-to-video", {}, "200"),
        ("wan-2.7-reference-to-video", {}, "200"),
        ("happyhorse-1.0-text-to-video", {}, "170"),
        ("happyhorse-1.0-image-to-video", {"seconds": 3, "size": "1080p"}, "201"),
        ("happyhorse-1.0-reference-to-video", {"seconds": 15}, "510"),
        ("kling-v2-master", {"seconds": "10"}, "560"),
        ("viduq1", {}, "80"),
    ],
)
def test_a_video_costs_what_its_page_says(
    model: str, options: dict[str, OptionValue], credits_: str
) -> None:
    """Providers.md 1.8: per second by resolution, or per clip by mode."""
    assert cost(VIDEOS[model], **options) == Decimal(credits_)


def test_every_model_of_the_overview_is_there_and_dead_ones_are_off() -> None:
    """Providers.md 1.8; `sora-2` ended upstream (section 0), editing needs a video as input."""
    named = {
        "veo-3",
        "kling-3.0",
        "doubao-seedance-2.0",
        "doubao-seedance-2.0-fast",
        *(f"wan-2.6-{mode}-to-video" for mode in ("text", "image", "reference")),
        *(f"wan-2.7-{mode}-to-video" for mode in ("text", "image", "reference")),
        *(f"happyhorse-1.0-{mode}-to-video" for mode in ("text", "image", "reference")),
        *(f"grok-imagine-{mode}-to-video" for mode in ("text", "image")),
    }
    by_task = {id_ for id_, model in VIDEOS.items() if model.protocol is MediaProtocol.TASKS}
    assert by_task == named
    assert CATALOGUE.default_video_model in VIDEOS
    other = [model for model in VIDEOS.values() if model.protocol is MediaProtocol.OPENAI_VIDEO]
    assert other
    assert all(model.provider == "video" and not model.calls_back for model in other)


@pytest.mark.parametrize(
    ("model", "send", "seconds"),
    [
        ("doubao-seedance-2.0", "duration", range(4, 16)),
        ("wan-2.6-text-to-video", "duration", range(2, 16)),
        ("happyhorse-1.0-text-to-video", "duration", range(3, 16)),
        ("grok-imagine-text-to-video", "duration", range(6, 31)),
        ("kling-v2-master", "seconds", (5, 10)),
    ],
)
def test_seconds_are_offered_and_sent_as_each_protocol_wants(
    model: str, send: str, seconds: range
) -> None:
    """Trap 40: a whole number `duration` by task, a text `seconds` in the OpenAI format."""
    assert seconds_choices(VIDEOS[model]) == tuple(seconds)
    assert VIDEOS[model].options["seconds"].send == send
    images = ["https://a.example/1.png"] * VIDEOS[model].images_min
    values = check_media_request(VIDEOS[model], "A cat", images, {"seconds": seconds[-1]})
    assert values["seconds"] == (str(seconds[-1]) if send == "seconds" else seconds[-1])


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.id)
def test_everything_offered_is_accepted_and_has_a_price(model: MediaModel) -> None:
    """What completion shows, the check takes, within Discord's 25 choices."""
    assert len(seconds_choices(model)) <= AUTOCOMPLETE_CHOICES_MAX
    assert len(size_choices(model)) <= AUTOCOMPLETE_CHOICES_MAX
    least = cost(model)
    assert least > 0
    for seconds in seconds_choices(model):
        assert cost(model, seconds=seconds) > 0
    for size in size_choices(model):
        assert cost(model, size=size) > 0
        assert cost(model, size=size.upper()) == cost(model, size=size)
    if size_choices(model):
        assert cost(model, size=size_choices(model)[0]) == least  # the default comes first


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.id)
def test_only_prices_per_second_grow_with_the_length(model: MediaModel) -> None:
    """A clip at a fixed price has no length to choose, or the price would be a guess."""
    offered = seconds_choices(model)
    if model.price.per is PriceUnit.SECOND:
        assert cost(model, seconds=offered[-1]) * offered[0] == (
            cost(model, seconds=offered[0]) * offered[-1]
        )
    else:
        assert not offered


def test_models_without_a_shape_or_length_offer_none() -> None:
    """`/video` then says that there is nothing to choose."""
    assert size_choices(GPT_IMAGE) == ()
    assert seconds_choices(VIDEOS["veo-3"]) == ()
    assert choices(GPT_IMAGE, "bogus") == ()
    assert choices(VIDEOS["veo-3"], "watermark") == ()


def test_choices_follow_the_rules_of_what_is_given() -> None:
    """Trap 28: with 4k only six ratios are left, without `auto`."""
    assert choices(GPT_IMAGE, "aspect_ratio")[0] == "auto"
    assert len(choices(GPT_IMAGE, "aspect_ratio", {"resolution": "2k"})) == 14
    left = choices(GPT_IMAGE, "aspect_ratio", {"resolution": "4k"})
    assert left == ("16:9", "21:9", "9:16", "2:1", "1:2", "9:21")


def test_a_family_of_two_ids_is_one_model_for_a_member() -> None:
    """Text and picture variants find each other; a model alone stays itself."""
    text, image = (VIDEOS[f"grok-imagine-{mode}-to-video"] for mode in ("text", "image"))
    assert fitting_model(VIDEOS, text, 0) is text
    assert fitting_model(VIDEOS, text, 1) is image
    assert fitting_model(VIDEOS, image, 0) is text
    assert fitting_model(VIDEOS, image, 7) is image
    assert fitting_model(VIDEOS, text, 8) is text  # its check names the mistake
    assert fitting_model(VIDEOS, VIDEOS["kling-3.0"], 1) is VIDEOS["kling-3.0"]
    assert fitting_model({}, text, 1) is text


def test_an_image_can_be_animated_by_the_default_model() -> None:
    """The button *Animate* needs no choice."""
    assert CATALOGUE.default_video_model is not None
    model = fitting_model(VIDEOS, VIDEOS[CATALOGUE.default_video_model], 1)
    assert model.takes_images
    assert model.kind is MediaKind.VIDEO
