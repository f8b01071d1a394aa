"""The media tables of a catalogue file, and how all their mistakes are told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.catalogue.loader import BUILT_IN, load
from bot.catalogue.media import MediaProtocol, PriceUnit, PromptRule
from bot.errors import CatalogueInvalid

CHAT = BUILT_IN.read_text(encoding="utf-8").partition("# --- Pictures")[0]
HEAD = "\n".join(
    line for line in CHAT.splitlines() if not line.startswith(("default_image", "default_video"))
)
MODEL = """
[[video_model]]
id = "v"
label = "V"
provider = "aivideo"
protocol = "tasks"
prompt_chars_max = 100
images = { high = 2 }
size_from = ["resolution"]
price = { per = "second", by = "resolution", credits = { 1k = "2.4", 2k = 3 } }
[video_model.options]
seconds = { kind = "integer", send = "duration", low = 4, high = 8, default = 4 }
resolution = { choices = ["1k", "2k"], default = "1k" }
loud = { kind = "boolean", default = false }
[[video_model.rule]]
when = { resolution = ["2k"] }
need = { loud = [true] }
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path: Path, text: str, head: str = HEAD) -> dict[str, str]:
    with pytest.raises(CatalogueInvalid) as caught:
        load(write(tmp_path, head + text))
    return {problem["where"]: problem["what"] for problem in caught.value.problems}


def changed(old: str, new: str) -> str:
    assert old in MODEL
    return MODEL.replace(old, new)


def test_an_operator_adds_a_model_in_the_file(tmp_path: Path) -> None:
    """No Python is needed; what is left out has its default."""
    catalogue = load(write(tmp_path, HEAD + MODEL))
    assert not catalogue.image_models
    assert catalogue.default_image_model is None
    assert catalogue.default_video_model == "v"
    model = catalogue.video_models["v"]
    assert model.wire_id == "v"
    assert model.protocol is MediaProtocol.TASKS
    assert model.prompt_rule is PromptRule.REQUIRED
    assert (model.images_min, model.images_max) == (0, 2)
    assert model.price.per is PriceUnit.SECOND
    assert model.price.amounts_ucr == {"1k": 2_400_000, "2k": 3_000_000}
    assert (model.options["seconds"].send, model.options["loud"].send) == ("duration", "loud")
    assert model.rules[0].need == {"loud": (True,)}


def test_a_catalogue_without_media_still_works(tmp_path: Path) -> None:
    """A file from before pictures."""
    catalogue = load(write(tmp_path, HEAD))
    assert not catalogue.video_models
    assert catalogue.default_video_model is None


def test_a_disabled_model_is_checked_but_not_offered(tmp_path: Path) -> None:
    """It must not become the default either."""
    off = MODEL.replace('label = "V"', 'label = "V"\nenabled = false')
    assert not load(write(tmp_path, HEAD + off)).video_models
    head = 'default_video_model = "v"\n' + HEAD
    assert problems(tmp_path, off, head) == {
        "default_video_model": "is none of the enabled models: v"
    }
    broken = off.replace("prompt_chars_max = 100", "prompt_chars_max = 0")
    assert set(problems(tmp_path, broken)) == {"video_model[0].prompt_chars_max"}


@pytest.mark.parametrize("price", ['"free"', '"0.000001"', "2", "2.5"])
def test_a_price_may_be_one_amount(tmp_path: Path, price: str) -> None:
    """Exact in micro-credits, and nothing only by word."""
    text = changed('by = "resolution", credits = { 1k = "2.4", 2k = 3 }', f"credits = {price}")
    amounts = load(write(tmp_path, HEAD + text)).video_models["v"].price.amounts_ucr
    assert set(amounts) == {""}


