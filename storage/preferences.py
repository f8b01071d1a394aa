"""Small facts about this installation, such as the digest of the commands last synced."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from storage.schema import preferences


def get(connection: Connection, *, key: str) -> str | None:
    """The value of `key`, or None."""
    return connection.execute(
        select(preferences.c.value).where(preferences.c.key == key)
    ).scalar_one_or_none()


def put(connection: Connection, *, key: str, value: str, now_us: int) -> None:
    """Set `key`. Two statements are as good as an upsert here: there is one writer."""
    changed = connection.execute(
        update(preferences).where(preferences.c.key == key).values(value=value, changed_us=now_us)
    )
    if changed.rowcount == 0:
        connection.execute(insert(preferences).values(key=key, value=value, changed_us=now_us))
