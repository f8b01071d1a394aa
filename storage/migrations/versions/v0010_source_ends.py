"""Every stored address of a result has an end (providers.md 1.5).

The first release kept addresses without one, which were offered for ever; providers keep results
for a day.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

_DAY_US = 86_400_000_000


def upgrade() -> None:
    end_us = "(SELECT COALESCE(late_us, finished_us) FROM jobs WHERE jobs.id = artifacts.job_id)"
    op.execute(
        f"UPDATE artifacts SET source_expires_us = {end_us} + {_DAY_US}"  # noqa: S608 - constants
        " WHERE source_url IS NOT NULL AND source_expires_us IS NULL"
    )
