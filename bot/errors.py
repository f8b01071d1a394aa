"""Everything that can go wrong above storage. Facts only; the words stand in `bot/text`.

AtelierError
├── InvalidInput
│   ├── PromptEmpty
│   ├── PromptTooLong
│   ├── AttachmentTooLarge
│   ├── AttachmentUnsupported
│   ├── TooManyAttachments
│   ├── ModelUnknown
│   ├── RequestInvalid
│   ├── AmountInvalid
│   ├── TakeTooLarge
│   ├── GiftTooLarge
│   ├── GiftToSelf
│   ├── TimeZoneUnknown
│   ├── PictureMissing
│   ├── PictureGone
│   ├── TaskUnreadable
│   ├── MemberNotHere
│   └── MemberIsBot
├── Refused
│   ├── PermissionMissing
│   ├── BotPermissionMissing
│   ├── NotOwner
│   ├── GuildOnly
│   ├── SelfGrant
│   ├── TooManyTurns
│   ├── TurnOver
│   ├── Restarting
│   ├── CommandOutdated
│   ├── JobNotFound
│   ├── JobNotCancellable
│   ├── TooManyJobs
│   ├── NoRoom
│   ├── ModelOff
│   ├── ProviderPaused
│   └── ConfirmationExpired
├── ProviderError
│   ├── ProviderRejected
│   ├── InvalidApiKey
│   ├── ProviderCreditsExhausted
│   ├── IpNotAllowed
│   ├── InsufficientPermissions
│   ├── ModelNotFound
│   ├── TaskNotFound
│   ├── RateLimited
│   ├── SpendLimitExceeded
│   ├── ProviderInternalError
│   ├── UpstreamError
│   ├── ContentRefused
│   ├── ProviderUnreachable
│   ├── AnswerLost
│   ├── AnswerMalformed
│   ├── StreamCut
│   └── StreamStalled
├── AnswerUnfinished
│   ├── Interrupted
│   └── BrokenTooOften
├── JobFailure
│   ├── TaskFailed
│   ├── DeadlinePassed
│   ├── OutcomeUnknown
│   ├── ResultUnavailable
│   └── ResultUnusable
├── SettingsInvalid
├── CatalogueInvalid
├── DiscordRefused
├── DiscordUnreachable
└── Unexpected
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypedDict

from storage.types import Job, JobKind


class AtelierError(Exception):
    """Root of everything this package raises on purpose."""


# --- What a member can mend ------------------------------------------------------------------


class InvalidInput(AtelierError):
    """What was typed or attached cannot be used; it cost nothing.

    `kind` of those below that have one: of the picture or video that was asked for, None in a chat.
    """


class PromptEmpty(InvalidInput):
    """Neither words nor an attachment."""

    def __init__(self, *, kind: JobKind | None = None) -> None:
        super().__init__()
        self.kind = kind


class PromptTooLong(InvalidInput):
    def __init__(self, *, length: int, limit: int, kind: JobKind | None = None) -> None:
        super().__init__(f"{length} > {limit} characters")
        self.length = length
        self.limit = limit
        self.kind = kind


class AttachmentTooLarge(InvalidInput):
    def __init__(self, *, filename: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{filename}: {size_bytes} > {limit_bytes} bytes")
        self.filename = filename
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class AttachmentUnsupported(InvalidInput):
    """The model does not read this kind of file; `accepted` names the kinds it does."""

    def __init__(
        self,
        *,
        filename: str,
        content_type: str,
        model: str,
        accepted: tuple[str, ...],
        kind: JobKind | None = None,
    ) -> None:
        super().__init__(f"{filename} ({content_type}) for {model}")
        self.filename = filename
        self.content_type = content_type
        self.model = model
        self.accepted = accepted
        self.kind = kind


class TooManyAttachments(InvalidInput):
    def __init__(self, *, count: int, limit: int) -> None:
        super().__init__(f"{count} > {limit}")
        self.count = count
        self.limit = limit


class ModelUnknown(InvalidInput):
    """No model of this id; `known` are those that can be used here."""

    def __init__(self, *, model: str, known: tuple[str, ...], kind: JobKind | None = None) -> None:
        super().__init__(model)
        self.model = model
        self.known = known
        self.kind = kind


class RequestInvalid(InvalidInput):
    """Our own check before the network: `field` names the provider's field (providers.md).

    `allowed` are the values it may have, or the two ends of their range; `limit` is the most
    (or fewest) characters or pictures. Both are there where `rule` makes them useful.
    """

    def __init__(
        self,
        *,
        model: str,
        field: str,
        rule: str,
        allowed: tuple[str, ...] = (),
        limit: int | None = None,
    ) -> None:
        super().__init__(f"{model}: {field}: {rule}")
        self.model = model
        self.field = field
        self.rule = rule
        self.allowed = allowed
        self.limit = limit


class AmountInvalid(InvalidInput):
    """Whole credits between `low` and `high` were asked for."""

    def __init__(self, *, given: str, low: int, high: int) -> None:
        super().__init__(f"{given!r} not in {low}…{high}")
        self.given = given
        self.low = low
        self.high = high


class TakeTooLarge(InvalidInput):
    """Staff wanted to take more than the member has to spend; both in micro-credits."""

    def __init__(self, *, needed_ucr: int, available_ucr: int) -> None:
        super().__init__(f"needed {needed_ucr} µcr, available {available_ucr} µcr")
        self.needed_ucr = needed_ucr
        self.available_ucr = available_ucr


class GiftTooLarge(InvalidInput):
    """More than the giver may give away, which is without the allowance; in micro-credits."""

    def __init__(self, *, needed_ucr: int, available_ucr: int) -> None:
        super().__init__(f"needed {needed_ucr} µcr, available {available_ucr} µcr")
        self.needed_ucr = needed_ucr
        self.available_ucr = available_ucr


class GiftToSelf(InvalidInput):
    """Giver and receiver are the same."""


class TimeZoneUnknown(InvalidInput):
    """Not a name of the IANA time zone database; `given` is cut to a line."""

    def __init__(self, *, given: str) -> None:
        super().__init__(given)
        self.given = given


class PictureMissing(InvalidInput):
    """The message that was clicked holds no picture."""


class PictureGone(InvalidInput):
    """Discord's address of a reference picture has ended, so the provider could not fetch it."""


