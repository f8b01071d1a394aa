"""A database file for state machines."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from storage.inline import InlineDatabase


class Bench:
    """One file, set back to an empty, migrated database for each example.

    Making a database and compiling its statements anew would take longer than the example.
    """

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="atelier-ledger-")
        self.path = Path(self.folder.name) / "ledger.db"
        self.database = InlineDatabase(self.path)
        self.close()
        self.empty = self.path.read_bytes()

    def close(self) -> None:
        """Let go of the file; the next transaction opens it again."""
        self.database.engine.dispose()

    def reset(self) -> InlineDatabase:
        self.close()
        assert [entry.name for entry in self.path.parent.iterdir()] == ["ledger.db"]
        self.path.write_bytes(self.empty)
        return self.database


@cache
def bench() -> Bench:
    """The one of this process."""
    return Bench()
