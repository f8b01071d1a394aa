"""What the operator decides: read from the environment and `.env`, judged all at once (F-125).

Every name is part of the public interface (product.md). Every secret can also be given as
`NAME_FILE`. No problem text repeats a value that may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values
from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.errors import Problem, SettingsInvalid
from bot.hosts import is_address, is_private
from bot.limits import BUDGET_CREDITS_MAX, GRANT_CREDITS_MAX
from storage.database import sqlite_path
from storage.types import UCR_PER_CREDIT, Allowance, Budget

ENV_FILE = Path(".env")
DEMO_KEY = "sk-demo-simulated-provider"
"""What `make run` gives as AIVIDEO_API_KEY where only the provider is simulated.

No real provider takes it, so whoever has it cannot be anything but a demo; an address proves
nothing, because a proxy may stand between.
"""
SECRET_FILE_BYTES_MAX = 64 * 1024
"""A larger file is not a secret but a mistake."""
SECRET_CHARS_MIN = 16
"""C-4: shorter than any real token or key."""
CALLBACK_SECRET_CHARS_MIN = 32
"""Signs addresses that anybody may guess at."""

_SECRETS = ("discord_token", "aivideo_api_key", "video_api_key", "callback_secret")
_NEEDED_TO_RUN = {
    "discord_token": "is missing: the token of your bot, from Discord's developer portal, page Bot",
    "aivideo_api_key": "is missing: the key of AI Video API; it starts with sk-",
}
_PLACEHOLDER = re.compile(
    r"""^(change[-_ ]?me.*|your[-_ ].*|.*your[-_](bot[-_])?(token|key|secret).*
    |<.*>|\[.*\]|\$?\{.*\}|x{3,}|sk-x{3,}|\.{3,}|sk-\.{3,}|todo|tbd|none|null|placeholder.*|example.*|dummy.*|secret
    |token|password|(bot[-_]?)?(token|api[-_]?key)([-_]?here)?|(?P<same>.)(?P=same){7,})$""",
    re.IGNORECASE | re.VERBOSE,
)


# --- What each kind of value must be ---------------------------------------------------------


def _secret(value: object) -> str:
    text = str(value)
    if _PLACEHOLDER.match(text):
        raise ValueError("still holds a placeholder")
    if re.match(r"(bot|bearer)\s", text, re.IGNORECASE):
        raise ValueError("must be the bare value, without the word in front of it")
    if re.search(r"[\s\"'`]", text) or not text.isprintable() or not text.isascii():
        raise ValueError("contains spaces, quotes or other characters that no key has")
    if len(text) < SECRET_CHARS_MIN:
        raise ValueError("is too short to be real")
    return text


def _aivideo_key(value: object) -> str:
    text = _secret(value)
    if not text.startswith("sk-"):
        raise ValueError("is not a key of AI Video API: those start with sk-")
    return text


def _callback_secrets(value: object) -> str:
    parts = [part.strip() for part in str(value).split(",")]
    if len(parts) > 2:
        raise ValueError("takes one value, or two separated by a comma while rotating")
    for part in parts:
        if len(_secret(part)) < CALLBACK_SECRET_CHARS_MIN:
            raise ValueError(f"needs at least {CALLBACK_SECRET_CHARS_MIN} characters each")
    return ",".join(parts)


def _split(value: object) -> SplitResult:
    text = str(value)
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for ports that are none
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", text):
        raise ValueError("must be a URL that starts with http:// or https://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user, password, query or fragment")
    return parts


def _url(value: object) -> str:
    return _split(value).geturl().rstrip("/")


def _hosts(value: object) -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in str(value).split(",") if host.strip())
    for host in hosts:
        if not is_address(host) and not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", host):
            raise ValueError("must be host names or addresses, without http:// and ports")
    return hosts


def _exists(path: Path) -> bool:
    """Where nobody can tell, it is the operator's to mend: no permission, a name too long."""
    try:
        return path.exists()
    except OSError as error:
        raise ValueError(f"{path} cannot be looked at: {_why(error)}") from error


def _database_url(value: object) -> str:
    text = str(value)
    if text.startswith(("postgres:", "postgresql:", "postgresql+")):
        raise ValueError(
            "this version keeps its data in SQLite only: sqlite+aiosqlite:///data/atelier.db"
        )
    if text.startswith("sqlite:"):
        raise ValueError("must name the driver: sqlite+aiosqlite:///data/atelier.db")
    path = sqlite_path(text)
    existing = next(place for place in (path, *path.parents) if _exists(place))
    if path.is_dir() or (existing != path and not existing.is_dir()):
        raise ValueError(f"cannot be a database: {existing} is in the way")
    if not os.access(existing, os.W_OK):
        raise ValueError(f"cannot be written: no permission for {existing}")
    return text