class TaskUnreadable(InvalidInput):
    """What staff named cannot be the name of a task (F-43)."""


class MemberNotHere(InvalidInput):
    """The chosen user is not a member of this server (F-142)."""


class MemberIsBot(InvalidInput):
    """Bots have no wallet."""


# --- What a rule forbids -----------------------------------------------------------------------


class Refused(AtelierError):
    """A rule of the server or of ours says no; it cost nothing."""


class PermissionMissing(Refused):
    """The member lacks a permission (Discord's name, such as `manage_guild`)."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


class BotPermissionMissing(Refused):
    """The bot itself lacks a permission in this channel."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


class NotOwner(Refused):
    """A button or a job that belongs to somebody else."""


class GuildOnly(Refused):
    """Only makes sense in a server."""


class SelfGrant(Refused):
    """Staff may not change their own credits, unless they own the server (F-142)."""


class TooManyTurns(Refused):
    def __init__(self, *, limit: int) -> None:
        super().__init__(str(limit))
        self.limit = limit


class TurnOver(Refused):
    """Stop was pressed on an answer that has already ended."""


class Restarting(Refused):
    """The process is ending: nothing new is begun (S-11)."""


class CommandOutdated(Refused):
    """Discord still offers a command, or a form of it, that this version does not know."""


class JobNotFound(Refused):
    """No such job, or not this member's."""


class JobNotCancellable(Refused):
    """The provider has it already, or it is over; `job` is as it stood then."""

    def __init__(self, *, job: Job) -> None:
        super().__init__(f"{job.short_id}: {job.status}")
        self.job = job


class TooManyJobs(Refused):
    """This member has so many jobs that are not over."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(str(limit))
        self.limit = limit


class NoRoom(Refused):
    """There is no place for a result now: refused before any hold (F-111).

    `missing_bytes` must go first; None where the disk cannot be read.
    """

    def __init__(self, *, missing_bytes: int | None) -> None:
        super().__init__(str(missing_bytes))
        self.missing_bytes = missing_bytes


class ModelOff(Refused):
    """The model is in the catalogue, but this installation has no key for its provider."""

    def __init__(self, *, model: str) -> None:
        super().__init__(model)
        self.model = model


class PauseCause(StrEnum):
    """Why nothing is sent to a provider for now (S-13)."""

    KEY = "key"
    """401: the key is not accepted (F-31)."""
    BALANCE = "balance"
    """402: the operator's balance is empty (F-32)."""
    ADDRESS = "address"
    """403: not from this machine, or not with this key (F-33)."""
    SPEND_LIMIT = "spend_limit"
    """429: the operator's own limit is reached (F-37)."""
    UNCLEAR = "unclear"
    """Several creates in a row were answered by nothing that can be understood."""
    TROUBLE = "trouble"
    """Several 5xx in a row."""


class ProviderPaused(Refused):
    """The breaker is open: refused before any hold. `until_us` (Unix µs) if time alone ends it."""

    def __init__(self, *, provider: str, cause: PauseCause, until_us: int | None) -> None:
        super().__init__(f"{provider}: {cause}")
        self.provider = provider
        self.cause = cause
        self.until_us = until_us


class ConfirmationExpired(Refused):
    """The question about the price is older than this process, or was answered."""


# --- What the provider said, or failed to say ---------------------------------------------------


