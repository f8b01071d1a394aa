"""What a request for a picture or video must obey before it may cost anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.loader import load
from bot.catalogue.media import (
    MediaKind,
    MediaModel,
    MediaPrice,
    MediaProtocol,
    Option,
    OptionKind,
    PriceUnit,
    PromptRule,
)
from bot.catalogue.media_checks import check_media_request, is_public_url
from bot.catalogue.pricing import media_cost_ucr
from bot.errors import RequestInvalid

CATALOGUE = load()
GPT_IMAGE = CATALOGUE.image_models["gpt-image-2"]
VIDEOS = CATALOGUE.video_models
EVERY = [*CATALOGUE.image_models.values(), *VIDEOS.values()]
SHORT = {
    "gpt": GPT_IMAGE,
    "wan": VIDEOS["wan-2.6-text-to-video"],
    "grok": VIDEOS["grok-imagine-image-to-video"],
    "veo": VIDEOS["veo-3"],
    "seedance": VIDEOS["doubao-seedance-2.0"],
    "fast": VIDEOS["doubao-seedance-2.0-fast"],
    "vidu": VIDEOS["viduq1"],
}
REFERENCES = "REFERENCE_2_VIDEO"
FRAMES = "FIRST_AND_LAST_FRAMES_2_VIDEO"
PNG = "https://cdn.discordapp.com/attachments/1/2/a.png?ex=1&is=2&hm=3"


def option(name: str, kind: OptionKind, **fields: Any) -> Option:
    return Option(name=name, send=fields.pop("send", name), kind=kind, **fields)


LAB = MediaModel(
    id="lab",
    wire_id="lab",
    label="Lab",
    kind=MediaKind.VIDEO,
    provider="aivideo",
    protocol=MediaProtocol.TASKS,
    prompt_chars_max=10,
    prompt_rule=PromptRule.REQUIRED,
    images_min=0,
    images_max=0,
    options={
        "whole": option("whole", OptionKind.INTEGER, send="n", low=-1, high=5),
        "some": option("some", OptionKind.INTEGER, choices=(4, 8, 12)),
        "flag": option("flag", OptionKind.BOOLEAN),
        "text": option("text", OptionKind.STRING, high=5),
        "films": option("films", OptionKind.URLS, low=1, high=2),
        "must": option("must", OptionKind.CHOICE, choices=("Auto", "b"), required=True),
    },
    size_from=(),
    rules=(),
    price=MediaPrice(per=PriceUnit.JOB, by=None, amounts_ucr={"": 7}),
    nsfw_checker=None,
    twin=None,
)


def refusal(
    model: MediaModel,
    *,
    prompt: str = "A cat",
    images: tuple[str, ...] = (),
    given: dict[str, object] | None = None,
    **options: object,
) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        check_media_request(model, prompt, images, {**(given or {}), **options})
    assert caught.value.model == model.id
    return caught.value


def lab(**options: object) -> dict[str, Any]:
    return check_media_request(LAB, "A cat", (), {"must": "b", **options})


# --- Prompt and pictures -----------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_a_request_needs_words_or_pictures(prompt: str) -> None:
    """Trap 30: pictures alone do for `gpt-image-2`, not for every model."""
    assert check_media_request(GPT_IMAGE, prompt, [PNG], {})
    assert (refusal(GPT_IMAGE, prompt=prompt).field, refusal(GPT_IMAGE, prompt=prompt).rule) == (
        "prompt",
        "empty",
    )
    seedance = VIDEOS["doubao-seedance-2.0"]
    assert refusal(seedance, prompt=prompt, images=(PNG,)).field == "prompt"


@pytest.mark.parametrize(
    ("model", "limit"),
    [(GPT_IMAGE, 20_000), (VIDEOS["wan-2.6-text-to-video"], 1_500), (VIDEOS["viduq1"], 1_500)],
)
def test_a_prompt_has_the_models_own_limit(model: MediaModel, limit: int) -> None:
    """Providers.md 1.7 and 1.8; counted in characters."""
    check_media_request(model, "é" * limit, (), {})
    error = refusal(model, prompt="é" * (limit + 1))
    assert (error.field, error.rule, error.limit) == ("prompt", "too_long", limit)


@pytest.mark.parametrize(
    ("model", "count", "rule"),
    [
        ("gpt-image-2", 17, "too_many"),
        ("doubao-seedance-2.0", 10, "too_many"),
        ("veo-3", 4, "too_many"),
        ("viduq1", 2, "too_many"),
        ("wan-2.6-image-to-video", 2, "too_many"),
        ("wan-2.6-image-to-video", 0, "too_few"),
        ("happyhorse-1.0-reference-to-video", 0, "too_few"),
        ("grok-imagine-text-to-video", 1, "unsupported"),
        ("kling-3.0", 1, "unsupported"),
    ],
)
def test_the_number_of_pictures_is_the_models(model: str, count: int, rule: str) -> None:
    """Provider-docs 001: at most 16; the others as their pages say."""
    found = {**CATALOGUE.image_models, **VIDEOS}[model]
    error = refusal(found, images=(PNG,) * count)
    assert (error.field, error.rule) == ("image_urls", rule)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "ftp://a.example/1.png",
        "https://",
        "a.png",
        "",
        "https://me:secret@a.example/1.png",
        "https://[::1/1.png",
        "https://a.example/" + "x" * 5_000,
    ],
)
def test_a_picture_is_a_public_address(url: str) -> None:
    """Providers.md 1.1: several pages say that embedded data is refused."""
    assert not is_public_url(url)
    error = refusal(GPT_IMAGE, images=(PNG, url))
    assert (error.field, error.rule) == ("image_urls[1]", "not_public_url")


# --- Options -----------------------------------------------------------------------------------


def test_defaults_are_filled_in() -> None:
    """What is priced is what is sent, whatever the provider's defaults become."""
    assert check_media_request(GPT_IMAGE, "A cat", (), {"resolution": None}) == {
        "aspect_ratio": "auto",
        "resolution": "1k",
    }


