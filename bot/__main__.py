"""`python -m bot run | check | migrate | audit | health`.

Exit codes (sysexits.h): 0 done, 1 unsound books, 69 Discord unreachable, 74 database, 75 already
running, 78 settings. Whatever the operator must mend is printed as plain lines, all at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import urllib.request
from collections.abc import Callable, Coroutine
from contextlib import suppress
from decimal import Decimal
from typing import Any
from urllib.error import URLError

from bot import app, log, settings
from bot.assembly import AIVIDEO
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loader import load as load_catalogue
from bot.discordio.account import bot_name
from bot.errors import (
    CatalogueInvalid,
    DiscordRefused,
    DiscordUnreachable,
    InvalidApiKey,
    Problem,
    ProviderError,
    SettingsInvalid,
)
from bot.limits import HEALTH_TIMEOUT_S
from bot.providers.http import ProviderHttp, make_session
from bot.providers.registry import ChatProviders
from bot.settings import Settings
from bot.text import console
from storage import ledger, readonly
from storage.database import Database, sqlite_path
from storage.errors import StoreCorrupt, StoreInUse, StoreUnavailable
from storage.readonly import OlderSchema

EXIT_UNSOUND = 1
EXIT_UNAVAILABLE = 69
EXIT_IO = 74
EXIT_ALREADY_RUNNING = 75
EXIT_CONFIG = 78

_ONLINE_HELP = "ask Discord for the bot's name and the provider for the balance, too"

_FAILURES: tuple[tuple[type[Exception], int, Callable[[Any], str]], ...] = (
    (SettingsInvalid, EXIT_CONFIG, lambda error: console.settings_problems(error.problems)),
    (CatalogueInvalid, EXIT_CONFIG, lambda error: console.settings_problems(error.problems)),
    (DiscordRefused, EXIT_CONFIG, console.discord_refused),
    (DiscordUnreachable, EXIT_UNAVAILABLE, console.discord_unreachable),
    (StoreCorrupt, EXIT_IO, console.store_corrupt),
    (StoreUnavailable, EXIT_IO, console.store_unavailable),
    (StoreInUse, EXIT_ALREADY_RUNNING, console.store_in_use),
    (OlderSchema, EXIT_IO, lambda error: console.older_schema(str(error.path))),
)
"""What each failure means for the shell and in words; anything else is a bug and shows itself."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bot", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    for name, (_function, help_text) in VERBS.items():
        verb = verbs.add_parser(name, help=help_text)
        if name == "check":
            verb.add_argument("--online", action="store_true", help=_ONLINE_HELP)
    chosen = vars(parser.parse_args(arguments))
    function, _help = VERBS[chosen.pop("verb")]
    try:
        return function(**chosen)
    except tuple(failure for failure, _code, _words in _FAILURES) as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    for failure, code, words in _FAILURES:
        if isinstance(error, failure):
            print(words(error), file=sys.stderr)  # noqa: T201 - the terminal is the interface.
            return code
    raise error


# --- Verbs -------------------------------------------------------------------------------------


def _run() -> int:
    chosen, catalogue = _read_everything()
    _configure_log(chosen)
    asyncio.run(app.run(chosen, catalogue))
    return 0


def _check(*, online: bool) -> int:
    """Say what `run` would do; the network is asked on request only, and nothing is changed."""
    chosen, catalogue = _read_everything()
    _configure_log(chosen, quiet=True)
    path = sqlite_path(chosen.database_url)
    # One that was there and is missing is a problem to report, one that never was is not.
    if readonly.ever_made(chosen.database_url):
        with suppress(OlderSchema):  # `run` brings it to this version's
            readonly.view(chosen.database_url, readonly.sound)
    code = _ask_outside(chosen) if online else 0
    readonly.assert_free(chosen.database_url)
    _say(
        console.check_report(
            api_url=chosen.discord_api_url,
            provider_url=chosen.aivideo_base_url,
            database=str(path),
            catalogue=catalogue,
            allowance_ucr=chosen.allowance.amount_ucr,
            budget=chosen.budget,
        )
    )
    return code


def _migrate() -> int:
    """Opening the database brings it to this version's schema."""
    chosen = settings.load(needs_keys=False)
    _configure_log(chosen, quiet=True)
    asyncio.run(_with_database(chosen, lambda database: database.read(ledger.audit)))
    _say(console.migrated(str(sqlite_path(chosen.database_url))))
    return 0


