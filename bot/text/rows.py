"""The rows of the table error → words; `messages.py` looks them up.

Each says what happened and who can mend it. Facts come from the error, never from upstream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot import errors
from bot.text import budgets, pauses, subjects
from bot.text.money import counted, credits_text
from bot.text.options import request_invalid
from storage import errors as store
from storage.types import UCR_PER_CREDIT, Scope


class Remedy(StrEnum):
    """Who can mend it."""

    YOU = "you"
    STAFF = "staff"
    OPERATOR = "operator"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One row of the table, filled in."""

    heading: str
    what: str
    remedy: Remedy
    advice: str


def _you(heading: str, what: str, advice: str) -> Words:
    return Words(heading=heading, what=what, remedy=Remedy.YOU, advice=advice)


def _staff(heading: str, what: str, advice: str) -> Words:
    return Words(heading=heading, what=what, remedy=Remedy.STAFF, advice=advice)


def _operator(heading: str, what: str, advice: str = "") -> Words:
    return Words(
        heading=heading,
        what=what,
        remedy=Remedy.OPERATOR,
        advice=advice or "The bot's operator has to mend this; please tell them the reference.",
    )


def _wait(heading: str, what: str, advice: str) -> Words:
    return Words(heading=heading, what=what, remedy=Remedy.WAIT, advice=advice)


_BUDGETS = {Scope.SERVER: _staff, Scope.INSTALLATION: _wait}


def mebibytes(size_bytes: int) -> str:
    """`20 MiB`, `0.4 MiB`; a size is never rounded down to nothing."""
    return f"{max(size_bytes / 1_048_576, 0.1):.1f}".removesuffix(".0") + " MiB"


MAY_COME_LATE = "Should a result come after all, it waits in `/jobs list`, free of charge."
"""S-6: the credits have gone back by then."""

_PERMISSIONS = {
    "manage_guild": "Manage Server",
    "manage_messages": "Manage Messages",
    "send_messages": "Send Messages",
    "send_messages_in_threads": "Send Messages in Threads",
    "read_message_history": "Read Message History",
    "view_channel": "View Channel",
}


def permission_name(permission: str) -> str:
    """Discord's English label of a permission."""
    return _PERMISSIONS.get(permission, permission.replace("_", " ").title())


def _filename(name: str) -> str:
    """A name that cannot break out of its code span (F-146)."""
    clean = "".join(c for c in name if c.isprintable() and c != "`")
    return clean[:60] or "file"


# --- The rows that need more than one sentence -------------------------------------------------


def _insufficient(error: store.InsufficientCredits) -> Words:
    advice = "The server's staff can give you more with `/quota grant`."
    if error.resets_at_us is not None:
        moment = error.resets_at_us // 1_000_000
        advice = f"Your allowance returns <t:{moment}:R>; the server's staff can also give more."
    return Words(
        heading="Not enough credits",
        what=f"This needs up to {counted(error.needed_ucr)}; "
        f"you have {credits_text(error.available_ucr)}.",
        remedy=Remedy.STAFF,
        advice=advice,
    )


def _rate_limited(error: errors.RateLimited) -> Words:
    wait = "in a moment"
    if error.retry_after_s is not None:
        wait = f"in about {max(1, round(error.retry_after_s))} s"
    return _wait("The model is busy", "Too many requests arrived at once.", f"Try again {wait}.")


def _paused(error: errors.ProviderPaused) -> Words:
    make = _operator if error.cause in pauses.OPERATORS else _wait
    return make(*pauses.paused(error))


def _unsupported(error: errors.AttachmentUnsupported) -> Words:
    return _you(*subjects.attachment_unsupported(error, filename=_filename(error.filename)))