@pytest.mark.parametrize(
    "price",
    [
        *("0", "-1", "nan", "inf", "true", '"x"', "[]"),
        *('"0.0000001"', '"1e-999999999"', '"1e99"', '"0.1000000000000000000000000000001"'),
    ],
)
def test_a_price_that_is_not_exact_and_positive_is_refused(tmp_path: Path, price: str) -> None:
    """A slip of the keyboard must not give pictures away."""
    found = problems(tmp_path, changed('1k = "2.4"', f"1k = {price}"))
    assert set(found) == {"video_model[0].price.credits.1k"}


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('provider = "aivideo"', 'provider = "elsewhere"', "provider"),
        ('protocol = "tasks"', 'protocol = "openai_video"', "protocol"),
        ('protocol = "tasks"', 'protocol = "smoke"', "protocol"),
        ("images = { high = 2 }", "images = { low = 3, high = 2 }", "images.low"),
        ("images = { high = 2 }", "images = { high = -1 }", "images.high"),
        ('["resolution"]', '["loud"]', "size_from"),
        ('["resolution"]', '["bogus"]', "size_from"),
        ('["resolution"]', '["resolution", "resolution"]', "size_from"),
        ("loud = {", 'size = { choices = ["9"], default = "9" }\nloud = {', "size_from"),
        ('by = "resolution"', 'by = "loud"', "price.by"),
        ('by = "resolution"', 'by = "bogus"', "price.by"),
        ('by = "resolution", ', "", "price.by"),
        ("2k = 3", "3k = 3", "price.credits"),
        (", 2k = 3", "", "price.credits"),
        ("high = 8, default = 4", "high = 8", "price.per"),
        ("low = 4, high = 8", "high = 8", "options.seconds"),
        ("low = 4, high = 8", "low = 0, high = 8", "options.seconds"),
        ("low = 4, high = 8", "low = 4, high = 4_000", "options.seconds"),
        ("low = 4, high = 8", "low = 8, high = 4", "options.seconds.low"),
        ("high = 8, default = 4", "high = 8, default = 9", "options.seconds.default"),
        ('"2k"], default = "1k"', '"2k"], default = "3k"', "options.resolution.default"),
        ('choices = ["1k", "2k"]', 'choices = ["1k", "1K", "2k"]', "options.resolution.choices"),
        ('"1k", "2k"]', '"1k", "2 k"]', "options.resolution.choices[1]"),
        ('"1k", "2k"]', '"1k", 2.5]', "options.resolution.choices[1]"),
        ("default = false", "default = []", "options.loud.default"),
        ('choices = ["1k", "2k"]', "choices = [1, 2]", "options.resolution.choices"),
        ('{ choices = ["1k", "2k"],', '{ kind = "choice",', "options.resolution.choices"),
        ("default = false", 'default = "no"', "options.loud.default"),
        ("high = 8, default = 4", "high = 8, default = true", "options.seconds.default"),
        ("loud = {", 't = { kind = "string", default = 1 }\nloud = {', "options.t.default"),
        ("loud = [true]", 'loud = ["true"]', "rule[0].need.loud"),
        ("default = false", "default = false, choices = [1]", "options.loud.choices"),
        ("loud = {", 'u = { kind = "urls", default = "x" }\nloud = {', "options.u.default"),
        ("loud = {", "Loud = { }\nloud = {", "options.Loud"),
        ('resolution = ["2k"] }', 'bogus = ["2k"] }', "rule[0].when.bogus"),
        ('resolution = ["2k"] }', 'resolution = ["3k"] }', "rule[0].when.resolution"),
        ("loud = [true]", "loud = [1]", "rule[0].need.loud"),
        ("need = { loud = [true] }", "", "rule[0]"),
        ('label = "V"', 'label = "V"\ntwin = "w"', "twin"),
        ('label = "V"', 'label = "V"\ntwin = "v"', "twin"),
        ('label = "V"', 'label = "V"\ncolour = "red"', "colour"),
        ('id = "v"', 'id = "gpt-5-4"', "id"),
        ('id = "v"', "id = 3", "id"),
    ],
)
def test_each_mistake_is_told_at_its_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    """The operator is led to the key."""
    assert f"video_model[0].{place}" in problems(tmp_path, changed(old, new))


def test_all_mistakes_of_all_models_are_told_at_once(tmp_path: Path) -> None:
    """A shape mistake in one model hides neither the others' nor the chat models'."""
    text = (
        changed('by = "resolution"', 'by = "loud"')
        + MODEL.replace("prompt_chars_max = 100", "")
        + MODEL.replace('id = "v"', 'id = "w"').replace('provider = "aivideo"', 'provider = "x"')
        + '[[image_model]]\nid = "i"\n'
    )
    head = HEAD.replace('multiplier = "1"', "multiplier = 0")
    found = problems(tmp_path, text, head)
    assert {
        "multiplier",
        "video_model[0].price.by",
        "video_model[1].prompt_chars_max",
        "video_model[1].id",
        "video_model[2].provider",
        "image_model[0].label",
        "image_model[0].price",
    } <= set(found)
    assert found["video_model[1].id"] == "stands twice: v"
    assert found["video_model[1].prompt_chars_max"] == "is missing"


def test_the_openai_format_makes_videos_from_one_picture_at_most(tmp_path: Path) -> None:
    """Provider-docs 004 has one `input_reference`."""
    video = MODEL.replace('"aivideo"', '"video"').replace('"tasks"', '"openai_video"')
    assert set(problems(tmp_path, video)) == {"video_model[0].images.high"}
    image = video.replace("video_model", "image_model").replace("high = 2", "high = 1")
    assert set(problems(tmp_path, image)) == {"image_model[0].protocol"}


@pytest.mark.parametrize("tables", ["video_model = 3", 'video_model = ["x"]', "image_model = [[]]"])
def test_a_table_of_another_shape_is_told(tmp_path: Path, tables: str) -> None:
    """Every path of the check meets wrong types."""
    assert problems(tmp_path, "", tables + "\n" + HEAD)


def test_too_many_models_are_refused(tmp_path: Path) -> None:
    """Bounds the texts and choices made from them."""
    many = "".join(MODEL.replace('id = "v"', f'id = "v{n}"') for n in range(101))
    assert set(problems(tmp_path, many)) == {"video_model"}
