"""Settings: what is accepted, what is refused and in which words, and that no secret shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Problem, SettingsInvalid
from bot.settings import DEMO_KEY, Settings, catalogue_path, load
from storage.types import UCR_PER_CREDIT, Budget, Span

TOKEN = "MTA1.Gb3xYz.canary-token-of-the-bot-0123456789"
KEY = "sk-canary0123456789abcdef"
GOOD = {"DISCORD_TOKEN": TOKEN, "AIVIDEO_API_KEY": KEY}
NOWHERE = Path("/nonexistent/.env")


def read(env_file: Path = NOWHERE, /, **environ: str) -> Settings:
    return load(needs_keys=True, environ={**GOOD, **environ}, env_file=env_file)


def problems(env_file: Path = NOWHERE, /, **environ: str) -> dict[str, str]:
    """Where → what, for settings that must be refused."""
    with pytest.raises(SettingsInvalid) as caught:
        read(env_file, **environ)
    return {problem["where"]: problem["what"] for problem in caught.value.problems}


def test_the_defaults_are_those_of_the_table() -> None:
    """product.md; with the two keys nothing else is needed."""
    settings = read()
    assert settings.discord_api_url == "https://discord.com/api/v10"
    assert settings.aivideo_base_url == "https://api.aivideoapi.ai/v1"
    assert (settings.web_host, settings.web_port) == ("127.0.0.1", 8080)
    assert settings.database_url == "sqlite+aiosqlite:///data/atelier.db"
    assert settings.allowance.amount_ucr == 20 * UCR_PER_CREDIT
    assert settings.message_content is False
    assert (settings.log_level, settings.log_format) == ("info", "auto")
    for name in ("video_api_key", "video_base_url", "public_url", "callback_secret", "catalogue"):
        assert getattr(settings, name) is None


def test_both_keys_are_missed_at_once() -> None:
    """Blank is the same as not given."""
    assert set(problems(DISCORD_TOKEN="", AIVIDEO_API_KEY="  ")) == {
        "DISCORD_TOKEN",
        "AIVIDEO_API_KEY",
    }


def test_reading_the_books_needs_no_keys() -> None:
    """`migrate` and `audit` run without them."""
    assert load(needs_keys=False, environ={}, env_file=NOWHERE).discord_token is None


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    """F-125: the operator mends everything in one go."""
    found = problems(
        DISCORD_TOKEN="changeme",
        AIVIDEO_API_KEY="abcdefghijklmnopqrst",
        AIVIDEO_BASE_URL="ftp://x",
        VIDEO_API_KEY="sk-0123456789abcdef",
        PUBLIC_URL="http://example.org",
        WEB_PORT="99999",
        CALLBACK_SECRET_FILE=str(tmp_path / "none"),
        DATABASE_URL="sqlite:///x",
        CATALOGUE=str(tmp_path / "none.toml"),
        DAILY_ALLOWANCE="-1",
        DAILY_BUDGET="much",
        MONTHLY_BUDGET="1e6",
        MESSAGE_CONTENT="maybe",
        LOG_LEVEL="loud",
        LOG_FORMAT="xml",
        ALLOWED_PRIVATE_HOSTS="http://127.0.0.1",
        DISCORD_API_URL="discord",
    )
    assert set(found) == {
        "DISCORD_TOKEN",
        "AIVIDEO_API_KEY",
        "AIVIDEO_BASE_URL",
        "VIDEO_BASE_URL",
        "PUBLIC_URL",
        "WEB_PORT",
        "CALLBACK_SECRET_FILE",
        "DATABASE_URL",
        "CATALOGUE",
        "DAILY_ALLOWANCE",
        "DAILY_BUDGET",
        "MONTHLY_BUDGET",
        "MESSAGE_CONTENT",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "ALLOWED_PRIVATE_HOSTS",
        "DISCORD_API_URL",
    }


@pytest.mark.parametrize(
    "value",
    [
        "changeme",
        "CHANGE_ME",
        "change-me-please",
        "your-token-here",
        "your_bot_token",
        "<token>",
        "${DISCORD_TOKEN}",
        "xxxxxxxxxxxxxxxxxxxxxxxx",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "placeholder-placeholder",
        "token",
        "short",
        "Bot " + TOKEN,
        f'"{TOKEN}"',
        f"'{TOKEN}'",
        TOKEN.replace(".", " "),
        TOKEN + "\u200b",
        TOKEN + "é",
    ],
)
def test_a_token_that_cannot_be_real_is_refused(value: str) -> None:
    """C-4: placeholders, quotes, spaces, words in front, invisible characters, too short."""
    found = problems(DISCORD_TOKEN=value)
    assert set(found) == {"DISCORD_TOKEN"}
    assert value not in found["DISCORD_TOKEN"] or len(value) < 6


@pytest.mark.parametrize("value", ["sk-xxxx", "sk-...", "sk-short", "pk-0123456789abcdef", KEY[3:]])
def test_a_provider_key_must_look_like_one(value: str) -> None:
    """401 means malformed as often as wrong (providers.md 1.3): it is caught before."""
    assert set(problems(AIVIDEO_API_KEY=value)) == {"AIVIDEO_API_KEY"}


@pytest.mark.parametrize(
    ("value", "amount_ucr"),
    [
        ("0", 0),
        ("20", 20_000_000),
        ("0.5", 500_000),
        ("0.000001", 1),
        ("19.999999", 19_999_999),
        (" 7 ", 7_000_000),
        ("1000000", 1_000_000_000_000),
    ],
)
def test_an_allowance_is_exact(value: str, amount_ucr: int) -> None:
    """Whole or decimal credits become whole micro-credits."""
    assert read(DAILY_ALLOWANCE=value).allowance.amount_ucr == amount_ucr


@pytest.mark.parametrize(
    "value",
    ["-1", "1e3", "NaN", "inf", "0.0000001", "1000001", "١٢", "1_000", "1,5", "0x10", "+5", ".5"],
)
def test_an_odd_allowance_is_refused(value: str) -> None:
    """Only plain digits: what Python would also take surprises people."""
    assert set(problems(DAILY_ALLOWANCE=value)) == {"DAILY_ALLOWANCE"}


def test_without_a_word_there_is_no_budget() -> None:
    """Each ceiling by itself; nothing, blank and 0 are none."""
    none = Budget(day_ucr=None, month_ucr=None, timezone="UTC")
    assert read().budget == none
    assert read(DAILY_BUDGET="0", MONTHLY_BUDGET=" ").budget == none
    assert read(DAILY_BUDGET="0.00").budget == none
    assert read(DAILY_BUDGET="12.5").budget.ceilings() == {Span.DAY: 12_500_000}
    assert read(MONTHLY_BUDGET="1000000000").budget.ceilings() == {Span.MONTH: 10**15}


@pytest.mark.parametrize("value", ["-1", "1e3", "NaN", "1000000001", "99999999999", "1_000", "1,5"])
@pytest.mark.parametrize("name", ["DAILY_BUDGET", "MONTHLY_BUDGET"])
def test_an_odd_budget_is_refused(name: str, value: str) -> None:
    """A ceiling that was misread would be none."""
    assert set(problems(**{name: value})) == {name}


def test_a_day_may_not_promise_more_than_the_month() -> None:
    """F-125: limits that overlap; the larger one would never be reached, and look as if it were."""
    found = problems(DAILY_BUDGET="100", MONTHLY_BUDGET="10", WEB_PORT="99999")
    assert set(found) == {"MONTHLY_BUDGET", "WEB_PORT"}
    assert "DAILY_BUDGET" in found["MONTHLY_BUDGET"]
    assert set(problems(DAILY_BUDGET="0.000002", MONTHLY_BUDGET="0.000001")) == {"MONTHLY_BUDGET"}
    for monthly in ("", "0", "100", "100.000001"):
        assert read(DAILY_BUDGET="100", MONTHLY_BUDGET=monthly).daily_budget == 100_000_000
    assert read(DAILY_BUDGET="0", MONTHLY_BUDGET="10").daily_budget is None
    assert set(problems(DAILY_BUDGET="much", MONTHLY_BUDGET="10")) == {"DAILY_BUDGET"}


@given(st.integers(0, 1_000_000 * UCR_PER_CREDIT))
def test_every_amount_survives_being_written(amount_ucr: int) -> None:
    """No float on the way."""
    whole, rest = divmod(amount_ucr, UCR_PER_CREDIT)
    assert read(DAILY_ALLOWANCE=f"{whole}.{rest:06}").daily_allowance == amount_ucr


@pytest.mark.parametrize(
    "value",
    [
        "sqlite:///data/x.db",
        "sqlite+pysqlite:///x.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "postgresql://localhost/x",
        "postgresql+asyncpg://u:p@localhost/x",
        "mysql://x",
        "data/atelier.db",
        "sqlite+aiosqlite:////dev/null/x.db",
        "sqlite+aiosqlite:////etc",
    ],
)
def test_a_database_that_cannot_work_is_refused(value: str) -> None:
    """The driver must be named, the file must have a place."""
    assert set(problems(DATABASE_URL=value)) == {"DATABASE_URL"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite+aiosqlite:////tmp/{long}"),
        ("DATABASE_URL", "sqlite+aiosqlite:////tmp/{long}/a/atelier.db"),
        ("CATALOGUE", "/tmp/{long}"),
        ("DISCORD_TOKEN_FILE", "/tmp/{long}"),
    ],
)
def test_a_path_that_cannot_be_looked_at_is_a_problem_like_any_other(name: str, value: str) -> None:
    """F-125: no permission on the way, a disk in trouble, or as here a name beyond its bound."""
    token = "" if name == "DISCORD_TOKEN_FILE" else TOKEN
    path = value.format(long="x" * 300)
    found = problems(DISCORD_TOKEN=token, LOG_LEVEL="loud", **{name: path})
    assert set(found) == {name, "LOG_LEVEL"}
    assert "File name too long" in found[name]


def test_a_database_in_a_folder_to_be_made_is_fine(tmp_path: Path) -> None:
    """The folder appears with the database."""
    url = f"sqlite+aiosqlite:///{tmp_path}/a/b/atelier.db"
    assert read(DATABASE_URL=url).database_url == url


@pytest.mark.parametrize(
    "value",
    [
        "ftp://x/v1",
        "//x/v1",
        "x",
        "https://",
        "https://u:p@x/",
        "https://x/?a=1",
        "https://x:99999",
    ],
)
@pytest.mark.parametrize("name", ["DISCORD_API_URL", "AIVIDEO_BASE_URL", "PUBLIC_URL"])
def test_an_address_must_be_one(name: str, value: str) -> None:
    """A web address, a host, and nothing that could hide a secret."""
    assert set(problems(**{name: value})) == {name}


def test_a_slash_at_the_end_does_not_matter() -> None:
    """`…/v1/` and `…/v1` are one address."""
    assert read(AIVIDEO_BASE_URL="https://x.example/v1/").aivideo_base_url == "https://x.example/v1"


@pytest.mark.parametrize(
    "value",
    [
        "http://bot.example.org",
        "https://localhost",
        "https://127.0.0.1",
        "https://10.1.2.3",
        "https://[::1]",
        "https://192.168.0.9:8443",
        "https://box.local",
    ],
)
def test_callbacks_need_a_public_address(value: str) -> None:
    """F-125: the provider must be able to reach it, and nobody to read along."""
    assert set(problems(PUBLIC_URL=value)) == {"PUBLIC_URL"}


def test_a_private_address_can_be_allowed() -> None:
    """The sandbox lives on loopback."""
    settings = read(
        PUBLIC_URL="http://127.0.0.1:8080", ALLOWED_PRIVATE_HOSTS="127.0.0.1, LOCALHOST"
    )
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.allowed_private_hosts == ("127.0.0.1", "localhost")


def test_the_video_gateway_needs_both_its_settings() -> None:
    """One without the other is a mistake, none of both is fine."""
    assert set(problems(VIDEO_API_KEY=KEY)) == {"VIDEO_BASE_URL"}
    assert set(problems(VIDEO_BASE_URL="https://x/v1")) == {"VIDEO_BASE_URL"}
    assert read(VIDEO_API_KEY=KEY, VIDEO_BASE_URL="https://x/v1").video_base_url == "https://x/v1"


@pytest.mark.parametrize(
    ("value", "is_good"),
    [
        ("0123456789abcdefghijklmnopqrstuv", True),
        ("0123456789abcdefghijklmnopqrstuv,ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", True),
        ("0123456789abcdef", False),
        ("0123456789abcdefghijklmnopqrstuv,short", False),
        (",".join(["0123456789abcdefghijklmnopqrstuv"] * 3), False),
    ],
)
def test_callback_secrets_are_one_or_two_long_ones(value: str, *, is_good: bool) -> None:
    """C-5: two while rotating."""
    if is_good:
        assert read(CALLBACK_SECRET=value).secrets[2:] == tuple(value.split(","))
    else:
        assert set(problems(CALLBACK_SECRET=value)) == {"CALLBACK_SECRET"}


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("true", True), ("1", True), ("YES", True), ("off", False), ("0", False), ("No", False)],
)
def test_a_switch_has_plain_words(value: str, *, meaning: bool) -> None:
    """On and off as people write them."""
    assert read(MESSAGE_CONTENT=value).message_content is meaning


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    """`NAME_FILE`, with or without a newline at its end."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}x\n")
    settings = load(
        needs_keys=True,
        environ={"DISCORD_TOKEN_FILE": str(file), "AIVIDEO_API_KEY": KEY},
        env_file=NOWHERE,
    )
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == f"{TOKEN}x"


