"""One task: what was ordered, how far it is, and how both protocols tell it."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.provider.account import Account, credits_of
from sandbox.provider.delivery import RAW
from sandbox.provider.studio.studio import Rendered
from sandbox.provider.tasks.orders import Order
from sandbox.provider.tasks.pace import TasksPace
from sandbox.provider.tasks.switches import Switch
from sandbox.provider.wire import Json

FILE_S: Final = 24 * 3_600
"""How long results are kept (providers.md 1.5)."""
COMPLETED: Final = "completed"
FAILED: Final = "failed"


@dataclass(slots=True, kw_only=True)
class Task:
    """`started` is of the loop's clock; all other times are Unix seconds."""

    id: str
    order: Order
    endpoint: str
    account: Account = field(repr=False)
    pace: TasksPace
    base_url: str
    """Scheme, host and port under which the client knows us."""
    created_at: float
    started: float
    duration_s: float
    fate: Switch | None = None
    credits: Switch | None = None
    callback: Switch | None = None
    result: Rendered | None = None
    error: Json | None = None
    completed_at: float | None = None
    charged_ucr: int = 0
    refunded_ucr: int = 0
    polls: int = 0
    polls_after: int = 0
    downloads: int = 0
    callbacks: list[Json] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: it need not wait any longer."""
    called: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first attempt of its callback."""

    @property
    def finished(self) -> bool:
        return self.completed_at is not None

    @property
    def kind_of_fate(self) -> str:
        return self.fate.kind if self.fate else ""

    @property
    def file_url(self) -> str:
        assert self.result is not None, "only a completed task has a file"
        return f"{self.base_url}/files/{self.result.name}"

    def look(self) -> bool:
        """Count a look at it; False when it cannot be found (F-35)."""
        self.polls += 1
        if self.finished:
            self.polls_after += 1
        return not (self.kind_of_fate == "task_lost" and self._still(self.polls))

    def _still(self, looks: int) -> bool:
        """Whether a fate that lasts some looks still holds."""
        assert self.fate is not None
        polls = int(self.fate["polls"])
        return polls == 0 or looks <= polls

    def progress(self, now: float) -> int:
        """0 to 100; a task that never ends creeps."""
        if self.finished:
            return 100 if self.error is None else 60
        share = (now - self.started) / self.duration_s if self.duration_s else 1.0
        if self.kind_of_fate == "task_endless":
            return round(95 * (1 - math.exp(-share)))
        return min(99, max(0, int(share * 100)))

    def word(self, now: float, *, pending: str) -> str:
        """The status, in the word `pending` of the protocol, `processing`, or a final one."""
        kind = self.kind_of_fate
        if self.finished:
            if kind == "task_backwards" and self.polls_after > 1:
                return "processing"
            return COMPLETED if self.error is None else FAILED
        if kind == "task_status" and self._still(self.polls):
            assert self.fate is not None
            return str(self.fate["word"])
        early = now - self.started < self.duration_s * self.pace.pending_share
        back = kind == "task_backwards" and self.polls % 2 == 0
        return pending if early or back else "processing"

    def shown_progress(self, now: float) -> Json:
        """The field as it is to be written; half of it for a backwards look (F-50)."""
        value = self.progress(now)
        if self.kind_of_fate == "task_backwards" and self.polls % 2 == 0:
            value //= 2
        match self.pace.progress:
            case "number":
                return {"progress": value}
            case "percent":
                return {"progress": f"{value}%"}
            case "null":
                return {"progress": None}
            case _:
                return {}


# --- AI Video API --------------------------------------------------------------------------------


def task_json(task: Task, now: float) -> Json:
    """The bare object of `GET /v1/tasks/{id}`, and of the callback (provider-docs 001)."""
    status = task.word(now, pending="pending")
    shown: Json = {
        "id": task.id,
        "status": status,
        "model": task.order.model,
        "created_at": int(task.created_at),
    }
    if status not in {COMPLETED, FAILED}:
        return {**shown, **task.shown_progress(now)}
    assert task.completed_at is not None
    if status == FAILED:
        return {**shown, "error": task.error}
    shown["completed_at"] = int(task.completed_at)
    shown["output"] = _output(task)
    if shown["output"] is None:
        del shown["output"]
    if task.credits is not None:
        raw = task.credits["raw"]
        shown["credits_consumed"] = task.credits["value"] if raw is None else RAW
    return shown


def _output(task: Task) -> Json | None:
    seconds = (task.completed_at or task.created_at) - task.created_at
    output: Json = {
        "urls": [task.file_url],
        "metadata": {"model": task.order.inner_model, "costTime": round(seconds)},
    }
    shape = no_urls(task)
    if shape == "no_output":
        return None
    if shape == "missing":
        del output["urls"]
    elif shape:
        output["urls"] = {"empty": [], "null": None, "text": "none"}[shape]
    return output


def no_urls(task: Task) -> str | None:
    """In which shape the results are missing, if they are (F-48)."""
    if task.fate is None or task.fate.kind != "task_no_urls":
        return None
    looks = max(task.polls_after, 1)
    missing = task.fate["polls"] == 0 or looks <= task.fate["polls"]
    return str(task.fate["shape"]) if missing else None


# --- The OpenAI format ---------------------------------------------------------------------------


def video_json(task: Task, now: float) -> Json:
    """The object of `GET /videos/{id}`: with `url` as the document has it first, else second."""
    status = task.word(now, pending="queued")
    shown: Json = {
        "id": task.id,
        "object": "video",
        "model": task.order.model,
        "status": status,
        **task.shown_progress(now),
        "created_at": int(task.created_at),
        "size": task.order.size,
        "seconds": str(task.order.seconds),
        "quality": "standard",
    }
    done = status in {COMPLETED, FAILED}
    if task.pace.video_url:
        if status == COMPLETED and not no_urls(task):
            shown["url"] = task.file_url
    else:
        ended = int(task.completed_at or 0)
        shown["completed_at"] = ended if done else None
        shown["expires_at"] = ended + FILE_S if status == COMPLETED else None
        shown["remixed_from_video_id"] = None
        shown["error"] = None
    if status == FAILED:
        shown["error"] = task.error
    if status == COMPLETED and task.credits is not None:
        raw = task.credits["raw"]
        shown["credits_consumed"] = task.credits["value"] if raw is None else RAW
    return shown


# --- Control -------------------------------------------------------------------------------------


def control_json(task: Task, now: float) -> Json:
    """Everything about it, without counting as a look."""
    state = COMPLETED if task.finished else "running"
    order = task.order
    facts: dict[str, Any] = {
        "task_id": task.id,
        "endpoint": task.endpoint,
        "model": order.model,
        "prompt": order.prompt,
        "image_urls": list(order.image_urls),
        "images": len(order.images),
        "state": FAILED if task.error else state,
        "progress": task.progress(now),
        "error": task.error,
        "digest": order.digest,
        "callback_url": order.callback_url,
        "url": task.file_url if task.result else None,
        "charged": str(credits_of(task.charged_ucr)),
        "refunded": str(credits_of(task.refunded_ucr)),
        "polls": task.polls,
        "downloads": task.downloads,
        "callbacks": list(task.callbacks),
        "faults": [one.kind for one in (task.fate, task.credits, task.callback) if one],
        "created_ms": round(task.created_at * 1_000),
    }
    return facts
