"""Kills a process at each statement of every migration; run by itself, because it forks.

python killed_migration.py <folder>  ->  {"0001": 57, …}: the statements of each migration
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event

from storage import migrate, sqlite

STATEMENTS_MAX = 1_000
FIRST_RELEASE = Path(__file__).with_name("release_0001.sql")


def main(folder: Path) -> dict[str, int]:
    """Go from nothing to the newest schema, dying everywhere on the way."""
    base = folder / "base.db"
    counts: dict[str, int] = {}
    former: str | None = None
    for revision in revisions():
        counts[revision] = kill_everywhere(base, former, revision)
        engine = opened(base)
        with engine.begin() as connection:
            migrate.upgrade(connection, to=revision)
            if former is None:
                for statement in FIRST_RELEASE.read_text().split(";\n"):
                    connection.exec_driver_sql(statement)
        engine.dispose()
        former = revision
    return counts


def revisions() -> list[str]:
    """Oldest first."""
    scripts = ScriptDirectory(migrate.SCRIPTS).walk_revisions()
    return [script.revision for script in scripts][::-1]


def kill_everywhere(base: Path, former: str | None, revision: str) -> int:
    """How many statements it has; at each one a process died and left all as it was."""
    work = base.with_name("work.db")
    before = contents(base)
    for number in range(1, STATEMENTS_MAX):
        for path in base.parent.glob("work.db*"):
            path.unlink()
        if base.exists():
            shutil.copyfile(base, work)
        child = os.fork()
        if child == 0:
            migrate_until_killed(work, revision, number)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0, f"{revision}: it failed at {number}"
            return number - 1
        found = contents(work)
        assert found == before, f"{revision} killed at {number}: {former} has become {found[0]}"
    raise AssertionError(f"{revision} has no end")


def migrate_until_killed(path: Path, revision: str, number: int) -> None:
    """Die before the statement of this number, or at the commit after the last; never returns."""
    left = number

    def count(*_arguments: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        engine = opened(path)
        event.listen(engine, "before_cursor_execute", count)
        event.listen(engine, "commit", count)
        with engine.begin() as connection:
            migrate.upgrade(connection, to=revision)
        code = 0
    finally:
        os._exit(code)


def opened(path: Path) -> Engine:
    engine = create_engine(f"sqlite+pysqlite:///{path}")
    sqlite.attach(engine)
    return engine


def contents(path: Path) -> tuple[str | None, list[tuple[object, ...]], list[int]]:
    """The revision, the whole schema and the number of rows; and SQLite finds no damage."""
    engine = opened(path)
    with engine.begin() as connection:
        assert sqlite.quick_check(connection) is None, path
        schema = connection.exec_driver_sql(
            "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        ).all()
        tables = [name for kind, name, _sql in schema if kind == "table"]
        rows = [
            connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
            for name in tables
        ]
        found = (migrate.current(connection), [tuple(row) for row in schema], rows)
    engine.dispose()
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))  # noqa: T201 - its answer to the test.