def test_a_secret_file_that_is_no_use_is_named(tmp_path: Path) -> None:
    """Missing, empty, binary, huge: one problem each, and not also *missing*."""
    empty, binary, huge = (tmp_path / name for name in ("empty", "binary", "huge"))
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe\x00")
    huge.write_text("x" * 70_000)
    for path in (tmp_path / "none", empty, binary, huge, tmp_path):
        found = problems(DISCORD_TOKEN="", DISCORD_TOKEN_FILE=str(path))
        assert set(found) == {"DISCORD_TOKEN_FILE"}
        assert str(path) in found["DISCORD_TOKEN_FILE"]


def test_a_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    """Nobody could say which one counts."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    assert set(problems(DISCORD_TOKEN_FILE=str(file))) == {"DISCORD_TOKEN"}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """`.env` is the default, comments, quotes and dollar signs included."""
    env_file = tmp_path / ".env"
    env_file.write_text(
        f"# mine\nDISCORD_TOKEN='{TOKEN}$x'\nexport DAILY_ALLOWANCE=5\nLOG_LEVEL=\nUNKNOWN=1\n"
    )
    environ = {"AIVIDEO_API_KEY": KEY, "DAILY_ALLOWANCE": "7"}
    settings = load(needs_keys=True, environ=environ, env_file=env_file)
    assert settings.daily_allowance == 7 * UCR_PER_CREDIT
    assert settings.log_level == "info"
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == f"{TOKEN}$x"


def test_a_blank_environment_variable_does_not_hide_the_file(tmp_path: Path) -> None:
    """Containers get `NAME=` for what it does not know."""
    env_file = tmp_path / ".env"
    env_file.write_text("DAILY_ALLOWANCE=5\n")
    assert read(env_file, DAILY_ALLOWANCE=" ").daily_allowance == 5 * UCR_PER_CREDIT


def test_an_unreadable_env_file_is_a_problem(tmp_path: Path) -> None:
    """Not UTF-8: said, not guessed."""
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"DISCORD_TOKEN=\xff\xfe\n")
    assert str(env_file) in problems(env_file)


def test_no_secret_shows() -> None:
    """C-1: not in repr, not in str, not in a dump."""
    settings = read(CALLBACK_SECRET="canary-of-the-callback-0123456789")
    for shown in (repr(settings), str(settings), repr(settings.model_dump())):
        assert "canary" not in shown
    assert set(settings.secrets) == {TOKEN, KEY, "canary-of-the-callback-0123456789"}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=60))
def test_no_problem_repeats_a_value(value: str) -> None:
    """Whatever was pasted into the wrong place is not printed."""
    canary = f"canary {value}"
    with pytest.raises(SettingsInvalid) as caught:
        read(DISCORD_TOKEN=canary, AIVIDEO_API_KEY=canary, CALLBACK_SECRET=canary)
    assert "canary" not in repr(caught.value.problems)
    assert caught.value.__cause__ is None


NAMES = sorted(name.upper() for name in Settings.model_fields)
ANYTHING = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
ALMOST = st.sampled_from(
    [
        "https://[",
        "sk-",
        "sqlite+aiosqlite:////",
        "nan",
        "1e9",
        "-0",
        "１２",
        "0x10",
        "true\u200b",
        ",",
    ]
)


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING | ALMOST, min_size=1))
def test_any_settings_at_all_are_taken_or_named(environ: dict[str, str]) -> None:
    """F-125: never another error, and never a problem of what was not given."""
    found: list[Problem] = []
    try:
        read(**environ)
    except SettingsInvalid as error:
        found = error.problems
    given_too = {"VIDEO_BASE_URL"} if "VIDEO_API_KEY" in environ else set()
    assert {problem["where"] for problem in found} <= set(environ) | given_too


@pytest.mark.parametrize("discord", ["https://discord.com/api/v10", "http://127.0.0.1:9000/api"])
@pytest.mark.parametrize("provider", ["https://api.aivideoapi.ai/v1", "http://127.0.0.1:8701/v1"])
def test_a_demo_is_known_by_its_key_and_not_by_addresses(discord: str, provider: str) -> None:
    """A proxy on this machine may lead to the real provider, or to the real Discord."""
    for key, is_demo in ((DEMO_KEY, True), (KEY, False)):
        settings = read(DISCORD_API_URL=discord, AIVIDEO_BASE_URL=provider, AIVIDEO_API_KEY=key)
        assert settings.is_demo is is_demo


def test_settings_without_a_key_are_no_demo() -> None:
    """`audit` and `migrate` need none."""
    assert not load(needs_keys=False, environ={}, env_file=NOWHERE).is_demo


def test_the_catalogue_is_found_even_when_the_rest_is_wrong(tmp_path: Path) -> None:
    """So that its mistakes can be reported together with the others."""
    env_file = tmp_path / ".env"
    env_file.write_text("CATALOGUE=mine.toml\n")
    assert catalogue_path(environ={}, env_file=env_file) == Path("mine.toml")
    assert catalogue_path(environ={}, env_file=NOWHERE) is None
