"""Facts about the installation."""

from __future__ import annotations

from storage import preferences
from storage.inline import InlineDatabase


async def test_a_preference_is_what_was_put_last() -> None:
    """Unknown keys are None; others are not touched."""
    database = await InlineDatabase.open()
    assert await database.read(preferences.get, key="a") is None
    await database.transact(preferences.put, key="a", value="1", now_us=1)
    await database.transact(preferences.put, key="b", value="2", now_us=1)
    await database.transact(preferences.put, key="a", value="3", now_us=2)
    assert await database.read(preferences.get, key="a") == "3"
    assert await database.read(preferences.get, key="b") == "2"
    await database.close()