def _catalogue(value: object) -> Path:
    path = Path(str(value))
    if not (_exists(path) and path.is_file()):
        raise ValueError(f"there is no file {path}")
    return path


def _credits(value: object, credits_max: int = GRANT_CREDITS_MAX) -> int:
    """Micro-credits of a decimal number of credits, exactly."""
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,6})?", text):
        raise ValueError("must be a number of credits such as 20 or 0.5, with six decimals at most")
    amount_ucr = int(Decimal(text) * UCR_PER_CREDIT)
    if amount_ucr > credits_max * UCR_PER_CREDIT:
        raise ValueError(f"must be at most {credits_max}")
    return amount_ucr


def _ceiling(value: object) -> int | None:
    return _credits(value, BUDGET_CREDITS_MAX) or None


def _flag(value: object) -> bool:
    meanings = {"true": True, "1": True, "yes": True, "on": True}
    meanings |= {"false": False, "0": False, "no": False, "off": False}
    meaning = meanings.get(str(value).lower())
    if meaning is None:
        raise ValueError("must be true or false")
    return meaning


def _port(value: object) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", str(value)) or int(str(value)) > 65_535:
        raise ValueError("must be a port: 1 to 65535, or 0 for any free one")
    return int(str(value))


def _host(value: object) -> str:
    hosts = _hosts(value)
    if len(hosts) != 1:
        raise ValueError("must be one host name or address")
    return hosts[0]


def _lower(value: object) -> str:
    return str(value).lower()


_Url = Annotated[str, BeforeValidator(_url)]
_Secret = Annotated[SecretStr, BeforeValidator(_secret)]


