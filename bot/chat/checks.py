"""Is this question one that the model can be asked? Everything here costs nothing (F-145)."""

from __future__ import annotations

from dataclasses import replace

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.chat.ports import Attachment, Question
from bot.chat.prompt import kind_of
from bot.chat.surrogates import mended
from bot.errors import (
    AttachmentTooLarge,
    AttachmentUnsupported,
    ModelUnknown,
    PromptEmpty,
    PromptTooLong,
    TooManyAttachments,
)
from bot.limits import ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, PROMPT_CHARS_MAX


def cleaned(question: Question) -> Question:
    """The question without half characters, which no table and no request can hold (F-143)."""
    files = tuple(replace(file, filename=mended(file.filename)) for file in question.attachments)
    return replace(
        question,
        text=mended(question.text),
        author_name=mended(question.author_name),
        attachments=files,
    )


def check_question(question: Question, catalogue: Catalogue) -> ChatModel:
    """The model that will answer. Raises `InvalidInput` with the first thing to mend."""
    if not question.text.strip() and not question.attachments:
        raise PromptEmpty
    if len(question.text) > PROMPT_CHARS_MAX:
        raise PromptTooLong(length=len(question.text), limit=PROMPT_CHARS_MAX)
    if len(question.attachments) > ATTACHMENTS_MAX:
        raise TooManyAttachments(count=len(question.attachments), limit=ATTACHMENTS_MAX)
    model_id = question.model_id or catalogue.default_chat_model
    model = catalogue.chat_models.get(model_id)
    if model is None:
        raise ModelUnknown(model=model_id, known=tuple(catalogue.chat_models))
    for file in question.attachments:
        _check_attachment(file, model)
    return model


def _check_attachment(file: Attachment, model: ChatModel) -> None:
    kind = kind_of(file.content_type)
    if kind is None or kind not in model.inputs:
        raise AttachmentUnsupported(
            filename=file.filename,
            content_type=file.content_type,
            model=model.label,
            accepted=tuple(sorted(model.inputs)),
        )
    if file.size_bytes > ATTACHMENT_BYTES_MAX:
        raise AttachmentTooLarge(
            filename=file.filename, size_bytes=file.size_bytes, limit_bytes=ATTACHMENT_BYTES_MAX
        )
