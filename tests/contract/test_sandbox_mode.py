"""How `make run` chooses, and what each way gives the bot."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import DEMO_KEY, load
from sandbox import mode
from sandbox.mode import (
    EnvFileUnreadable,
    Mode,
    choose,
    demo_environment,
    given_settings,
    sandbox_environment,
)

PROVIDER = "http://127.0.0.1:8701"
ROOT = Path("/project")


@pytest.mark.parametrize(
    ("names", "mode"),
    [
        ([], Mode.SANDBOX),
        (["AIVIDEO_API_KEY"], Mode.SANDBOX),
        (["DISCORD_TOKEN"], Mode.DEMO),
        (["DISCORD_TOKEN_FILE"], Mode.DEMO),
        (["DISCORD_TOKEN", "AIVIDEO_API_KEY"], Mode.REAL),
        (["DISCORD_TOKEN_FILE", "AIVIDEO_API_KEY_FILE"], Mode.REAL),
        (["DISCORD_TOKEN", "VIDEO_API_KEY"], Mode.DEMO),
    ],
)
def test_token_and_key_choose_the_mode(names: list[str], mode: Mode) -> None:
    """Both: real. The token alone: demo. Anything else: sandbox."""
    assert choose(dict.fromkeys(names, "x")) is mode


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """As the bot reads them: blank is unset, and a dollar sign is no variable."""
    env_file = tmp_path / ".env"
    env_file.write_text("DISCORD_TOKEN=of-file$HOME\nAIVIDEO_API_KEY=\nLOG_LEVEL= debug \n")
    environ = {"DISCORD_TOKEN": " ", "LOG_LEVEL": "info", "HOME": "/root"}
    given = given_settings(environ, env_file)
    assert given["DISCORD_TOKEN"] == "of-file$HOME"
    assert given["LOG_LEVEL"] == "info"
    assert "AIVIDEO_API_KEY" not in given
    assert choose(given) is Mode.DEMO


def test_no_file_is_no_problem(tmp_path: Path) -> None:
    """Without `.env` there is the environment."""
    assert given_settings({"A": "1"}, tmp_path / ".env") == {"A": "1"}


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    """A token may stand in it: starting the sandbox instead would be a riddle."""
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"DISCORD_TOKEN=\xff\xfe\n")
    with pytest.raises(EnvFileUnreadable):
        given_settings({}, env_file)


def test_nothing_of_a_real_account_reaches_the_sandbox(tmp_path: Path) -> None:
    """Every setting that leads elsewhere is replaced or dropped; what only tunes stays."""
    secret = "operator's own"
    names = (
        "DISCORD_TOKEN",
        "DISCORD_TOKEN_FILE",
        "DISCORD_API_URL",
        "AIVIDEO_API_KEY",
        "AIVIDEO_API_KEY_FILE",
        "AIVIDEO_BASE_URL",
        "VIDEO_API_KEY",
        "VIDEO_BASE_URL",
        "CALLBACK_SECRET",
        "PUBLIC_URL",
        "WEB_HOST",
        "WEB_PORT",
        "ALLOWED_PRIVATE_HOSTS",
        "DATABASE_URL",
    )
    environment = sandbox_environment(
        {**dict.fromkeys(names, secret), "PATH": "/bin", "DAILY_ALLOWANCE": "5"},
        root=ROOT,
        token="token",
        api_url="http://127.0.0.1:8700/api/v10",
        provider_url=PROVIDER,
        data=tmp_path,
    )
    assert secret not in environment.values()
    assert environment["DISCORD_TOKEN"] == "token"
    assert environment["DISCORD_API_URL"] == "http://127.0.0.1:8700/api/v10"
    assert environment["AIVIDEO_BASE_URL"] == f"{PROVIDER}/v1"
    assert environment["AIVIDEO_API_KEY"].startswith("sk-")
    assert environment["ALLOWED_PRIVATE_HOSTS"] == "127.0.0.1"
    assert environment["DATABASE_URL"] == f"sqlite+aiosqlite:///{tmp_path}/sandbox.db"
    assert (environment["PATH"], environment["DAILY_ALLOWANCE"]) == ("/bin", "5")
    assert environment["LOG_FORMAT"] == "auto"


def test_paths_survive_the_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot starts elsewhere, so the packages and a relative catalogue are made findable."""
    monkeypatch.chdir(tmp_path)
    environment = sandbox_environment(
        {"CATALOGUE": "mine.toml", "PYTHONPATH": "/other", "LOG_FORMAT": "json"},
        root=ROOT,
        token="token",
        api_url="http://127.0.0.1:1",
        provider_url=PROVIDER,
        data=Path("data"),
    )
    assert environment["CATALOGUE"] == str(tmp_path / "mine.toml")
    assert environment["PYTHONPATH"] == "/project:/other"
    assert environment["DATABASE_URL"].endswith(f"{tmp_path}/data/sandbox.db")
    assert environment["LOG_FORMAT"] == "json"