TABLE: dict[type[BaseException], Callable[[Any], Words]] = {
    # --- Our own checks
    errors.PromptEmpty: lambda e: _you(*subjects.prompt_empty(e)),
    errors.PromptTooLong: lambda e: _you(*subjects.prompt_too_long(e)),
    errors.AttachmentTooLarge: lambda e: _you(
        "That file is too large",
        f"`{_filename(e.filename)}` has {mebibytes(e.size_bytes)}; "
        f"{mebibytes(e.limit_bytes)} are allowed.",
        "Attach a smaller one.",
    ),
    errors.AttachmentUnsupported: _unsupported,
    errors.TooManyAttachments: lambda e: _you(
        "Too many files", f"There were {e.count} files; {e.limit} are allowed.", "Attach fewer."
    ),
    errors.ModelUnknown: lambda e: _you(*subjects.model_unknown(e)),
    errors.RequestInvalid: lambda e: _you(*request_invalid(e)),
    errors.AmountInvalid: lambda e: _you(
        "That amount does not work",
        f"An amount is a whole number from {e.low:,} to {e.high:,}.",
        "Enter it without signs, points or letters.",
    ),
    errors.TakeTooLarge: lambda e: _you(
        "More than there is",
        f"Taking {counted(e.needed_ucr)} is too much: "
        f"the member has {counted(e.available_ucr)} to spend.",
        "Take less, or set what is left with `/quota set` (0 leaves nothing).",
    ),
    errors.GiftTooLarge: lambda e: _you(
        "More than you can give",
        f"You wanted to give {counted(e.needed_ucr)} and have {counted(e.available_ucr)} to give:"
        " an allowance is for its own member only.",
        "Give less."
        if e.available_ucr >= UCR_PER_CREDIT
        else "What you are granted or given you can give on.",
    ),
    errors.TimeZoneUnknown: lambda e: _you(
        "That time zone is unknown",
        f"I know no time zone `{_filename(e.given)}`.",
        "Use a name such as `Europe/Berlin`, `America/New_York` or `UTC`.",
    ),
    errors.GiftToSelf: lambda _: _you(
        "That is you", "A gift goes to somebody else.", "Choose another member."
    ),
    errors.PictureMissing: lambda _: _you(
        "No picture there",
        "That message holds no picture that I can see.",
        "Choose a message with a picture (PNG, JPEG, WebP or GIF) in it.",
    ),
    errors.PictureGone: lambda _: _you(
        "The picture is out of reach",
        "The picture that this begins with is no longer given out.",
        "Use the command again and attach the picture.",
    ),
    errors.TaskUnreadable: lambda _: _you(
        "No task's name", "A task cannot be called so.", "Copy its id from the provider's page."
    ),
    errors.MemberNotHere: lambda _: _you(
        "Not a member", "That user is not in this server.", "Choose someone who is."
    ),
    errors.MemberIsBot: lambda _: _you(
        "Bots have no credits", "That user is a bot.", "Choose a person."
    ),
    # --- Rules
    errors.PermissionMissing: lambda e: _staff(
        "You may not do that here",
        f"This needs the permission *{permission_name(e.permission)}*.",
        "The server's staff can give it to you.",
    ),
    errors.BotPermissionMissing: lambda e: _staff(
        "I may not do that here",
        f"I lack the permission *{permission_name(e.permission)}* in this channel.",
        "The server's staff can give it to me in the channel's settings.",
    ),
    errors.NotOwner: lambda _: _you(
        "Not yours",
        "This belongs to whoever asked for it.",
        "Use the command yourself to get one of your own.",
    ),
    errors.GuildOnly: lambda _: _you(
        "Only in a server", "This does nothing in direct messages.", "Use it in a server."
    ),
    errors.SelfGrant: lambda _: _staff(
        "Not your own credits",
        "Staff cannot change their own credits.",
        "Another member of the server's staff, or its owner, can.",
    ),
    errors.TooManyTurns: lambda e: _wait(
        "One after the other",
        f"You already have {e.limit} answers running.",
        "Wait for one to end, or stop it.",
    ),
    errors.TurnOver: lambda _: _you(
        "Already over", "This answer has ended; there is nothing left to stop.", "Just read on."
    ),
    errors.Restarting: lambda _: _wait(
        "Restarting", "A restart of the bot came in between.", "Ask again in a minute."
    ),
    errors.CommandOutdated: lambda _: _you(
        "An old command",
        "This command has changed since your Discord loaded it.",
        "Reload Discord (Ctrl+R, or restart the app) and use it again.",
    ),
    # --- Jobs
    errors.JobNotFound: lambda _: _you(
        "No such job", "There is no such job of yours.", "Look at `/jobs list`."
    ),
    errors.JobNotCancellable: lambda e: _wait(*subjects.job_not_cancellable(e)),
    errors.TooManyJobs: lambda e: _wait(
        "One job after the other",
        f"You already have {e.limit} jobs that are not over.",
        "Wait for one to end, or cancel one.",
    ),
    errors.NoRoom: lambda _: _operator(
        "No room for results", "This bot's disk is full, so I take no orders.", pauses.TELL_OPERATOR
    ),
    errors.ModelOff: lambda e: _operator(
        "That model is switched off",
        f"This bot has no key for {e.model}.",
        "Choose another model; the bot's operator can add the key.",
    ),
    errors.ProviderPaused: _paused,
    errors.ConfirmationExpired: lambda _: _you(
        "No longer open",
        "This question is no longer open: it was answered, is too old, or the bot has restarted.",
        "Unless its card stands here already, give the command again.",
    ),
    errors.TaskFailed: lambda _: _wait(
        "The job failed",
        "The provider could not finish it and gave no reason.",
        "Try again in a few minutes, or ask in other words.",
    ),
    errors.DeadlinePassed: lambda _: _wait(
        "The job took too long",
        "The provider did not finish it in time.",
        f"Try again when it is less busy. {MAY_COME_LATE}",
    ),
    errors.OutcomeUnknown: lambda _: _wait(
        "The job got lost",
        "It was sent, but the provider never confirmed it.",
        f"Try again in a few minutes. {MAY_COME_LATE}",
    ),
    errors.ResultUnavailable: lambda _: _wait(
        "The result cannot be fetched",
        "The provider finished, but its file could not be had.",
        "Try again in a few minutes.",
    ),
    errors.ResultUnusable: lambda _: _wait(
        "The result is not usable",
        "What the provider made is too large, is no picture or film, or lies at an address that "
        "I may not open.",
        "Try again; if it stays, tell the bot's operator.",
    ),
    # --- The provider
    errors.ProviderRejected: lambda e: _you(*subjects.provider_rejected(e)),
    errors.InvalidApiKey: lambda _: _operator(
        "The model is closed to me", "The provider no longer accepts this bot's key."
    ),
    errors.ProviderCreditsExhausted: lambda _: _operator(
        "The bot's own account is empty",
        "The operator's balance at the provider is used up; your credits are untouched.",
        "The bot's operator has to top it up.",
    ),
    errors.IpNotAllowed: lambda _: _operator(
        "The model is closed to this machine",
        "The provider does not accept requests from where this bot runs.",
    ),
    errors.InsufficientPermissions: lambda _: _operator(
        "The bot's key may not do this", "The provider's key lacks the right for this model."
    ),
    errors.ModelNotFound: lambda e: _operator(*subjects.model_not_found(e)),
    errors.TaskNotFound: lambda _: _operator(
        "The work is gone", "The provider no longer knows of this piece of work."
    ),
    errors.RateLimited: _rate_limited,
    errors.SpendLimitExceeded: lambda _: _operator(
        "The bot's spending limit is reached",
        "The operator's limit at the provider is used up for now.",
        "Wait until it resets, or tell the bot's operator.",
    ),
    errors.ProviderInternalError: lambda _: _wait(
        "The model stumbled", "The provider had an error of its own.", "Try again in a minute."
    ),
    errors.UpstreamError: lambda _: _wait(
        "The model gave no answer",
        "Behind the provider something failed, or it did not want to do this.",
        "Try again in a minute; if it stays, ask in other words.",
    ),
    errors.ContentRefused: lambda _: _you(
        "The model declined",
        "Its content rules do not allow this.",
        "Try something else, or in other words.",
    ),
    errors.ProviderUnreachable: lambda _: _wait(
        "The model cannot be reached",
        "No connection to the provider was possible.",
        "Try again in a few minutes.",
    ),
    errors.AnswerLost: lambda _: _wait(
        "The answer got lost",
        "The request was sent, but nothing came back.",
        "Try again in a minute.",
    ),
    errors.AnswerMalformed: lambda _: _wait(
        "The answer made no sense",
        "What the provider sent could not be read.",
        "Try again; if it stays, tell the bot's operator.",
    ),
    errors.StreamCut: lambda _: _wait(
        "Interrupted", "The answer broke off before its end.", "Ask again for a whole one."
    ),
    errors.StreamStalled: lambda e: _wait(
        "Interrupted by silence",
        f"The model said nothing more for {e.idle_s:.0f} s.",
        "Ask again in a minute.",
    ),
    errors.Interrupted: lambda _: _wait(
        "Interrupted by a restart",
        "The bot was restarted in the middle of this answer.",
        "Ask again in a minute.",
    ),
    errors.BrokenTooOften: lambda e: _wait(
        "Interrupted once too often",
        f"The answer broke off before its end. {e.limit} of yours did so today at no charge; from "
        "then on the words that were shown are paid, by an estimate.",
        "Tomorrow the count begins anew.",
    ),
    # --- The operator's side
    errors.SettingsInvalid: lambda _: _operator(
        "The settings are not right", "The bot cannot work with the settings it was given."
    ),
    errors.CatalogueInvalid: lambda _: _operator(
        "The list of models is not right", "The bot cannot work with its `models.toml`."
    ),
    errors.DiscordRefused: lambda _: _operator(
        "Discord refused the bot", "Its token or its intents are not accepted."
    ),
    errors.DiscordUnreachable: lambda _: _operator(
        "Discord is out of reach", "The bot could not reach Discord for several minutes."
    ),
    errors.Unexpected: lambda _: _operator(
        "That was my mistake", "Something went wrong inside the bot."
    ),
    # --- Storage
    store.InsufficientCredits: _insufficient,
    store.BudgetExhausted: lambda e: _BUDGETS[e.scope](*budgets.exhausted(e)),
    store.Duplicate: lambda _: _you(
        "Already done", "This was handled before; nothing happened a second time.", "Look above."
    ),
    store.IllegalMove: lambda _: _operator(
        "Already decided", "This piece of work has ended in another way before."
    ),
    store.UnknownReference: lambda _: _operator(
        "Unknown work", "The bot has no record of this piece of work."
    ),
    store.StoreUnavailable: lambda _: _wait(
        "My memory is busy",
        "The bot's database did not take the entry.",
        "Try again in a minute; if it stays, tell the bot's operator.",
    ),
    store.StoreCorrupt: lambda _: _operator(
        "My memory is damaged", "The bot's database cannot be read."
    ),
    store.StoreInUse: lambda _: _operator(
        "Running twice", "Another copy of this bot is using its database."
    ),
    # --- Everything else is a bug
    Exception: lambda _: _operator(
        "Something failed", "Something went wrong that the bot has no words for."
    ),
}
