"""The catalogue file: what it says, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.catalogue.catalogue import ChatProtocol, Feature, InputKind, TokenPrice
from bot.catalogue.loader import BUILT_IN, load
from bot.errors import CatalogueInvalid

GOOD = BUILT_IN.read_text(encoding="utf-8")


def problems_of(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueInvalid) as caught:
        load(path)
    return {problem["where"]: problem["what"] for problem in caught.value.problems}


def test_the_built_in_catalogue_holds_the_documents_models_and_prices() -> None:
    """Provider-docs 000, 002, 003: 300/1800, 57/450 and 160/960 credits per million tokens."""
    catalogue = load()
    assert {model.id: model.price for model in catalogue.chat_models.values()} == {
        "gpt-5-4": TokenPrice(input_ucr=300, output_ucr=1800),
        "gemini-2.5-pro": TokenPrice(input_ucr=57, output_ucr=450),
        "gemini-3.1-pro": TokenPrice(input_ucr=160, output_ucr=960),
    }
    assert catalogue.default_chat_model in catalogue.chat_models
    assert catalogue.multiplier_ppm == 1_000_000


def test_the_built_in_models_have_the_documents_abilities() -> None:
    """Traps 10 and 13: features, exclusions and efforts differ per model."""
    gpt, gemini_25, gemini_31 = load().chat_models.values()
    assert gpt.protocol is ChatProtocol.RESPONSES
    assert gpt.inputs == {InputKind.IMAGE, InputKind.FILE}
    assert gpt.efforts == ("minimal", "low", "medium", "high", "xhigh")
    assert gpt.exclusive == (frozenset({Feature.SEARCH, Feature.FUNCTIONS}),)
    assert gemini_25.features == frozenset(Feature)
    assert len(gemini_25.exclusive) == 3
    assert gemini_31.features == {Feature.SEARCH}
    assert gemini_31.inputs == frozenset(InputKind)
    assert gemini_25.efforts == gemini_31.efforts == ("low", "high")


def test_an_operator_adds_a_model_of_a_known_protocol_in_the_file(tmp_path: Path) -> None:
    """No Python is needed for one more model (issue 2, section 3)."""
    path = tmp_path / "models.toml"
    path.write_text(
        GOOD
        + """
[[chat_model]]
id = "gemini-3-pro"
label = "Gemini 3 Pro"
provider = "aivideo"
protocol = "chat_completions"
context_tokens = 1_000_000
efforts = ["low", "high"]
default_effort = "low"
price = { input = "160", output = 960.0 }
""",
        encoding="utf-8",
    )
    model = load(path).chat_models["gemini-3-pro"]
    assert model.price == TokenPrice(input_ucr=160, output_ucr=960)
    assert model.search_tool is None


def test_free_tokens_are_a_word_and_not_a_zero(tmp_path: Path) -> None:
    """A price of zero must be explicit (asks.md 3.3)."""
    path = tmp_path / "models.toml"
    path.write_text(GOOD.replace("input = 57", 'input = "free"'), encoding="utf-8")
    assert load(path).chat_models["gemini-2.5-pro"].price.input_ucr == 0
    zero = problems_of(tmp_path, GOOD.replace("input = 57", "input = 0"))
    assert zero == {
        "chat_model[1].price.input": 'must be positive; write "free" to give the tokens away'
    }


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('default_effort = "low"\n', "", "default_effort"),
        ('efforts = ["minimal", "low", "medium", "high", "xhigh"]\n', "", "default_effort"),
        ('default_effort = "low"\n', 'default_effort = "low"\nthoughts = true\n', "thoughts"),
        ('default_effort = "low"\n', 'default_effort = "low"\nthoughts = 1\n', "thoughts"),
    ],
)
def test_efforts_have_a_default_and_thoughts_a_switch(
    tmp_path: Path, old: str, new: str, place: str
) -> None:
    """Both may be left out, neither may be half there."""
    assert set(problems_of(tmp_path, GOOD.replace(old, new, 1))) == {f"chat_model[0].{place}"}


def test_all_mistakes_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    """An operator mends the file in one go; positions count from 0."""
    text = (
        GOOD.replace('multiplier = "1"', "multiplier = inf")
        .replace('default_chat_model = "gpt-5-4"', 'default_chat_model = "gpt-6"')
        .replace('id = "gemini-2.5-pro"', 'id = "gpt-5-4"')
        .replace("price = { input = 160, output = 960 }", "price = { output = 960, tax = 1 }")
        .replace('default_effort = "low"', 'default_effort = "huge"')
        .replace('search_tool = "web_search"\n', "")
        .replace('provider = "aivideo"', 'provider = "elsewhere"', 1)
        .replace("context_tokens = 256_000", "context_tokens = 0")
    )
    problems = problems_of(tmp_path, text)
    assert set(problems) == {
        "multiplier",
        "default_chat_model",
        "chat_model[1].id",
        "chat_model[2].price.input",
        "chat_model[2].price.tax",
        "chat_model[0].default_effort",
        "chat_model[0].search_tool",
        "chat_model[0].provider",
        "chat_model[0].context_tokens",
    }
    assert problems["chat_model[2].price.input"] == "is missing"
    assert problems["chat_model[2].price.tax"] == "is not a known key"


def test_a_name_that_stands_twice_is_told_on_its_own(tmp_path: Path) -> None:
    """What spans several models is checked even when each one is right."""
    text = GOOD.replace('id = "gemini-2.5-pro"', 'id = "gpt-5-4"')
    assert problems_of(tmp_path, text) == {"chat_model[1].id": "stands twice: gpt-5-4"}


@pytest.mark.parametrize(
    "price",
    ['"-1"', "-3", '"1.5"', "nan", '"NaN"', '"1e-999999999"', '"1e99"', "true", '"x"', "[]"],
)
def test_a_price_that_is_not_exact_and_positive_is_refused(tmp_path: Path, price: str) -> None:
    """F-125: LibreChat #2359 paid its users with a negative price; LiteLLM #20615 shut them out."""
    text = GOOD.replace("input = 57", f"input = {price}")
    assert set(problems_of(tmp_path, text)) == {"chat_model[1].price.input"}


@pytest.mark.parametrize(
    ("multiplier", "ppm"), [('"1.25"', 1_250_000), ("0.000001", 1), ("3", 3_000_000)]
)
def test_a_multiplier_is_exact_in_millionths(tmp_path: Path, multiplier: str, ppm: int) -> None:
    """TOML floats arrive as decimals, so 1.1 is 1.1."""
    path = tmp_path / "models.toml"
    path.write_text(GOOD.replace('multiplier = "1"', f"multiplier = {multiplier}"))
    assert load(path).multiplier_ppm == ppm


@pytest.mark.parametrize(
    "multiplier",
    ["0", "-1", "nan", "inf", '"1.0000001"', '"1e-999999999"', '"1e999999999"', "1001"],
)
def test_a_multiplier_that_is_no_factor_is_refused(tmp_path: Path, multiplier: str) -> None:
    """F-125: finite, above zero, and expressible in millionths."""
    text = GOOD.replace('multiplier = "1"', f"multiplier = {multiplier}")
    assert set(problems_of(tmp_path, text)) == {"multiplier"}


@pytest.mark.parametrize(
    "text", ["", "chat_model = 3", "chat_model = [1]", "multiplier = {}\n[[chat_model]]"]
)
def test_a_file_of_another_shape_is_refused_without_a_crash(tmp_path: Path, text: str) -> None:
    """Every path of the check meets wrong types."""
    assert problems_of(tmp_path, text)


def test_a_group_that_excludes_nothing_is_refused(tmp_path: Path) -> None:
    """A single feature cannot exclude itself: a slip of the operator."""
    text = GOOD.replace('exclusive = [["search", "functions"]]', 'exclusive = [["search"]]')
    assert set(problems_of(tmp_path, text)) == {"chat_model[0].exclusive"}


def test_an_unreadable_file_names_itself(tmp_path: Path) -> None:
    """Missing, not UTF-8 and not TOML are told like any other mistake."""
    missing = tmp_path / "none.toml"
    with pytest.raises(CatalogueInvalid) as caught:
        load(missing)
    assert caught.value.problems[0]["where"] == str(missing)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogueInvalid, match="1 problem"):
        load(binary)
    assert "is not TOML" in next(iter(problems_of(tmp_path, "a = ").values()))


def test_a_mime_type_is_sorted_by_its_family() -> None:
    """Whatever is not a picture, film or sound is a document."""
    kinds = [InputKind.of(mime) for mime in ("image/png", "Video/mp4", "audio/ogg", "text/x", "")]
    assert kinds == [
        InputKind.IMAGE,
        InputKind.VIDEO,
        InputKind.AUDIO,
        InputKind.FILE,
        InputKind.FILE,
    ]
