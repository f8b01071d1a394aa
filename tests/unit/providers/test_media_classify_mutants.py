"""The classifier is data: whichever field of a row is changed, some answer tells (section 5, v)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.catalogue.media import MediaProtocol
from bot.providers import classify as classifier
from bot.providers.base import UnknownCause
from bot.providers.classify import ENVELOPE_WORDS, REFUSALS, TASK_ID_PATHS
from tests.unit.providers.test_media_classify import all_agree

_TABLE = classifier._TABLE
_Row = classifier._Row


ONLY_OF_SUCCESSES = (3, 4)
"""Rows whose `statuses` say twice what `says` and the rows after them say already."""


def mutants_of(position: int) -> Iterator[_Row]:
    """A row with one field changed, in every way that is another rule."""
    row = _TABLE[position]
    yield from (replace(row, then=other) for other in classifier._Class if other is not row.then)
    yield from (replace(row, stage=other) for other in classifier._Stage if other is not row.stage)
    if row.then is classifier._Class.UNKNOWN:
        yield from (replace(row, cause=other) for other in UnknownCause if other is not row.cause)
    if row.statuses is not None and position not in ONLY_OF_SUCCESSES:
        yield replace(row, statuses=None)
    if row.is_object is not None:
        yield replace(row, is_object=not row.is_object)
    if row.says is not None:
        yield replace(row, says=None)
        for said in row.says:
            yield replace(row, says=tuple(other for other in row.says if other is not said))
    if row.name is not None:
        yield replace(row, name=None)
        for name in row.name:
            yield replace(row, name=tuple(other for other in row.name if other is not name))


MUTANTS = [list(mutants_of(position)) for position in range(len(_TABLE))]


def test_the_rows_have_many_mutants() -> None:
    """Or the test below would prove nothing."""
    assert sum(map(len, MUTANTS)) >= 100
    assert all(MUTANTS)


@pytest.mark.parametrize("position", range(len(_TABLE)))
def test_a_mutation_of_any_row_is_noticed(position: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5, test (v)."""
    survivors = []
    for mutant in MUTANTS[position]:
        table = (*_TABLE[:position], mutant, *_TABLE[position + 1 :])
        monkeypatch.setattr(classifier, "_TABLE", table)
        if all_agree():
            survivors.append(mutant)
    assert survivors == []


@pytest.mark.parametrize("protocol", MediaProtocol)
def test_a_mutation_of_any_refusal_is_noticed(
    protocol: MediaProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status, its word, and whether trying again can help."""
    own = REFUSALS[protocol] if protocol is MediaProtocol.TASKS else classifier._VIDEO_REFUSALS
    survivors = []
    for line in own:
        for mutant in (
            replace(line, retryable=not line.retryable),
            replace(line, code=f"{line.code}_"),
            replace(line, status=line.status + 100),
        ):
            lines = tuple(mutant if other == line else other for other in REFUSALS[protocol])
            monkeypatch.setattr(classifier, "REFUSALS", {**REFUSALS, protocol: lines})
            if all_agree():
                survivors.append(mutant)
    assert survivors == []


@pytest.mark.parametrize("code", ENVELOPE_WORDS)
def test_a_mutation_of_any_envelope_word_is_noticed(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-42: what a code means when it stands in a success."""
    for words in (
        {key: word for key, word in ENVELOPE_WORDS.items() if key != code},
        {**ENVELOPE_WORDS, code: "upstream_error"},
    ):
        monkeypatch.setattr(classifier, "ENVELOPE_WORDS", words)
        assert not all_agree()


@pytest.mark.parametrize("protocol", MediaProtocol)
def test_every_place_of_a_name_is_needed(
    protocol: MediaProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-43: an overlooked name is a paid task that nobody finds."""
    idle = []
    for place in TASK_ID_PATHS[protocol]:
        left = tuple(other for other in TASK_ID_PATHS[protocol] if other != place)
        monkeypatch.setattr(classifier, "TASK_ID_PATHS", {**TASK_ID_PATHS, protocol: left})
        if all_agree():
            idle.append(place)
    assert idle == []
