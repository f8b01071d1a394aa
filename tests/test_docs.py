"""The documentation is tested against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.__main__ import VERBS
from bot.discordio.client import EXTENSIONS
from bot.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
NAMES = [field.upper() for field in Settings.model_fields]


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_stands_in_the_readme_and_in_the_example(name: str) -> None:
    """A setting nobody can find does not exist."""
    assert f"`{name}`" in README
    assert re.search(rf"^#?{name}=", ENV_EXAMPLE, re.MULTILINE)


def test_nothing_else_is_documented_as_a_setting() -> None:
    """A name in `.env.example` that nothing reads would mislead."""
    documented = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE))
    assert documented == set(NAMES)


def test_defaults_in_the_readme_are_those_of_the_code() -> None:
    """The table cannot drift."""
    for field in ("discord_api_url", "aivideo_base_url", "database_url", "web_host", "log_format"):
        assert f"`{Settings.model_fields[field].default}`" in README


@pytest.mark.parametrize("verb", sorted({*VERBS, "--online"} - {"run"}))
def test_every_verb_is_in_the_readme(verb: str) -> None:
    """What `python -m bot` can do."""
    assert re.search(rf"`(python -m bot )?{verb}`|-m bot {verb}", README)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_cog_is_in_the_readme(extension: str) -> None:
    """Each file of cogs is one feature that a member can read about."""
    name = extension.removeprefix("cogs.")
    assert f"`/{name}" in README


def test_every_path_in_the_architecture_page_exists() -> None:
    """The map shows only what is there."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:bot|cogs|storage|sandbox|tests|docs)/[\w./-]+)`", page)
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path


def test_links_of_the_readme_lead_somewhere() -> None:
    """Relative links and pictures exist."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_two_commands_and_the_gate_are_what_the_readme_says() -> None:
    """`make run` and `make test` are targets, and CI runs the gate."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("run", "test", "check", "format", "lock", "install"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make check" in gate
    assert "make test" in gate
