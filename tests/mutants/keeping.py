"""Mistakes of storage, of two processes, and of the guards around them (S-8, S-9, S-13)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Family, Mutant

_DATABASE = "tests/unit/storage/test_database.py"
_FILES = "tests/unit/storage/test_database_files.py"

KEEPING = (
    Mutant(
        name="no-fence",
        mistake="a process that was taken over goes on writing (F-119, I-29)",
        family=Family.STORE,
        edits=(
            Edit(
                path="storage/locks.py",
                old="    if found.epoch != epoch:\n",
                new="    if found.epoch < epoch:\n",
            ),
        ),
        seeds=30,
        killers=(_DATABASE, "tests/unit/storage/test_locks.py"),
    ),
    Mutant(
        name="no-lock",
        mistake="two processes open one database (S-8)",
        family=Family.STORE,
        edits=(
            Edit(
                path="storage/locks.py",
                old="            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
                new="            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)\n",
            ),
        ),
        killers=("tests/unit/storage/test_locks.py", _FILES),
    ),
    Mutant(
        name="deferred-transactions",
        mistake="a transaction that reads and then writes is refused at once (1.1)",
        family=Family.STORE,
        edits=(Edit(path="storage/sqlite.py", old='"BEGIN IMMEDIATE"', new='"BEGIN"'),),
        killers=(_DATABASE, "tests/unit/storage"),
    ),
    Mutant(
        name="commits-not-synced",
        mistake="a power cut loses the last commits (F-115)",
        family=Family.STORE,
        edits=(
            Edit(
                path="storage/sqlite.py",
                old='"PRAGMA synchronous = FULL"',
                new='"PRAGMA synchronous = NORMAL"',
            ),
        ),
        killers=(_DATABASE, "tests/unit/storage"),
    ),
    Mutant(
        name="cancelled-transactions",
        mistake="a caller that gives up takes its transaction along",
        family=Family.STORE,
        edits=(
            Edit(
                path="storage/database.py",
                old="        return await asyncio.shield(task)\n",
                new="        return await task\n",
            ),
        ),
        killers=(_DATABASE,),
    ),
    Mutant(
        name="empty-in-place-of-missing",
        mistake="a lost database is replaced by an empty one (F-113)",
        family=Family.STORE,
        edits=(
            Edit(
                path="storage/database.py",
                old="    if existed(path) and (not path.exists() or path.stat().st_size == 0):\n",
                new="    if existed(path) and path.is_dir():\n",
            ),
        ),
        killers=(_FILES,),
    ),
    Mutant(
        name="interaction-taken-twice",
        mistake="what Discord repeats is done again (I-33)",
        family=Family.STORE,
        edits=(
            Edit(
                path="storage/interactions.py",
                old="    if found.one_or_none() is not None:\n"
                '        raise Duplicate(reference=f"i:{interaction_id}")\n',
                new="    if found.one_or_none() is not None:\n        return\n",
            ),
        ),
        killers=("tests/unit/storage/test_interactions.py",),
    ),
    Mutant(
        name="breaker-never-opens",
        mistake="a brown-out costs as many prices as there are orders (S-13)",
        family=Family.BREAKER,
        edits=(
            Edit(
                path="bot/providers/breaker.py",
                old="            len(self._unclear_s) == UNCLEAR_MAX "
                "and run_s <= UNCLEAR_WINDOW_S\n",
                new="            len(self._unclear_s) > UNCLEAR_MAX "
                "and run_s <= UNCLEAR_WINDOW_S\n",
            ),
        ),
        killers=("tests/unit/providers/test_breaker.py",),
    ),
    Mutant(
        name="all-at-once-after-a-pause",
        mistake="half open lets everybody through (S-13)",
        family=Family.BREAKER,
        edits=(
            Edit(
                path="bot/providers/breaker.py",
                old="        return trial_s is not None and self._clock.monotonic_s() < trial_s\n",
                new="        return trial_s is not None and trial_s < 0\n",
            ),
        ),
        killers=("tests/unit/providers/test_breaker.py",),
    ),
    Mutant(
        name="crash-loop-at-full-speed",
        mistake="an endless crash loop spends every identify of the day (S-9)",
        family=Family.BREAKER,
        edits=(
            Edit(
                path="bot/limits.py",
                old="STARTS_WITHOUT_DELAY = 3\n",
                new="STARTS_WITHOUT_DELAY = 3_000\n",
            ),
        ),
        killers=("tests/unit/test_app.py",),
    ),
)
