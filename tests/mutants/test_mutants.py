"""The gallery is whole, and its judges can tell; `make mutants` judges all of it."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace

import pytest

from tests.mutants.gallery import CANARY, CONTROL, MUTANTS
from tests.mutants.mutant import Family, Mutant
from tests.mutants.workshop import ROOT, Fate, Workshop, applied

MUTANTS_MIN = 30
"""N-14 of reliability.md."""


def test_there_are_enough_mutants_of_every_family() -> None:
    """Each kind of mistake has its own, under a name of its own."""
    assert len(MUTANTS) >= MUTANTS_MIN
    assert {mutant.family for mutant in MUTANTS} == set(Family)
    names = Counter(mutant.name for mutant in (*MUTANTS, CANARY, CONTROL))
    assert max(names.values()) == 1


@pytest.mark.parametrize("mutant", [*MUTANTS, CANARY, CONTROL], ids=lambda mutant: mutant.name)
def test_a_mutant_still_fits_the_program(mutant: Mutant) -> None:
    """Its lines stand where they stood, and what comes out is another program, not a broken one."""
    for path in {edit.path for edit in mutant.edits}:
        original = text = (ROOT / path).read_text()
        for edit in mutant.edits:
            if edit.path == path:
                text = applied(text, edit)
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(original))
    for killer in mutant.killers:
        for path in killer.split():
            assert (ROOT / path.partition("::")[0]).exists(), path


def test_the_canary_dies_and_the_control_lives() -> None:
    """Who is caught is caught for what was done, and nobody is called caught without it."""
    with Workshop.opened() as workshop:
        assert workshop.judge(CANARY).fate is Fate.KILLED
        cheaply = replace(CONTROL, killers=CANARY.killers)
        assert workshop.judge(cheaply).fate is Fate.SURVIVED
