"""The operator's terminal: each failure in one plain paragraph that says what to do."""

from __future__ import annotations

import pytest

from bot.errors import DiscordRefused, DiscordUnreachable, Problem
from bot.text import console
from storage.errors import StoreCorrupt, StoreInUse, StoreUnavailable


def test_every_problem_has_its_aligned_line() -> None:
    """All of them, with the names in one column."""
    text = console.settings_problems(
        [Problem(where="A", what="is wrong"), Problem(where="LONGER", what="is missing")]
    )
    assert "2 things need" in text
    assert "  A       is wrong\n  LONGER  is missing\n" in text
    assert "1 thing needs" in console.settings_problems([Problem(where="A", what="x")])


@pytest.mark.parametrize(
    ("close_code", "words"),
    [
        (None, "DISCORD_TOKEN"),
        (4004, "DISCORD_TOKEN"),
        (4014, "MESSAGE_CONTENT"),
        (4013, "MESSAGE_CONTENT"),
        (4012, "4012"),
    ],
)
def test_a_refusal_of_discord_names_the_remedy(close_code: int | None, words: str) -> None:
    """The codes after which trying again cannot help (gateway.mdx)."""
    assert words in console.discord_refused(DiscordRefused(close_code=close_code))


def test_an_unreachable_discord_tells_the_tries() -> None:
    """So that the operator looks at the network first."""
    assert "5 tries" in console.discord_unreachable(DiscordUnreachable(attempts=5))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreInUse(path="x.db", pid=7, host="box"), "process 7 on box"),
        (StoreInUse(path="x.db", pid=None, host=None), "another process"),
        (
            StoreInUse(path="x.db", pid=7, host="box", since_us=1_763_640_000_000_000),
            "process 7 on box, since 2025-11-20 12:00:00 UTC.",
        ),
    ],
)
def test_the_holder_of_the_database_is_named(error: StoreInUse, words: str) -> None:
    """S-8: one clear line."""
    text = console.store_in_use(error)
    assert words in text
    assert "\n" not in text


def test_a_damaged_database_is_told_apart_from_a_missing_one() -> None:
    """F-113: the remedies differ."""
    missing = console.store_corrupt(StoreCorrupt(path="x.db", cause="missing"))
    damaged = console.store_corrupt(StoreCorrupt(path="x.db", cause="page 3"))
    assert "x.db.exists" in missing
    assert "page 3" in damaged
    assert "rm -f x.db-wal x.db-shm" in damaged
    assert "cp backup.db x.db" in damaged
    assert "README.md" in missing
    assert "README.md" in damaged
    assert "disk full" in console.store_unavailable(StoreUnavailable(cause="disk full"))


def test_broken_books_are_listed() -> None:
    """Each broken invariant on its own line."""
    assert console.audit_report(()) == "The books are sound."
    assert "\n  I-1: x\n  I-3: y" in console.audit_report(("I-1: x", "I-3: y"))
