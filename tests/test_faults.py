"""Every fault that money or results can meet has a test that names it (reliability.md 3.1, 3.2)."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FAULTS = {
    # The process ends at a step of a job.
    "F-1": "before the interaction is stored",
    "F-2": "stored, not acknowledged",
    "F-3": "acknowledged, not accepted",
    "F-4": "accepted, no card yet",
    "F-5": "before the intent",
    "F-6": "intent written down, nothing sent",
    "F-7": "sent, the answer lost",
    "F-8": "answered, the task's id not stored",
    "F-9": "the id stored, nothing after it",
    "F-10": "callback stored, not answered",
    "F-11": "callback answered, not acted on",
    "F-12": "while fetching a result",
    "F-13": "result secured, not settled",
    "F-14": "inside the settling transaction",
    "F-15": "settled, not posted",
    "F-16": "posted, the answer lost",
    "F-17": "again and again while starting",
    "F-18": "while migrating",
    "F-19": "while an answer streams",
    "F-20": "SIGTERM with jobs in flight",
    # The provider.
    "F-30": "400",
    "F-31": "401",
    "F-32": "402",
    "F-33": "403",
    "F-34": "404 for a model",
    "F-35": "404 for a task of ours",
    "F-36": "429, too fast",
    "F-37": "429, spend limit",
    "F-38": "500 for a create",
    "F-39": "500 for a read",
    "F-40": "503 as documented",
    "F-41": "5xx without the documented body, HTML, nothing, half a body",
    "F-42": "200 around another code",
    "F-43": "no task id, or somebody else's",
    "F-44": "redirect",
    "F-45": "no connection",
    "F-46": "connected, no answer",
    "F-47": "the task failed",
    "F-48": "completed without a result",
    "F-49": "a status nobody knows",
    "F-50": "a status that goes back",
    "F-51": "an amount that is no price",
    "F-52": "a task without an end",
    "F-53": "the result is gone",
    "F-54": "the result is huge",
    "F-55": "the result is something else",
    "F-56": "the result is slow",
    "F-57": "the stream is cut",
    "F-58": "the stream is malformed",
    "F-59": "JSON for SSE, SSE for JSON",
    "F-60": "the stream stalls",
    "F-61": "callback twice",
    "F-62": "callback before the answer",
    "F-63": "callback after the refund",
    "F-64": "no callback",
    "F-65": "callback forged",
    "F-66": "signed events",
    "F-67": "texts that would ping or mark up",
    "F-68": "the price changes meanwhile",
    "F-69": "the provider's balance and our books differ",
}


def _tests() -> Iterator[tuple[str, str]]:
    """Name and what is said about each test: its docstring, its parameters, its own name."""
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                node.name.startswith("test_")
            ):
                said = [ast.get_docstring(node) or "", *map(ast.unparse, node.decorator_list)]
                yield f"{path.name}::{node.name}", " ".join(said)


def named() -> dict[str, list[str]]:
    """Which tests carry which fault's id."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, said in _tests():
        for fault in set(re.findall(r"\bF-\d+\b", said)):
            found[fault].append(name)
    return dict(found)


NAMED = named()


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_a_test_that_names_it(fault: str) -> None:
    """A row without a test is listed here by its own failure."""
    assert fault in NAMED, f"{fault}: {FAULTS[fault]}"
