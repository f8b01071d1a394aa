"""Callbacks as documented: three attempts, unsigned; and what goes wrong with them (F-61…65)."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from sandbox.provider.delivery import raw_credits
from sandbox.provider.media import LOOPBACK
from sandbox.provider.tasks.task import FAILED, Task, task_json
from sandbox.provider.wire import Json, dumps

FORGED_SHARE: Final = 0.3
"""Of the task's time, after which an invented callback comes."""
HUGE_BYTES: Final = 2 * 1024 * 1024
"""Of an invented body: far above what a task object needs."""


class Caller:
    """Posts task objects to the addresses that came with the creates; on this machine only."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def use(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def announce(self, task: Task) -> None:
        """All attempts for a finished task; returns after the first 2xx or the last attempt."""
        kind = task.callback.kind if task.callback else ""
        if task.order.callback_url is None or kind == "callback_missing":
            return
        if task.callback and kind == "callback_late":
            await asyncio.sleep(task.callback["delay_s"])
        for delay_s in task.pace.callback_delays_s:
            await asyncio.sleep(delay_s)
            accepted = await self.attempt(task)
            task.called.set()
            if accepted:
                break
        if task.callback and kind == "callback_duplicate":
            for _ in range(task.callback["count"] - 1):
                await self.attempt(task)

    async def attempt(self, task: Task) -> bool:
        """One POST of the task object; True for 2xx."""
        body = task_json(task, asyncio.get_running_loop().time())
        text = dumps(body)
        if task.credits is not None and task.credits["raw"] is not None:
            text = raw_credits(body, task.credits["raw"])
        return await self._post(task, task.order.callback_url or "", text, headers_of(body))

    async def forge(self, task: Task) -> None:
        """An outsider's callback, while the task runs."""
        url = task.order.callback_url
        if task.callback is None or task.callback.kind != "callback_forged" or url is None:
            return
        await asyncio.sleep(task.duration_s * FORGED_SHARE)
        body: Json = {
            "id": task.id,
            "status": "completed",
            "model": task.order.model,
            "created_at": int(task.created_at),
            "completed_at": int(time.time()),
            "output": {"urls": [f"{task.base_url}/files/images/forged.png"], "metadata": {}},
        }
        how = task.callback["how"]
        if how == "wrong_task":
            body["id"] = str(uuid.uuid4())
        elif how == "huge":
            body["padding"] = "x" * HUGE_BYTES
        elif how == "wrong_address":
            url = _bent(url)
        headers = {} if how == "no_headers" else headers_of(body)
        await self._post(task, url, dumps(body), headers, forged=how)

    async def _post(
        self, task: Task, url: str, text: str, headers: dict[str, str], *, forged: str | None = None
    ) -> bool:
        assert self._session is not None, "the application has started"
        note: Json = {
            "at_ms": time.time_ns() // 1_000_000,
            "event": headers.get("X-Event"),
            "status": None,
            "error": None,
            "forged": forged,
        }
        task.callbacks.append(note)
        if urlsplit(url).hostname not in LOOPBACK:
            note["error"] = "not on this machine"
            return False
        try:
            async with self._session.post(
                url,
                data=io.BytesIO(text.encode()),
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=task.pace.callback_timeout_s or None),
            ) as response:
                note["status"] = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            note["error"] = type(error).__name__
        return note["status"] is not None and 200 <= note["status"] < 300


def headers_of(body: Json) -> dict[str, str]:
    """providers.md 1.4."""
    event = "task.failed" if body["status"] == FAILED else "task.completed"
    return {"X-Event": event, "X-Task-Id": body["id"], "X-Timestamp": str(int(time.time()))}


def _bent(url: str) -> str:
    """The same address with another end, as somebody would guess it."""
    parts = urlsplit(url)
    path = parts.path[:-1] + ("0" if parts.path[-1:] != "0" else "1")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
