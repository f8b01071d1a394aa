"""Which of three ways to run: the choice of `make run`, and each way's environment for the bot.

The bot is known by its name and by its settings (product.md, "Settings"); nothing is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

ENV_FILE: Final = Path(".env")
SIMULATED_KEY: Final = "sk-sandbox-simulated-provider"
"""A key of the right form; the simulated provider takes any."""
DEMO_KEY: Final = "sk-demo-simulated-provider"
"""The bot knows this one (`bot/settings.py`) and says *demo* under every answer."""
SIMULATED_VIDEO_KEY: Final = "sk-sandbox-simulated-gateway"
"""The same for the gateway of videos, which has a key of its own."""
LOOPBACK: Final = "127.0.0.1"
WEB_PORT: Final = 8080
"""Where the bot listens unless it is told otherwise."""

LEAKING: Final = (
    "DISCORD_",
    "AIVIDEO_",
    "VIDEO_",
    "CALLBACK_",
    "PUBLIC_URL",
    "WEB_",
    "ALLOWED_PRIVATE_HOSTS",
    "DATABASE_URL",
)
"""Beginnings of the settings that lead to a real account, or to a real installation's data.

What only tunes (allowance, catalogue, log) may be given to the sandbox in the environment.
"""


class Mode(StrEnum):
    REAL = "real"
    """The real Discord and the real provider: this package steps aside."""
    DEMO = "demo"
    """The real Discord; the provider is simulated and every answer says so."""
    SANDBOX = "sandbox"
    """Both are simulated: no account, no key, no cost."""


class EnvFileUnreadable(Exception):
    """`.env` exists and cannot be read; the text says why."""


def given_settings(environ: Mapping[str, str], env_file: Path = ENV_FILE) -> dict[str, str]:
    """Name → value as the bot reads them: the environment wins over `.env`, blank is unset.

    Raises `EnvFileUnreadable`.
    """
    try:
        # As in the bot: a `$` in a token is a dollar sign, not a variable.
        stored = dotenv_values(env_file, interpolate=False) if env_file.is_file() else {}
    except (OSError, ValueError) as error:
        raise EnvFileUnreadable(str(error)) from error
    given = {**stored, **{name: value for name, value in environ.items() if value.strip()}}
    return {name: value.strip() for name, value in given.items() if value and value.strip()}


def choose(given: Mapping[str, str]) -> Mode:
    """Judge by presence alone: whether a token or a key is any good, the bot says itself."""
    if not _has(given, "DISCORD_TOKEN"):
        return Mode.SANDBOX
    return Mode.REAL if _has(given, "AIVIDEO_API_KEY") else Mode.DEMO


def _has(given: Mapping[str, str], name: str) -> bool:
    return name in given or f"{name}_FILE" in given


def sandbox_environment(
    environ: Mapping[str, str],
    *,
    root: Path,
    token: str,
    api_url: str,
    provider_url: str,
    data: Path,
    web_port: int = 0,
    callbacks: bool = True,
) -> dict[str, str]:
    """Everything that the bot needs on loopback, and nothing that leads elsewhere.

    `root` holds the packages; `data` is the folder of the database. The caller sees to it that
    the bot's working directory has no `.env`. Callbacks need a known `web_port`; without them the
    bot has to ask for the state of its tasks.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(LEAKING)}
    if catalogue := kept.get("CATALOGUE", "").strip():
        # The bot starts in another folder.
        kept["CATALOGUE"] = str(Path(catalogue).absolute())
    return {
        **kept,
        **_common(environ, root),
        "DISCORD_TOKEN": token,
        "DISCORD_API_URL": api_url,
        "AIVIDEO_API_KEY": SIMULATED_KEY,
        "AIVIDEO_BASE_URL": f"{provider_url}/v1",
        "ALLOWED_PRIVATE_HOSTS": LOOPBACK,
        "DATABASE_URL": f"sqlite+aiosqlite:///{data.absolute() / 'sandbox.db'}",
        "VIDEO_API_KEY": SIMULATED_VIDEO_KEY,
        "VIDEO_BASE_URL": f"{provider_url}/openai/v1",
        # The listener must not collide with that of a real bot on this machine.
        "WEB_HOST": LOOPBACK,
        "WEB_PORT": str(web_port),
        **({"PUBLIC_URL": f"http://{LOOPBACK}:{web_port}"} if callbacks and web_port else {}),
        "LOG_FORMAT": kept.get("LOG_FORMAT", "").strip() or "auto",
    }


def demo_environment(
    environ: Mapping[str, str],
    given: Mapping[str, str],
    *,
    root: Path,
    provider_url: str,
    callbacks: bool = True,
) -> dict[str, str]:
    """The operator's own settings, except for the provider, and books of their own.

    Callbacks come over loopback, whatever the public address is. A gateway of videos that the
    operator has configured stays the real one.
    """
    hosts = [host for host in given.get("ALLOWED_PRIVATE_HOSTS", "").split(",") if host.strip()]
    environment = {
        **environ,
        **_common(environ, root),
        "AIVIDEO_API_KEY": DEMO_KEY,
        "AIVIDEO_BASE_URL": f"{provider_url}/v1",
        "ALLOWED_PRIVATE_HOSTS": ",".join([*hosts, LOOPBACK]),
    }
    port = given.get("WEB_PORT", str(WEB_PORT))
    if callbacks and port != "0":
        environment["PUBLIC_URL"] = f"http://{LOOPBACK}:{port}"
    if not _has(given, "VIDEO_API_KEY") and "VIDEO_BASE_URL" not in given:
        environment["VIDEO_API_KEY"] = SIMULATED_VIDEO_KEY
        environment["VIDEO_BASE_URL"] = f"{provider_url}/openai/v1"
    if "DATABASE_URL" not in given:
        # Play money must not stand in the books of a later real installation.
        environment["DATABASE_URL"] = "sqlite+aiosqlite:///data/demo.db"
    return environment


def _common(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """The bot is found from any working directory, and its lines come through at once."""
    paths = [str(root), *filter(None, [environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": ":".join(paths), "PYTHONUNBUFFERED": "1"}