def test_a_demo_keeps_the_operators_settings() -> None:
    """Except for the provider, and for books of its own unless a database is named."""
    environ = {"DISCORD_TOKEN": "real", "AIVIDEO_BASE_URL": "https://api.example.com"}
    environment = demo_environment(environ, environ, root=ROOT, provider_url=PROVIDER)
    assert environment["DISCORD_TOKEN"] == "real"
    assert environment["AIVIDEO_BASE_URL"] == f"{PROVIDER}/v1"
    assert environment["DATABASE_URL"] == "sqlite+aiosqlite:///data/demo.db"
    assert "DISCORD_API_URL" not in environment
    given = {"DATABASE_URL": "sqlite+aiosqlite:///mine.db", "ALLOWED_PRIVATE_HOSTS": "10.0.0.1"}
    environment = demo_environment({}, given, root=ROOT, provider_url=PROVIDER)
    assert "DATABASE_URL" not in environment
    assert environment["ALLOWED_PRIVATE_HOSTS"] == "10.0.0.1,127.0.0.1"


def test_a_demo_is_marked_and_the_sandbox_is_not(tmp_path: Path) -> None:
    """The bot itself says *demo* in the real Discord; in the sandbox the page says all of it."""
    assert mode.DEMO_KEY == DEMO_KEY
    given = {
        "DISCORD_TOKEN": "real-token-of-some-length",
        "DISCORD_API_URL": "http://127.0.0.1:9000/api/v10",
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/demo.db",
    }
    demo = demo_environment(given, given, root=ROOT, provider_url=PROVIDER)
    sandbox = sandbox_environment(
        {},
        root=ROOT,
        token="token-of-some-length",
        api_url="http://127.0.0.1:1",
        provider_url=PROVIDER,
        data=tmp_path,
    )
    for environment, is_demo in ((demo, True), (sandbox, False)):
        settings = load(needs_keys=True, environ=environment, env_file=tmp_path / ".env")
        assert settings.is_demo is is_demo


def test_callbacks_and_the_gateway_are_wired_up(tmp_path: Path) -> None:
    """The bot learns its own address, unless callbacks are switched off; and both keys."""
    options = {"root": ROOT, "provider_url": PROVIDER}
    for callbacks in (True, False):
        environment = sandbox_environment(
            {},
            token="token-of-some-length",
            api_url="http://127.0.0.1:1",
            data=tmp_path,
            web_port=4711,
            callbacks=callbacks,
            **options,  # type: ignore[arg-type] # two arguments that both calls share
        )
        assert environment["WEB_PORT"] == "4711"
        assert environment.get("PUBLIC_URL") == ("http://127.0.0.1:4711" if callbacks else None)
        assert environment["VIDEO_BASE_URL"] == f"{PROVIDER}/openai/v1"
        settings = load(needs_keys=True, environ=environment, env_file=tmp_path / ".env")
        assert settings.public_url == environment.get("PUBLIC_URL")
        assert settings.video_base_url == f"{PROVIDER}/openai/v1"


def test_a_demo_is_called_back_over_loopback(tmp_path: Path) -> None:
    """Whatever the public address is; a gateway of the operator's own stays the real one."""
    given = {
        "DISCORD_TOKEN": "real-token-of-some-length",
        "PUBLIC_URL": "https://bot.example.com",
        "WEB_PORT": "9000",
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/demo.db",
    }
    environment = demo_environment(given, given, root=ROOT, provider_url=PROVIDER)
    assert environment["PUBLIC_URL"] == "http://127.0.0.1:9000"
    assert environment["VIDEO_BASE_URL"] == f"{PROVIDER}/openai/v1"
    assert load(needs_keys=True, environ=environment, env_file=tmp_path / ".env").public_url
    for more in ({"WEB_PORT": "0"}, {"VIDEO_API_KEY": "x", "VIDEO_BASE_URL": "https://a.example"}):
        environment = demo_environment({}, {**given, **more}, root=ROOT, provider_url=PROVIDER)
        missing = "PUBLIC_URL" if "WEB_PORT" in more else "VIDEO_BASE_URL"
        assert missing not in environment
    quiet = demo_environment({}, {}, root=ROOT, provider_url=PROVIDER, callbacks=False)
    assert "PUBLIC_URL" not in quiet
