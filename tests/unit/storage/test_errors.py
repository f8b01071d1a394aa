"""The error tree of storage."""

from __future__ import annotations

import re

from storage import errors


def test_the_drawn_tree_is_the_tree() -> None:
    """The docstring names every class, and only those."""
    drawn = re.findall(r"── (\w+)", errors.__doc__ or "")
    assert drawn == [leaf.__name__ for leaf in errors.StorageError.__subclasses__()]


def test_errors_carry_facts_and_say_them_shortly() -> None:
    """Logs show them; members never do."""
    error = errors.InsufficientCredits(needed_ucr=5, available_ucr=3, resets_at_us=None)
    assert (error.needed_ucr, error.available_ucr, error.resets_at_us) == (5, 3, None)
    assert "5" in str(error)
    assert str(errors.Duplicate(reference="m:1")) == "m:1"