class ProviderError(AtelierError):
    """One answer of a provider. `code` is its own word, for logs; never shown to a member."""

    def __init__(
        self, *, provider: str, status: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(f"{provider}: {status} {code}")
        self.provider = provider
        self.status = status
        self.code = code


class ProviderRejected(ProviderError):
    """400 invalid_request / invalid_parameter; `field` when the answer names one (F-30).

    `kind` is the job's, None in a chat.
    """

    def __init__(
        self,
        *,
        provider: str,
        status: int | None = None,
        code: str | None = None,
        field: str | None = None,
        kind: JobKind | None = None,
    ) -> None:
        super().__init__(provider=provider, status=status, code=code)
        self.field = field
        self.kind = kind


class InvalidApiKey(ProviderError):
    """401: malformed, disabled or deleted key, or a banned account (F-31)."""


class ProviderCreditsExhausted(ProviderError):
    """402: the operator's balance is empty (F-32)."""


class IpNotAllowed(ProviderError):
    """403: the key has an allowlist and we are not on it (F-33)."""


class InsufficientPermissions(ProviderError):
    """403 of the OpenAI video format: the key may not do this."""


class ModelNotFound(ProviderError):
    """404 by code: the model is gone or inactive (F-34); `kind` as in `ProviderRejected`."""

    def __init__(
        self,
        *,
        provider: str,
        status: int | None = None,
        code: str | None = None,
        model: str | None = None,
        kind: JobKind | None = None,
    ) -> None:
        super().__init__(provider=provider, status=status, code=code)
        self.model = model
        self.kind = kind


class TaskNotFound(ProviderError):
    """404 by code: no such task (F-35)."""


class RateLimited(ProviderError):
    """429 rate_limit_exceeded; `retry_after_s` when the answer says (F-36)."""

    def __init__(
        self,
        *,
        provider: str,
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(provider=provider, status=status, code=code)
        self.retry_after_s = retry_after_s


class SpendLimitExceeded(ProviderError):
    """429 spend_limit_exceeded: only time or the operator helps (F-37)."""


class ProviderInternalError(ProviderError):
    """500, or an undocumented 5xx (F-38, F-41)."""


class UpstreamError(ProviderError):
    """503 upstream_error: an outage *or* prohibited content *or* a parameter (F-40)."""


class ContentRefused(ProviderError):
    """The provider names content rules as the reason (content_filter, refusal)."""


class ProviderUnreachable(ProviderError):
    """No connection was ever made: DNS, refused, TLS, connect timeout (F-45)."""


class AnswerLost(ProviderError):
    """The request left and no answer came: timeout, reset (F-46)."""


class AnswerMalformed(ProviderError):
    """The answer is not what the protocol says: HTML, broken JSON, wrong shape (F-41, F-58)."""


class StreamCut(ProviderError):
    """The stream ended without a terminal event (F-57, trap 17)."""


class StreamStalled(ProviderError):
    """No byte came for `idle_s` seconds (F-60)."""

    def __init__(self, *, provider: str, idle_s: float) -> None:
        super().__init__(provider=provider)
        self.idle_s = idle_s


# --- Why an answer stands unfinished --------------------------------------------------------------


class AnswerUnfinished(AtelierError):
    """What was shown of an answer stays; its end never came (S-12)."""


class Interrupted(AnswerUnfinished):
    """A restart of the bot cut it off (F-19, F-20)."""


class BrokenTooOften(AnswerUnfinished):
    """It broke off, as more than `limit` of this member's answers did today: it is charged."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(str(limit))
        self.limit = limit


# --- Why a job ended without its result -----------------------------------------------------------


class JobFailure(AtelierError):
    """The provider took the job, and there is nothing to show; nothing was charged."""


class TaskFailed(JobFailure):
    """The provider ended the task as failed, for no reason we can name (F-47)."""


class DeadlinePassed(JobFailure):
    """The task did not end in time (F-52)."""


class OutcomeUnknown(JobFailure):
    """The answer to our create got lost and nothing came of it within the grace (section 5)."""


class ResultUnavailable(JobFailure):
    """The task succeeded, but its file cannot be had: gone, expired, slow (F-48, F-53, F-56)."""


class ResultUnusable(JobFailure):
    """What came is no picture or film, too large, or at an address we refuse (F-54, F-55)."""


# --- What the operator can mend -------------------------------------------------------------------


class Problem(TypedDict):
    """One mistake in the settings or the catalogue: where, and what is wrong."""

    where: str
    what: str


class SettingsInvalid(AtelierError):
    """All mistakes at once; the process ends with exit code 78."""

    def __init__(self, *, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s)")
        self.problems = problems


class CatalogueInvalid(AtelierError):
    """All mistakes of a `models.toml` at once."""

    def __init__(self, *, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s)")
        self.problems = problems


class DiscordRefused(AtelierError):
    """Discord will not let this bot in, and trying again cannot help (F-82, F-88); exit 78.

    `close_code` is the gateway's (4004 token, 4013 or 4014 intents, 4010 to 4012 ours), or None
    when REST already answered 401.
    """

    def __init__(self, *, close_code: int | None = None) -> None:
        super().__init__(f"close code {close_code}")
        self.close_code = close_code


class DiscordUnreachable(AtelierError):
    """Discord could not be reached `attempts` times in a row before the first connection."""

    def __init__(self, *, attempts: int) -> None:
        super().__init__(f"{attempts} attempts")
        self.attempts = attempts


class Unexpected(AtelierError):
    """A bug of ours; the cause is chained and logged under `reference`."""

    def __init__(self, *, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference
