"""Every mistake in a catalogue file is told in the words of its header, never in a library's."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic_core import core_schema

from bot.catalogue.fields import UNFIT, plain_words
from bot.catalogue.loader import BUILT_IN, catalogue_of, load
from bot.errors import CatalogueInvalid, Problem
from tests.unit.catalogue.test_media_file import HEAD, MODEL

IMAGE = MODEL.replace("video_model", "image_model").replace('id = "v"', 'id = "i"')
WHOLE = tomllib.loads(
    'default_image_model = "i"\ndefault_video_model = "v"\n' + HEAD + IMAGE + MODEL,
    parse_float=Decimal,
)
"""Every key of every table at least once."""
WRONG: list[Any] = [
    *("", "x", "x" * 200, "free", "7.5", "nan"),
    *(0, -1, 10**30, Decimal("2.5"), Decimal("inf"), True),
    *([], [[]], [{}], [1], ["x"], ["x"] * 200, {}, {"x": 1}, {"X": {}}, {"": "x"}),
]
LIBRARY = re.compile(
    r"Input should|Value error|\bvalid\b|instance|dictionar|tuple|frozenset|unpack|iterable"
    r"|Decimal|None|True|Infinity|\[\]|\{\}|pars(e|able|ing)\b|pydantic|_[A-Z]|File\b|argument",
)
"""Words of pydantic's sentences and of Python."""


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    steps: Any = ()
    if isinstance(node, dict):
        steps = node.items()
    elif isinstance(node, list):
        steps = enumerate(node)
    for step, below in steps:
        yield (*path, step)
        yield from places(below, (*path, step))


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(WHOLE)
    node: Any = whole
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return whole


def problems_of(raw: dict[str, Any]) -> list[Problem]:
    try:
        catalogue_of(raw)
    except CatalogueInvalid as error:
        return error.problems
    return []


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
def test_no_wrong_value_at_any_place_is_told_in_a_librarys_words(value: Any) -> None:
    """Each key of the file in turn holds the value; what is refused is told plainly, in place."""
    told = 0
    for path in places(WHOLE):
        for problem in problems_of(changed(path, value)):
            told += 1
            assert problem["where"], path
            assert not LIBRARY.search(problem["what"]), (path, problem)
            assert problem["what"] != UNFIT, (path, problem)
            assert "[key]" not in problem["where"]
            assert not problem["where"].endswith(".")
    assert told


@pytest.mark.parametrize("kind", get_args(core_schema.ErrorType))
def test_every_error_type_of_the_library_has_plain_words(kind: str) -> None:
    """Also those that no table of today can cause."""
    told = plain_words(kind, {"expected": "'a', 'b' or 'c'", "error": ValueError("is odd")})
    assert told
    assert not LIBRARY.search(told)


def test_the_words_say_what_is_wanted() -> None:
    """With the numbers and names of the rule."""
    assert plain_words("enum", {"expected": "'a', 'b' or 'c'"}) == "must be one of: a, b, c"
    assert plain_words("less_than_equal", {"le": 7}) == "must be at most 7"
    assert plain_words("string_too_short", {"min_length": 1}) == "must not be empty"
    assert plain_words("too_long", {"max_length": 3}) == "must have at most 3 entries"
    assert plain_words("missing", {}) == "is missing"
    assert plain_words("model_type", {}) == "must be a table: { name = value }"


def told(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueInvalid) as caught:
        load(path)
    return {problem["where"]: problem["what"] for problem in caught.value.problems}


GPT_PRICE = "price = { input = 300, output = 1800 }"


def test_a_whole_price_may_be_free(tmp_path: Path) -> None:
    """As the header says, for a chat model and for media alike."""
    video = re.sub(r"price = .*", 'price = "free"', MODEL)
    path = tmp_path / "models.toml"
    path.write_text(HEAD.replace(GPT_PRICE, 'price = "free"') + video, encoding="utf-8")
    catalogue = load(path)
    price = catalogue.chat_models["gpt-5-4"].price
    assert (price.input_ucr, price.output_ucr) == (0, 0)
    assert catalogue.video_models["v"].price.amounts_ucr == {"": 0}


def test_a_media_price_may_be_an_amount_alone(tmp_path: Path) -> None:
    """One amount for each job."""
    path = tmp_path / "models.toml"
    path.write_text(HEAD + re.sub(r"price = .*", 'price = "2.5"', MODEL), encoding="utf-8")
    assert load(path).video_models["v"].price.amounts_ucr == {"": 2_500_000}


@pytest.mark.parametrize(
    ("price", "place", "words"),
    [
        ("300", "price", "{ input = …, output = … }"),
        ('"cheap"', "price", "{ input = …, output = … }"),
        ('{ input = "7.5", output = 1 }', "price.input", "micro-credit"),
        ("{ input = 7.5, output = 1 }", "price.input", "micro-credit"),
        ('{ input = "cheap", output = 1 }', "price.input", "must be a number"),
    ],
)
def test_a_chat_price_that_cannot_be_is_told_with_its_reason(
    tmp_path: Path, price: str, place: str, words: str
) -> None:
    """A fraction of a micro-credit per token does not exist."""
    problems = told(tmp_path, HEAD.replace(GPT_PRICE, f"price = {price}"))
    assert set(problems) == {f"chat_model[0].{place}"}
    assert words in problems[f"chat_model[0].{place}"]


def test_a_decimal_string_that_is_whole_is_taken(tmp_path: Path) -> None:
    """`"300.0"` is 300."""
    path = tmp_path / "models.toml"
    path.write_text(HEAD.replace("input = 300", 'input = "300.0"'), encoding="utf-8")
    assert load(path).chat_models["gpt-5-4"].price.input_ucr == 300


def test_the_header_names_every_key_of_a_block() -> None:
    """What an operator may write stands at the top of the file."""
    header = BUILT_IN.read_text(encoding="utf-8").partition("\nmultiplier")[0]
    for key in {key for table in WHOLE["chat_model"] for key in table}:
        assert re.search(rf"\b{key}\b", header), key


def test_a_file_that_is_no_text_is_told_plainly(tmp_path: Path) -> None:
    """Not by a codec's sentence."""
    path = tmp_path / "models.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogueInvalid) as caught:
        load(path)
    assert caught.value.problems == [Problem(where=str(path), what="is not UTF-8 text")]
