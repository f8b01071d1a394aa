"""Why a job failed, from the word that is stored back to the error that `bot/text` has words for.

A row keeps only the name of an error's class: facts of the provider's answer that a member may
see are few, and raw upstream words are none of them.
"""

from __future__ import annotations

import inspect

import bot.errors
from bot.errors import (
    AtelierError,
    ContentRefused,
    InvalidInput,
    JobFailure,
    ModelNotFound,
    OutcomeUnknown,
    PictureGone,
    ProviderError,
    ProviderRejected,
    StreamStalled,
    Unexpected,
)
from storage.types import Cause, Job, Outcome

UNEXPECTED = Unexpected.__name__

_CLASSES: dict[str, type[AtelierError]] = {
    name: found
    for name, found in vars(bot.errors).items()
    if inspect.isclass(found)
    and issubclass(found, JobFailure | ProviderError | PictureGone)
    and found is not StreamStalled  # only chats stall, and it cannot be made from its name alone
}
_REFUSALS = frozenset({ContentRefused.__name__, ProviderRejected.__name__})


def failure_of(error: Exception) -> str:
    """Return the word to store: the class's name, if `error_of` can make something of it."""
    if isinstance(error, InvalidInput) and not isinstance(error, PictureGone):
        # Our own check of a request that was accepted before: the catalogue has changed since.
        return ProviderRejected.__name__
    name = type(error).__name__
    return name if name in _CLASSES else UNEXPECTED


def cause_of(failure: str) -> Cause:
    """Return why the hold goes back: the closed list of asks.md 3.3."""
    if failure == OutcomeUnknown.__name__:
        return Cause.UNCERTAIN
    if failure in _REFUSALS:
        return Cause.PROVIDER_REFUSED
    return Cause.PROVIDER_ERROR if failure in _CLASSES else Cause.INTERRUPTED


def error_of(job: Job) -> AtelierError | None:
    """Return why the job failed, None for a job that did not."""
    if job.outcome is not Outcome.FAILED:
        return None
    found = _CLASSES.get(job.failure or "")
    if found is None:
        return Unexpected(reference=job.short_id)
    if issubclass(found, ModelNotFound):
        return found(provider=job.provider, model=job.model, kind=job.kind)
    if issubclass(found, ProviderRejected):
        return found(provider=job.provider, kind=job.kind)
    if issubclass(found, ProviderError):
        return found(provider=job.provider)
    return found()