class Settings(BaseSettings):
    """The table of product.md. Fields that judge another one stand after it."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, validate_default=False
    )

    discord_token: _Secret | None = None
    discord_api_url: _Url = "https://discord.com/api/v10"
    aivideo_api_key: Annotated[SecretStr, BeforeValidator(_aivideo_key)] | None = None
    aivideo_base_url: _Url = "https://api.aivideoapi.ai/v1"
    video_api_key: _Secret | None = None
    video_base_url: Annotated[_Url | None, Field(validate_default=True)] = None
    allowed_private_hosts: Annotated[tuple[str, ...], BeforeValidator(_hosts)] = ()
    public_url: _Url | None = None
    web_host: Annotated[str, BeforeValidator(_host)] = "127.0.0.1"
    web_port: Annotated[int, BeforeValidator(_port)] = 8080
    callback_secret: Annotated[SecretStr, BeforeValidator(_callback_secrets)] | None = None
    database_url: Annotated[str, BeforeValidator(_database_url), Field(validate_default=True)] = (
        "sqlite+aiosqlite:///data/atelier.db"
    )
    catalogue: Annotated[Path, BeforeValidator(_catalogue)] | None = None
    daily_allowance: Annotated[int, BeforeValidator(_credits)] = 20 * UCR_PER_CREDIT
    """In micro-credits; written in credits, as the ceilings."""
    daily_budget: Annotated[int | None, BeforeValidator(_ceiling)] = None
    monthly_budget: Annotated[int | None, BeforeValidator(_ceiling)] = None
    message_content: Annotated[bool, BeforeValidator(_flag)] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)
    ] = "info"
    log_format: Annotated[Literal["auto", "text", "json"], BeforeValidator(_lower)] = "auto"

    @field_validator("video_base_url")
    @classmethod
    def _video_needs_both(cls, url: str | None, info: ValidationInfo) -> str | None:
        if "video_api_key" in info.data and (info.data["video_api_key"] is None) != (url is None):
            raise ValueError("is needed together with VIDEO_API_KEY, or both are left out")
        return url

    @field_validator("public_url")
    @classmethod
    def _public_is_public(cls, url: str | None, info: ValidationInfo) -> str | None:
        """Callbacks travel over the Internet: https, and an address that exists there (F-125)."""
        if url is None:
            return None
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in info.data.get("allowed_private_hosts", ()):
            return url
        if parts.scheme != "https":
            raise ValueError("must start with https://")
        if is_private(host):
            raise ValueError("is a private address: the provider cannot reach it")
        return url

    @field_validator("monthly_budget")
    @classmethod
    def _month_covers_a_day(cls, month_ucr: int | None, info: ValidationInfo) -> int | None:
        """Limits that overlap: a day's ceiling above the month's is never reached (F-125)."""
        day_ucr = info.data.get("daily_budget")
        if month_ucr is not None and day_ucr is not None and day_ucr > month_ucr:
            raise ValueError("must be at least DAILY_BUDGET, or one of the two is left out")
        return month_ucr

    @property
    def allowance(self) -> Allowance:
        """What each member gets a day."""
        return Allowance(amount_ucr=self.daily_allowance)

    @property
    def budget(self) -> Budget:
        """What everybody may spend together, in all servers and direct messages (C-24)."""
        return Budget(
            day_ucr=self.daily_budget,
            month_ucr=self.monthly_budget,
            timezone=self.allowance.timezone,
        )

    @property
    def is_demo(self) -> bool:
        """The real Discord with a simulated provider: `make run` with a token only."""
        key = self.aivideo_api_key
        return key is not None and key.get_secret_value() == DEMO_KEY

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every configured secret, for the log's redaction."""
        values = (getattr(self, name) for name in _SECRETS)
        whole = [value.get_secret_value() for value in values if value is not None]
        return tuple(part for value in whole for part in value.split(","))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load` reads the environment itself: blank means unset, and secrets come in files."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


# --- Reading -------------------------------------------------------------------------------------


def load(
    *,
    needs_keys: bool,
    environ: Mapping[str, str] | None = None,
    env_file: Path = ENV_FILE,
) -> Settings:
    """Read everything; raises `SettingsInvalid` with every problem at once.

    `needs_keys` asks for what only running needs: the token and the provider's key. The
    environment wins over `.env`.
    """
    problems: list[Problem] = []
    given = _given(os.environ if environ is None else environ, env_file, problems)
    values = _values(given, problems)
    if needs_keys:
        problems += [
            Problem(where=name.upper(), what=what)
            for name, what in _NEEDED_TO_RUN.items()
            if name not in values
        ]
    try:
        settings = Settings(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise SettingsInvalid(problems=[*problems, *_problems(error)]) from None
    if problems:
        raise SettingsInvalid(problems=problems)
    return settings


def catalogue_path(
    *, environ: Mapping[str, str] | None = None, env_file: Path = ENV_FILE
) -> Path | None:
    """`CATALOGUE` where nothing else could be read: its mistakes are owed at once, too.

    None when it is not given; a path that is no file is already among `load`'s problems.
    """
    given = _given(os.environ if environ is None else environ, env_file, [])
    return Path(given["CATALOGUE"]) if "CATALOGUE" in given else None


def _given(environ: Mapping[str, str], env_file: Path, problems: list[Problem]) -> dict[str, str]:
    """Name → value, without blanks; a name is looked up in upper case only."""
    try:
        # A `$` in a token is a dollar sign, not a variable.
        from_file = dotenv_values(env_file, interpolate=False) if env_file.is_file() else {}
    except (OSError, ValueError) as error:
        problems.append(Problem(where=str(env_file), what=f"cannot be read: {_why(error)}"))
        from_file = {}
    merged = {**from_file, **{name: value for name, value in environ.items() if value.strip()}}
    return {name: value.strip() for name, value in merged.items() if value and value.strip()}


def _values(given: Mapping[str, str], problems: list[Problem]) -> dict[str, Any]:
    """Field → raw value; None for a secret whose file could not be read, which is a problem."""
    values: dict[str, Any] = {}
    for field in Settings.model_fields:
        name = field.upper()
        file = given.get(f"{name}_FILE") if field in _SECRETS else None
        if file is not None and name in given:
            what = f"is given twice: as {name} and as {name}_FILE"
            problems.append(Problem(where=name, what=what))
        if name in given:
            values[field] = given[name]
        elif file is not None:
            values[field] = _read_secret(Path(file), f"{name}_FILE", problems)
    return values


def _read_secret(path: Path, name: str, problems: list[Problem]) -> str | None:
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_FILE_BYTES_MAX + 1)
        text = content.decode().strip()
    except (OSError, ValueError) as error:
        problems.append(Problem(where=name, what=f"{path} cannot be read: {_why(error)}"))
        return None
    if not text or len(content) > SECRET_FILE_BYTES_MAX:
        problems.append(Problem(where=name, what=f"{path} is {'too large' if text else 'empty'}"))
        return None
    return text


def _problems(error: ValidationError) -> Iterable[Problem]:
    for fact in error.errors(include_url=False, include_input=False):
        what = fact["msg"].removeprefix("Value error, ")
        if fact["type"] == "literal_error":
            what = f"must be one of: {fact['ctx']['expected']}".replace("'", "")
        yield Problem(where=str(fact["loc"][0]).upper(), what=what)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8 text"
