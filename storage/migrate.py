"""Brings a database to this program's schema, inside the caller's transaction.

Alembic runs in-process on the scripts beside this file; no `alembic.ini`, no `env.py` and nothing
outside the package is looked at. DDL is transactional on SQLite and PostgreSQL alike, so a process
that dies half-way leaves the old schema (reliability.md F-18).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from storage.schema import metadata

SCRIPTS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"


class ForeignDatabase(Exception):
    """The file holds tables that this program did not make, or a later release did."""


def head() -> str:
    """The newest revision that this program knows."""
    revision = ScriptDirectory(SCRIPTS).get_current_head()
    assert revision is not None
    return revision


def current(connection: Connection) -> str | None:
    """The revision of the database; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def known_revision(connection: Connection) -> str | None:
    """The revision of a database of ours; None when it is empty. Raises ForeignDatabase."""
    found = current(connection)
    if found is None and inspect(connection).get_table_names():
        raise ForeignDatabase("tables without a version")
    known = {script.revision for script in ScriptDirectory(SCRIPTS).walk_revisions()}
    if found is not None and found not in known:
        raise ForeignDatabase(f"schema {found} is not known to this release")
    return found


def upgrade(connection: Connection, *, to: str | None = None) -> None:
    """Run what is missing up to the newest revision, or `to`; the second time nothing is.

    Raises ForeignDatabase before anything is changed.
    """
    target = head() if to is None else to
    scripts = ScriptDirectory(SCRIPTS)
    known_revision(connection)
    # The literal "head" would be resolved by the same directory; the revision is explicit.

    def steps(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(target, revision)  # noqa: SLF001 - as `alembic upgrade` does.

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(
            connection=connection,
            target_metadata=metadata,
            transactional_ddl=True,
            version_table=VERSION_TABLE,
        )
        environment.run_migrations()
