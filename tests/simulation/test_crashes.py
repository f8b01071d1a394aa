"""Worlds end their processes where the bot truly does something."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

from tests.simulation.crashes import EARLY, EVENTS

ROOT = Path(__file__).parents[2]
NO_TRANSACTIONS = {"create", "made"}
"""A request that leaves us, and its effect."""
WAYS = {"transact", "_write"}
"""Who takes the body of a transaction; `_write` of the submitter hands it on."""


def transactions() -> set[str]:
    """The names of what the bot runs in transactions, as the store of a world tells them."""
    found = set()
    for path in sorted((ROOT / "bot").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if not any(f".{way}(" in source for way in WAYS):
            continue
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in WAYS:
                found |= {_name(body, module) for body in call.args[:1]}
    return found


def _name(body: ast.expr, module: object) -> str:
    """What the function that stands there calls itself; where it is none yet, the words there."""
    found: object = module
    for part in ast.unparse(body).split("."):
        found = getattr(found, part, None)
    return str(getattr(found, "__name__", ast.unparse(body)))


def test_what_a_process_can_end_at_is_done_somewhere() -> None:
    """A transaction that no longer exists would be waited for in vain."""
    assert {*EVENTS, *EARLY} - NO_TRANSACTIONS <= transactions()
