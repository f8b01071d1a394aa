"""The shape of the code, held by tests: trees, layers, sizes (architecture.md, style.md)."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

import bot.errors
import storage.errors

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "cogs", "storage", "sandbox")
FILE_LINES_MAX = 400
TEST_LINES_MAX = 600
"""A table of cases is long without being hard to follow."""
FUNCTION_LINES_MAX = 70
COG_LINES_MAX = 200
LONGER_FILES = {
    "bot/errors.py": "one list of every failure is easier to keep whole than several",
    "bot/limits.py": "bounds are compared with each other, so all of them stand together",
}
"""Files that may pass the limit, each with the reason why it is better in one piece."""


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return [path for path in found if "migrations" not in path.parts]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = sources(*PACKAGES)
EVERYTHING = [*SOURCES, *sources("tests")]


# --- Errors ---------------------------------------------------------------------------------------


def drawn(module: ModuleType) -> list[tuple[int, str]]:
    """The tree in a docstring: depth and name, in order."""
    assert module.__doc__ is not None
    text = inspect.cleandoc(module.__doc__).partition("\n\n")[2]
    lines = (re.fullmatch(r"([│├└─ ]*)(\w+)", line) for line in dedent(text).splitlines())
    return [(len(line[1]) // 4, line[2]) for line in lines if line]


def grown(root: type[Exception], module: ModuleType, depth: int = 0) -> list[tuple[int, str]]:
    """The tree as Python knows it, in the order of definition, of one module."""
    own = [cls for cls in root.__subclasses__() if cls.__module__ == module.__name__]
    branches = [item for cls in own for item in grown(cls, module, depth + 1)]
    return [(depth, root.__name__), *branches]


@pytest.mark.parametrize(
    ("module", "root"),
    [(bot.errors, bot.errors.AtelierError), (storage.errors, storage.errors.StorageError)],
    ids=["bot", "storage"],
)
def test_the_drawing_of_the_errors_is_true(module: ModuleType, root: type[Exception]) -> None:
    """Habit 1 of style.md: the tree at the top of the file is what `__subclasses__` says."""
    assert drawn(module) == grown(root, module)


@pytest.mark.parametrize("module", [bot.errors, storage.errors], ids=["bot", "storage"])
def test_every_error_of_a_module_stands_in_its_tree(module: ModuleType) -> None:
    """No exception grows beside the tree."""
    names = {name for _depth, name in drawn(module)}
    errors = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__ == module.__name__
    }
    assert errors == names


# --- Layers ---------------------------------------------------------------------------------------


def test_the_import_contracts_hold() -> None:
    """import-linter, as in `make check`."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", EVERYTHING, ids=short)
def test_no_type_is_imported_for_the_checker_alone(path: Path) -> None:
    """A type that can only be imported lazily stands in the wrong layer."""
    names = {
        node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
    }
    assert "TYPE_CHECKING" not in names


@pytest.mark.parametrize("path", sources("bot", "cogs", "storage"), ids=short)
def test_time_and_chance_come_through_the_constructor(path: Path) -> None:
    """architecture.md, idea 3: only `clock.py` asks the machine what time it is."""
    if short(path) == "bot/clock.py":
        return
    tree = ast.parse(path.read_text())
    asked = {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    forbidden = {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.sleep",
        "datetime.now",
        "datetime.utcnow",
        "random.random",
        "random.choice",
        "random.randint",
    }
    assert not asked & forbidden


# --- Sizes ----------------------------------------------------------------------------------------


def lines_max(path: Path) -> int:
    folder = short(path).partition("/")[0]
    return {"cogs": COG_LINES_MAX, "tests": TEST_LINES_MAX}.get(folder, FILE_LINES_MAX)


@pytest.mark.parametrize("path", EVERYTHING, ids=short)
def test_files_are_short_or_have_a_reason(path: Path) -> None:
    """A long file is a smell, not a crime: the list above says why it stays whole."""
    lines = len(path.read_text().splitlines())
    assert lines <= lines_max(path) or short(path) in LONGER_FILES


def test_every_excuse_is_for_a_file_that_exists() -> None:
    """A file that was split or moved takes its excuse along."""
    assert set(LONGER_FILES) <= set(map(short, EVERYTHING))


@pytest.mark.parametrize("path", EVERYTHING, ids=short)
def test_functions_fit_on_a_screen(path: Path) -> None:
    """What does not fit on a screen hides its flow."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


# --- Suppressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERYTHING, ids=short)
def test_every_suppression_has_its_reason(path: Path) -> None:
    """`# noqa: X - why`, `# type: ignore[x]  # why`: nobody should have to guess."""
    bare = [
        f"{short(path)}:{number}"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"# noqa(: [A-Z0-9, ]+)?$|# type: ignore(\[[\w, -]+\])?$", line.rstrip())
    ]
    assert not bare


def test_every_ignored_rule_of_the_linter_has_its_reason() -> None:
    """In `pyproject.toml`, beside or right above the rule."""
    text = (ROOT / "pyproject.toml").read_text()
    rules = tomllib.loads(text)["tool"]["ruff"]["lint"]["ignore"]
    lines = [line.strip() for line in text.splitlines()]
    for rule in rules:
        line = next(line for line in lines if line.startswith(f'"{rule}",'))
        assert re.search(r"#\s*\S", line), rule