@pytest.mark.parametrize("spelt", ["4k", "4K", " 4k "])
def test_the_case_of_a_choice_is_the_models(spelt: str) -> None:
    """Trap 29: `1k` here, `1K` elsewhere."""
    values = check_media_request(
        GPT_IMAGE, "A cat", (), {"resolution": spelt, "aspect_ratio": "16:9"}
    )
    assert values["resolution"] == "4k"
    veo = check_media_request(VIDEOS["veo-3"], "A cat", (), {"aspect_ratio": "auto"})
    assert veo["aspect_ratio"] == "Auto"


@pytest.mark.parametrize("ratio", [None, "auto", "1:1", "4:3"])
def test_4k_needs_an_explicit_wide_or_tall_ratio(ratio: str | None) -> None:
    """Trap 28: our default `auto` with 4k would be a 400 of the provider."""
    error = refusal(GPT_IMAGE, resolution="4k", aspect_ratio=ratio)
    assert (error.field, error.rule) == ("aspect_ratio", "exclusive")
    assert set(error.allowed) == {"16:9", "9:16", "2:1", "1:2", "21:9", "9:21"}
    for allowed in error.allowed:
        check_media_request(GPT_IMAGE, "A cat", (), {"resolution": "4k", "aspect_ratio": allowed})


@pytest.mark.parametrize(
    ("model", "images", "options", "field", "rule"),
    [
        ("wan", 0, {"shot_type": "multi", "prompt_extend": False}, "prompt_extend", "exclusive"),
        ("grok", 1, {"mode": "spicy"}, "mode", "unknown_value"),
        ("veo", 1, {"generation_type": REFERENCES, "mode": "quality"}, "mode", "exclusive"),
        ("veo", 0, {"generation_type": REFERENCES}, "image_urls", "too_few"),
        ("veo", 3, {"generation_type": FRAMES}, "image_urls", "too_many"),
        ("veo", 1, {"generation_type": "TEXT_2_VIDEO"}, "image_urls", "too_many"),
        ("seedance", 0, {"generation_type": "first_and_last_frames"}, "image_urls", "too_few"),
        ("seedance", 0, {"seconds": 3}, "duration", "out_of_range"),
        ("seedance", 0, {"seconds": 16}, "duration", "out_of_range"),
        ("fast", 0, {"resolution": "1080p"}, "resolution", "unknown_value"),
        ("wan", 0, {"negative_prompt": "x" * 501}, "negative_prompt", "too_long"),
        ("veo", 0, {"seeds": 9_999}, "seeds", "out_of_range"),
        ("veo", 0, {"seconds": 5}, "seconds", "unsupported"),
        ("vidu", 0, {"seconds": "8"}, "seconds", "unknown_value"),
        ("gpt", 0, {"size": "1k"}, "size", "unsupported"),
        ("gpt", 0, {"seed": 1}, "seed", "unsupported"),
    ],
)
def test_each_exclusion_of_the_pages_is_refused_by_name(
    model: str, images: int, options: dict[str, object], field: str, rule: str
) -> None:
    """Providers.md 1.8; the field is the provider's word."""
    error = refusal(SHORT[model], images=(PNG,) * images, given=options)
    assert (error.field, error.rule) == (field, rule)


