"""I-34: where a configured secret must never stand, and what is searched for it.

There are no metrics to search: what the bot tells of itself is its log and its two health pages.
"""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sandbox.discord.world import Message

SECRETS: Final = ("AIVIDEO_API_KEY", "CALLBACK_SECRET", "DISCORD_TOKEN", "VIDEO_API_KEY")
"""Every setting that is one."""
CANARY: Final = "Qz7tV1xK9mB4rW8cN2hJ6pL0sD5gF3aYuE"
"""The key of callbacks: without one the bot makes one, and keeps that in its database."""

Place = tuple[str, str]
"""Where a text stands, and the text."""


def spilt(environment: Mapping[str, str], places: Iterable[Place]) -> Iterator[str]:
    """Tell each place that holds a secret of this environment, plain or written otherwise."""
    forms = [(name, form) for name in SECRETS for form in _forms(environment[name])]
    for where, text in places:
        for name, form in forms:
            if form in text:
                yield f"I-34 {where} holds {name}"


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), b64encode(secret.encode()).decode().rstrip("=")}


def cells(database: Path) -> Iterator[Place]:
    """Every cell of every table that is not a number, by its column."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            found = connection.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in found.description]
            for row in found:
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, bytes):
                        yield f"{table}.{column}", value.decode(errors="replace")
                    elif isinstance(value, str):
                        yield f"{table}.{column}", value


def lines(log: Path) -> Iterator[Place]:
    """Every line of every life."""
    with log.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            yield f"{log.name}:{number}", line


def looks(messages: Iterable[Message]) -> Iterator[Place]:
    """Every message with all its former looks."""
    for message in messages:
        shown = (message.content, message.embeds, message.components, message.history)
        yield f"message {message.id}", f"{shown} {message.nonce} {message.attachments}"
