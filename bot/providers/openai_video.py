"""Videos in the OpenAI format: `POST /videos`, `GET /videos/{id}`, `GET /videos/{id}/content`.

Provider-docs 004; providers.md 2.3 and 3. A host and a key of their own (trap 37), no callback
(trap 45), and gateways that agree on little else, hence the tolerant reading.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO

import aiohttp

from bot.catalogue.media import MediaProtocol
from bot.catalogue.media_checks import MediaFault, check_media_request
from bot.errors import AnswerMalformed, AtelierError, RequestInvalid, TaskNotFound
from bot.providers.base import (
    Content,
    CreateVerdict,
    FetchImage,
    MediaRequest,
    NotCreated,
    TaskState,
    TaskStatus,
)
from bot.providers.classify import classify, is_task_id
from bot.providers.failures import hidden_failure
from bot.providers.http import ProviderHttp
from bot.providers.media_http import open_content, send_create
from bot.providers.task_states import read_task
from bot.providers.tasks import StatusWords
from bot.providers.wire import as_text

PATH = "videos"


class OpenAIVideo:
    """A `MediaProvider` for this protocol."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self._words = StatusWords(http.provider)

    async def create(
        self,
        request: MediaRequest,
        *,
        callback_url: str | None = None,  # noqa: ARG002 - the format has none
        fetch_image: FetchImage | None = None,
    ) -> CreateVerdict:
        """See `MediaProvider.create`; the picture travels as bytes, so `fetch_image` brings it."""
        try:
            form = await form_of(request, fetch_image=fetch_image)
        except AtelierError as error:
            return NotCreated(error=error)
        answer = await send_create(self._http, PATH, form)
        return classify(
            answer,
            provider=self._http.provider,
            protocol=MediaProtocol.OPENAI_VIDEO,
            model=request.model.id,
        )

    async def get(self, task_id: str) -> TaskState:
        """See `MediaProvider.get`; whatever succeeded has content, with or without addresses."""
        provider = self._http.provider
        if not is_task_id(task_id):
            raise TaskNotFound(provider=provider)
        try:
            document = await self._http.get(f"{PATH}/{task_id}", enveloped=False)
        except AnswerMalformed as error:
            if error.status == 404:  # without a documented body, from a gateway's own router
                raise TaskNotFound(provider=provider, status=404) from error
            raise
        state = read_task(document, provider=provider)
        if state is None:
            raise hidden_failure(provider=provider, document=document) or AnswerMalformed(
                provider=provider, status=200
            )
        self._words.note(state)
        return replace(state, has_content=state.status is TaskStatus.SUCCEEDED)

    @asynccontextmanager
    async def content(self, task_id: str) -> AsyncIterator[Content]:
        """See `MediaProvider.content`. The address needs our key, so it cannot be handed on."""
        if not is_task_id(task_id):
            raise TaskNotFound(provider=self._http.provider)
        async with open_content(self._http, f"{PATH}/{task_id}/content") as content:
            yield content


async def form_of(request: MediaRequest, *, fetch_image: FetchImage | None) -> aiohttp.FormData:
    """Build the checked form. Raises `RequestInvalid`, or what `fetch_image` raises.

    Multipart even without a file (trap 42); every value is text there, `seconds` too (trap 40).
    """
    model = request.model
    assert request.kind is model.kind, "a video's job has a video's model"
    values = check_media_request(model, request.prompt, request.image_urls, request.options)
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("model", model.wire_id)
    form.add_field("prompt", as_text(request.prompt))
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        form.add_field(model.options[name].send, as_text(text))
    for url in request.image_urls:  # the catalogue allows one
        if fetch_image is None:
            raise RequestInvalid(
                model=model.id, field="input_reference", rule=MediaFault.UNSUPPORTED
            )
        image = await fetch_image(url)
        form.add_field(
            "input_reference",
            BytesIO(image.data),  # aiohttp warns of large `bytes`
            filename=image.filename,
            content_type=image.content_type,
        )
    return form