@pytest.mark.parametrize(
    ("options", "field", "rule"),
    [
        ({"whole": 6}, "n", "out_of_range"),
        ({"whole": -2}, "n", "out_of_range"),
        ({"whole": "six"}, "n", "wrong_type"),
        ({"whole": "1" * 20}, "n", "wrong_type"),
        ({"whole": True}, "n", "wrong_type"),
        ({"whole": 1.5}, "n", "wrong_type"),
        ({"some": 5}, "some", "unknown_value"),
        ({"flag": 1}, "flag", "wrong_type"),
        ({"flag": "yes"}, "flag", "wrong_type"),
        ({"text": 5}, "text", "wrong_type"),
        ({"text": "123456"}, "text", "too_long"),
        ({"films": PNG}, "films", "wrong_type"),
        ({"films": []}, "films", "too_few"),
        ({"films": [PNG] * 3}, "films", "too_many"),
        ({"films": [PNG, "x"]}, "films", "not_public_url"),
        ({"films": [PNG, 3]}, "films", "not_public_url"),
        ({"must": "c"}, "must", "unknown_value"),
        ({"must": True}, "must", "wrong_type"),
        ({"must": None}, "must", "missing"),
    ],
)
def test_each_kind_of_option_refuses_what_it_is_not(
    options: dict[str, object], field: str, rule: str
) -> None:
    """Types, ranges and lengths, told by the provider's field."""
    error = refusal(LAB, given={"must": "b", **options})
    assert (error.field, error.rule) == (field, rule)


def test_each_kind_of_option_takes_what_it_is() -> None:
    """Numbers may come as text from a form; an empty text is none."""
    assert lab(whole="-1", some="8", flag="True", text=" abc ", films=[PNG], must="AUTO") == {
        "whole": -1,
        "some": 8,
        "flag": True,
        "text": "abc",
        "films": (PNG,),
        "must": "Auto",
    }
    assert lab(text="  ", flag=False, whole=0) == {"whole": 0, "flag": False, "must": "b"}
    assert media_cost_ucr(LAB, lab()) == 7


# --- Size --------------------------------------------------------------------------------------


def test_size_is_made_of_words_in_any_order() -> None:
    """`/video` has one option for what each model calls resolution, ratio or mode."""
    seedance = VIDEOS["doubao-seedance-2.0"]
    for size in ("1080p 16:9", "16:9 1080P", " 16:9  1080p "):
        values = check_media_request(seedance, "A cat", (), {"size": size})
        assert (values["resolution"], values["aspect_ratio"]) == ("1080p", "16:9")
    values = check_media_request(seedance, "A cat", (), {"size": "9:16"})
    assert (values["resolution"], values["aspect_ratio"]) == ("720p", "9:16")
    assert "size" not in values


@pytest.mark.parametrize("size", ["huge", "720p 1080p", "720p 720p", "720p 16:9 x"])
def test_a_size_that_is_none_names_what_there_is(size: str) -> None:
    """A word unknown or twice."""
    error = refusal(VIDEOS["doubao-seedance-2.0"], size=size)
    assert (error.field, error.rule) == ("size", "unknown_value")
    assert {"480p", "adaptive"} <= set(error.allowed)


def test_a_size_cannot_contradict_its_parts() -> None:
    """Said twice is a mistake, also when both say the same."""
    error = refusal(VIDEOS["doubao-seedance-2.0"], size="720p", resolution="1080p")
    assert (error.field, error.rule) == ("resolution", "exclusive")
    assert refusal(VIDEOS["doubao-seedance-2.0"], size=720).rule == "wrong_type"


def test_the_openai_format_has_a_size_of_its_own() -> None:
    """Trap 43: WxH there, ratio and resolution elsewhere."""
    values = check_media_request(VIDEOS["kling-v2-master"], "A cat", (), {"size": "720X1280"})
    assert values == {"seconds": "5", "size": "720x1280"}
    assert refusal(VIDEOS["kling-v2-master"], size="1x1").rule == "unknown_value"


# --- Properties ------------------------------------------------------------------------------

names = st.sampled_from(sorted({name for model in EVERY for name in model.options} | {"size", "x"}))
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 40),
    st.text(max_size=6),
    st.sampled_from(["720p", "16:9", "4k", "AUTO", "fast 9:16", "1280x720", "multi", "5"]),
    st.floats(),
    st.lists(st.just(PNG), max_size=3),
)


@given(
    model=st.sampled_from(EVERY),
    prompt=st.text(max_size=20),
    images=st.lists(st.sampled_from([PNG, "x", PNG]), max_size=10),
    options=st.dictionaries(names, values, max_size=4),
)
def test_a_request_is_refused_by_name_or_stays_as_it_is(
    model: MediaModel, prompt: str, images: list[str], options: dict[str, object]
) -> None:
    """Total; checking the result again changes nothing, and it always has a price."""
    try:
        first = check_media_request(model, prompt, images, options)
    except RequestInvalid as error:
        refused = error
    else:
        assert check_media_request(model, prompt, images, first) == first
        assert media_cost_ucr(model, first) > 0
        return
    assert refused.field
    assert refused.rule
