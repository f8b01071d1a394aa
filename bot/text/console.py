"""What the program says on the operator's terminal: plain lines, everything at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePath
from shlex import quote

from bot.catalogue.catalogue import Catalogue
from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    DiscordRefused,
    DiscordUnreachable,
    InsufficientPermissions,
    InvalidApiKey,
    IpNotAllowed,
    Problem,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
)
from bot.text.money import counted, credits_text
from storage.errors import StoreCorrupt, StoreInUse, StoreUnavailable
from storage.types import Budget


def settings_problems(problems: Iterable[Problem]) -> str:
    """One line for each mistake, aligned, and where to mend them."""
    listed = list(problems)
    width = max((len(problem["where"]) for problem in listed), default=0)
    things = "1 thing needs" if len(listed) == 1 else f"{len(listed)} things need"
    return "\n".join(
        [
            f"Atelier cannot start: {things} your attention.",
            *(f"  {problem['where']:<{width}}  {problem['what']}" for problem in listed),
            "Settings come from the environment or the file .env; see .env.example.",
        ]
    )


def store_corrupt(error: StoreCorrupt) -> str:
    """F-113: what is wrong, and the commands that put a backup in its place."""
    if error.cause == "missing":
        return "\n".join(
            [
                f"The database {error.path} was there before and is missing now.",
                "An empty one is not put in its place. To begin anew all the same, remove the file",
                f"{error.path}.exists.",
                *_restore(error.path),
            ]
        )
    if error.cause == "log missing":
        return "\n".join(
            [
                f"The newest changes to the database {error.path} are missing: they were in",
                f"{error.path}-wal, which is gone since the last process died.",
                "Put that file back. If it is lost, you can go on without those changes:",
                f"  rm -f {quote(f'{error.path}-shm')}",
                *_restore(error.path),
            ]
        )
    return "\n".join(
        [
            f"The database {error.path} cannot be used: {error.cause}.",
            "Keep a copy of it for whoever may mend it.",
            *_restore(error.path),
        ]
    )


def _restore(path: str) -> tuple[str, str]:
    backup = quote(str(PurePath(path).with_name("backup.db")))
    log, index = quote(f"{path}-wal"), quote(f"{path}-shm")
    # Nothing is taken away where there is no backup: the newest changes are in the log.
    put_back = f"test -s {backup} && rm -f {log} {index} && cp {backup} {quote(path)}"
    return (
        "To restore your newest backup (see Backup in README.md):",
        f"  {put_back} && python -m bot audit",
    )


def log_missing(path: str) -> str:
    return (
        f"The last process was killed, and {path}-wal is gone since. All is well if a tool such as "
        "sqlite3 opened the database meanwhile, or if you restored a backup. If somebody removed "
        "that file, the newest changes are lost; do not put it back now, it would damage the rest."
    )


def clock_behind(newest_us: int) -> str:
    newest = datetime.fromtimestamp(newest_us // 1_000_000, UTC)
    return (
        "Credits were given or spent while the clock of this machine was far ahead, or it is far "
        "behind now: set it right. Whoever has lived to that time gets no new allowance or budget "
        f"until the clock reaches it again; the latest is {newest:%Y-%m-%d %H:%M} UTC."
    )


def store_missing(path: str) -> str:
    return f"There is no database at {path}."


def older_schema(path: str) -> str:
    return f"The database {path} is of an older version: `run` or `migrate` brings it to this one."


def store_unavailable(error: StoreUnavailable) -> str:
    return f"The database cannot be opened or written: {error.cause}."


def store_in_use(error: StoreInUse) -> str:
    """S-8: one clear line that names the holder."""
    holder = f"process {error.pid}" if error.pid is not None else "another process"
    where = f" on {error.host}" if error.host else ""
    since = ""
    if error.since_us is not None:
        moment = datetime.fromtimestamp(error.since_us // 1_000_000, UTC)
        since = f", since {moment:%Y-%m-%d %H:%M:%S} UTC"
    return f"Atelier is already running on the database {error.path}: {holder}{where}{since}."


def discord_refused(error: DiscordRefused) -> str:
    if error.close_code in {4013, 4014}:
        return (
            "Discord does not give this bot the intents it asks for. Switch on *Message Content* "
            "in the developer portal, page Bot, or set MESSAGE_CONTENT=false."
        )
    if error.close_code in {None, 4004}:
        return "Discord does not accept DISCORD_TOKEN. Make a new one in the developer portal."
    return f"Discord refuses the connection for good (close code {error.close_code})."


def discord_unreachable(error: DiscordUnreachable) -> str:
    return f"Discord could not be reached in {error.attempts} tries. Is the network up?"


def check_report(
    *,
    api_url: str,
    provider_url: str,
    database: str,
    catalogue: Catalogue,
    allowance_ucr: int,
    budget: Budget,
) -> str:
    """What `check` prints when nothing is wrong."""
    ceilings = " and ".join(
        f"at most {counted(ceiling_ucr)} a {span}"
        for span, ceiling_ucr in budget.ceilings().items()
    )
    default = catalogue.chat_models[catalogue.default_chat_model].label
    models = ", ".join(model.label for model in catalogue.chat_models.values())
    return "\n".join(
        [
            "Everything is in order. `run` would",
            f"  connect to   {api_url}",
            f"  ask          {provider_url}",
            f"  keep data in {database}",
            f"  offer        {models} (default: {default})",
            f"  give         {credits_text(allowance_ucr)} credits a day to each member",
            f"  spend        {ceilings or 'without a ceiling'}, all members together",
        ]
    )


BALANCE_DIGITS_MAX = 20
"""A number with more is nonsense, and may not fill the terminal."""

_PROVIDER_FAILURES: Mapping[type[ProviderError], str] = {
    InvalidApiKey: "does not accept AIVIDEO_API_KEY. Look it up, or make a new one there.",
    IpNotAllowed: "does not accept requests from this machine's address. Allow it there.",
    InsufficientPermissions: "does not let this AIVIDEO_API_KEY read the balance.",
    RateLimited: "was asked too often just now. Try again in a minute.",
    ProviderUnreachable: "could not be reached. Is the network up, and AIVIDEO_BASE_URL right?",
    AnswerLost: "did not answer in time. Is the network up?",
    AnswerMalformed: "gave an answer that is no balance. Is AIVIDEO_BASE_URL right?",
}


def online_report(
    *, discord: str | DiscordRefused | DiscordUnreachable, provider: Decimal | ProviderError
) -> str:
    """What `check --online` adds: the bot's name and the operator's balance, or what is wrong."""
    return "\n".join(
        [
            "Asked just now:",
            f"  Discord      {_discord_words(discord)}",
            f"  the provider {_provider_words(provider)}",
        ]
    )


def _discord_words(answer: str | DiscordRefused | DiscordUnreachable) -> str:
    match answer:
        case str():
            return f"knows the bot as {answer}"
        case DiscordRefused():
            return "does not accept DISCORD_TOKEN. Make a new one in the developer portal."
        case DiscordUnreachable():
            return "could not be reached. Is the network up, and DISCORD_API_URL right?"


def _provider_words(answer: Decimal | ProviderError) -> str:
    if isinstance(answer, Decimal):
        plain = abs(answer.adjusted()) < BALANCE_DIGITS_MAX
        return f"holds a balance of {f'{answer.normalize():f}' if plain else answer} credits"
    for failure, words in _PROVIDER_FAILURES.items():
        if isinstance(answer, failure):
            return words
    status = "" if answer.status is None else f" (HTTP {answer.status})"
    return f"answered with an error{status}. Try again later."


def audit_report(broken: Iterable[str]) -> str:
    """What `audit` prints: nothing broken, or each broken invariant."""
    facts = list(broken)
    if not facts:
        return "The books are sound."
    return "\n".join(["The books are not sound:", *(f"  {fact}" for fact in facts)])


def migrated(path: str) -> str:
    return f"The database {path} has this version's schema."