def _audit() -> int:
    """Look at the books as they stand, also beside the bot that keeps them."""
    chosen = settings.load(needs_keys=False)
    _configure_log(chosen, quiet=True)
    if not readonly.ever_made(chosen.database_url):
        path = sqlite_path(chosen.database_url)
        print(console.store_missing(str(path)), file=sys.stderr)  # noqa: T201 - as above.
        return EXIT_IO
    broken = readonly.view(chosen.database_url, ledger.audit)
    _say(console.audit_report(broken))
    return EXIT_UNSOUND if broken else 0


def _health() -> int:
    """Ask the running process whether it answers: the container's health check."""
    chosen = settings.load(needs_keys=False)
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(chosen.web_host, chosen.web_host)
    url = f"http://{host}:{chosen.web_port}/healthz"
    # No proxy from the environment stands between us and ourselves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=HEALTH_TIMEOUT_S) as answer:
            return 0 if answer.status == 200 else EXIT_UNAVAILABLE
    except (URLError, OSError):
        return EXIT_UNAVAILABLE


VERBS: dict[str, tuple[Callable[..., int], str]] = {
    "run": (_run, "be in Discord until stopped"),
    "check": (_check, "read settings, catalogue and database, and say what run would do"),
    "migrate": (_migrate, "bring the database to this version's schema"),
    "audit": (
        _audit,
        "check the books, also while the bot runs; exit code 1 if unsound",
    ),
    "health": (_health, "ask the running bot whether it is alive"),
}


# --- Their parts ---------------------------------------------------------------------------------


def _read_everything() -> tuple[Settings, Catalogue]:
    """Settings and catalogue; raises `SettingsInvalid` with the problems of both."""
    problems: list[Problem] = []
    chosen: Settings | None = None
    try:
        chosen = settings.load(needs_keys=True)
        path = chosen.catalogue
    except SettingsInvalid as error:
        problems += error.problems
        path = settings.catalogue_path()
    catalogue: Catalogue | None = None
    if not any(problem["where"] == "CATALOGUE" for problem in problems):
        try:
            catalogue = load_catalogue(path)
        except CatalogueInvalid as error:
            where = str(path or "models.toml")
            problems += [
                Problem(where=f"{where}: {problem['where']}", what=problem["what"])
                for problem in error.problems
            ]
    if problems or chosen is None or catalogue is None:
        raise SettingsInvalid(problems=problems)
    return chosen, catalogue


def _ask_outside(chosen: Settings) -> int:
    """Print what Discord and the provider say of the keys; the exit code that it means."""
    discord, provider = asyncio.run(_answers(chosen))
    _say(console.online_report(discord=discord, provider=provider))
    if isinstance(discord, DiscordRefused) or isinstance(provider, InvalidApiKey):
        return EXIT_CONFIG
    if isinstance(discord, str) and isinstance(provider, Decimal):
        return 0
    return EXIT_UNAVAILABLE


async def _answers(
    chosen: Settings,
) -> tuple[str | DiscordRefused | DiscordUnreachable, Decimal | ProviderError]:
    """Ask both at once; neither failure hides the other."""
    return await asyncio.gather(_bot_name(chosen), _balance(chosen))


async def _bot_name(chosen: Settings) -> str | DiscordRefused | DiscordUnreachable:
    assert chosen.discord_token is not None
    try:
        return await bot_name(
            api_url=chosen.discord_api_url, token=chosen.discord_token.get_secret_value()
        )
    except (DiscordRefused, DiscordUnreachable) as error:
        return error


async def _balance(chosen: Settings) -> Decimal | ProviderError:
    assert chosen.aivideo_api_key is not None
    async with make_session() as session:
        http = ProviderHttp(
            session,
            provider=AIVIDEO,
            base_url=chosen.aivideo_base_url,
            api_key=chosen.aivideo_api_key.get_secret_value(),
        )
        try:
            return (await ChatProviders(http).balance()).balance
        except ProviderError as error:
            return error


def _configure_log(chosen: Settings, *, quiet: bool = False) -> None:
    log.configure(
        level="warning" if quiet else chosen.log_level,
        log_format=chosen.log_format,
        secrets=chosen.secrets,
    )


async def _with_database(
    chosen: Settings,
    work: Callable[[Database], Coroutine[Any, Any, tuple[str, ...]]],
) -> tuple[str, ...]:
    database = await Database.open(chosen.database_url)
    if database.misses_log:
        told = console.log_missing(str(sqlite_path(chosen.database_url)))
        print(told, file=sys.stderr)  # noqa: T201 - as above.
    try:
        return await work(database)
    finally:
        await database.close()


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the terminal is the interface of these verbs.


if __name__ == "__main__":
    sys.exit(main())
