"""The image and its compose file, as far as they can be judged without Docker."""

from __future__ import annotations

import re
from pathlib import Path

from bot.settings import Settings
from storage.database import sqlite_path

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def environment() -> dict[str, str]:
    """The block `environment:` of the service, which wins over its `env_file`."""
    block = re.search(r"^    environment:\n((?:      .*\n)+)", COMPOSE, re.MULTILINE)
    assert block is not None
    pairs = re.findall(r'^      ([A-Z_]+): "?([^"#\s]+)"?', block[1], re.MULTILINE)
    return dict(pairs)


def test_what_the_env_file_says_of_paths_and_listeners_does_not_reach_the_container() -> None:
    """The root is read-only: a DATABASE_URL for this machine would fail, and so would health."""
    inside = environment()
    assert {name.lower() for name in inside} <= set(Settings.model_fields)
    assert sqlite_path(inside["DATABASE_URL"]).is_relative_to("/data")
    assert '"data:/data"' in COMPOSE
    assert f"DATABASE_URL={inside['DATABASE_URL']}\n" in DOCKERFILE
    assert inside["WEB_HOST"] == "0.0.0.0"
    assert inside["WEB_PORT"] == str(Settings.model_fields["web_port"].default)


def test_a_mistake_in_the_settings_does_not_restart_for_ever() -> None:
    """F-82: exit code 78 needs the operator, not another try."""
    restart = re.findall(r"^    restart: (.*)$", COMPOSE, re.MULTILINE)
    assert len(restart) == 1
    assert re.fullmatch(r"on-failure:[1-9]", restart[0])


def test_the_readme_says_what_the_container_needs() -> None:
    """There is no demo in the image: the simulated provider is not copied."""
    line = re.search(r"\*\*As a container\*\*(.*?)\n\n", README, re.DOTALL)
    assert line is not None
    for name in ("DISCORD_TOKEN", "AIVIDEO_API_KEY"):
        assert f"`{name}`" in line[1]
    assert "COPY sandbox" not in DOCKERFILE
