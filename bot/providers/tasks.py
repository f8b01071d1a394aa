"""Pictures and videos by task: `POST /{images,videos}/generations`, `GET /tasks/{id}`.

Provider-docs 001; providers.md 1.2 to 1.8. Not OpenAI's images endpoint, although it shares its
path: parameters are nested under `input`, and the answer is a task (trap 24).
"""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

from bot import limits
from bot.catalogue.media import MediaKind, MediaProtocol
from bot.catalogue.media_checks import check_media_request
from bot.errors import AnswerMalformed, RequestInvalid, TaskNotFound
from bot.providers.base import (
    Content,
    CreateVerdict,
    FetchImage,
    MediaRequest,
    NotCreated,
    TaskState,
)
from bot.providers.classify import classify, is_task_id
from bot.providers.failures import hidden_failure
from bot.providers.http import ProviderHttp
from bot.providers.media_http import send_create
from bot.providers.task_states import read_task

_PATHS = {MediaKind.IMAGE: "images/generations", MediaKind.VIDEO: "videos/generations"}

_log = structlog.get_logger(__name__)


class StatusWords:
    """Remembers the status words that nobody knows, so that each is told once (F-49)."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._told: set[str] = set()

    def note(self, state: TaskState) -> None:
        word = state.status_word
        if word is None or word in self._told or len(self._told) >= limits.STATUS_WORDS_MAX:
            return
        self._told.add(word)
        _log.warning("unknown_task_status", provider=self._provider, word=word, fault="F-49")


class Tasks:
    """A `MediaProvider` for this protocol."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self._words = StatusWords(http.provider)

    async def create(
        self,
        request: MediaRequest,
        *,
        callback_url: str | None = None,
        fetch_image: FetchImage | None = None,  # noqa: ARG002 - the provider fetches by itself
    ) -> CreateVerdict:
        """See `MediaProvider.create`."""
        try:
            body = body_of(request, callback_url=callback_url)
        except RequestInvalid as error:
            return NotCreated(error=error)
        # Half a surrogate pair, which Discord lets through, becomes "?": UTF-8 cannot carry it.
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        answer = await send_create(
            self._http, _PATHS[request.model.kind], data, content_type="application/json"
        )
        return classify(
            answer,
            provider=self._http.provider,
            protocol=MediaProtocol.TASKS,
            model=request.model.id,
        )

    async def get(self, task_id: str) -> TaskState:
        """See `MediaProvider.get`; a task of another name is `AnswerMalformed`."""
        provider = self._http.provider
        if not is_task_id(task_id):  # such a name, from a callback's body, was never the provider's
            raise TaskNotFound(provider=provider)
        # A failed task carries an `error`, which is no envelope's.
        document = await self._http.get(f"tasks/{task_id}", enveloped=False)
        state = read_task(document, provider=provider)
        if state is None:
            raise hidden_failure(provider=provider, document=document) or AnswerMalformed(
                provider=provider, status=200
            )
        if state.task_id is not None and state.task_id != task_id:
            raise AnswerMalformed(provider=provider, status=200, code="other_task")
        self._words.note(state)
        return state

    def content(
        self,
        task_id: str,  # noqa: ARG002 - no task has any
    ) -> AbstractAsyncContextManager[Content]:
        """See `MediaProvider.content`: no state of this protocol has any."""
        raise TaskNotFound(provider=self._http.provider)


def body_of(request: MediaRequest, *, callback_url: str | None) -> dict[str, Any]:
    """Build the checked body. Raises `RequestInvalid`.

    Defaults are sent, so that a change of theirs upstream changes neither picture nor price.
    """
    model = request.model
    assert request.kind is model.kind, "a picture's job has a picture's model"
    values = check_media_request(model, request.prompt, request.image_urls, request.options)
    wire: dict[str, Any] = {}
    if request.prompt.strip():
        wire["prompt"] = request.prompt
    if request.image_urls:
        wire["image_urls"] = list(request.image_urls)
    for name, value in values.items():
        wire[model.options[name].send] = list(value) if isinstance(value, tuple) else value
    if model.nsfw_checker is not None:
        wire[model.nsfw_checker] = request.nsfw_checker
    body: dict[str, Any] = {"model": model.wire_id, "input": wire}
    if callback_url is not None:
        body["callback_url"] = callback_url  # beside `input`, not in it (providers.md 1.4)
    return body
