"""Every error has words: what happened, who can mend it, whether it was paid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from bot import errors
from bot.text.messages import (
    SHORT_REFERENCE_CHARS,
    Tone,
    message,
    short_reference,
    words_for,
)
from bot.text.money import Payment
from bot.text.rows import Remedy, permission_name
from storage import errors as store
from storage.types import Job, Scope, Span
from tests.unit.text.test_jobs import DONE, FAILED, RUNNING, UNKNOWN

SECRET = "upstream-secret-code"
PAID = re.compile(r"charged [\d,.]+ credits|not charged|[\d,.]+ credits held until")
PROVIDER: dict[str, Any] = {"provider": "aivideo", "status": 500, "code": SECRET}

EXAMPLES: dict[type[Exception], Exception] = {
    type(error): error
    for error in (
        errors.PromptTooLong(length=30_000, limit=20_000),
        errors.AttachmentTooLarge(filename="a`b\u202e.png", size_bytes=99_999_999, limit_bytes=20),
        errors.AttachmentUnsupported(
            filename="x.mp4", content_type="video/mp4", model="GPT-5.4", accepted=("images",)
        ),
        errors.TooManyAttachments(count=11, limit=10),
        errors.ModelUnknown(model="gpt-9", known=("gpt-5-4",)),
        errors.RequestInvalid(model="GPT-5.4", field="tools", rule=SECRET),
        errors.AmountInvalid(given="1e999", low=1, high=1_000_000),
        errors.TakeTooLarge(needed_ucr=21_000_000, available_ucr=19_920_000),
        errors.GiftTooLarge(needed_ucr=21_000_000, available_ucr=5_000_000),
        errors.GiftToSelf(),
        errors.TimeZoneUnknown(given="Mars/Olympus"),
        errors.PermissionMissing(permission="manage_guild"),
        errors.BotPermissionMissing(permission="send_messages"),
        errors.TooManyTurns(limit=3),
        errors.JobNotCancellable(job=RUNNING),
        errors.TooManyJobs(limit=5),
        errors.NoRoom(missing_bytes=1),
        errors.ModelOff(model="sora-2"),
        errors.ProviderPaused(
            provider=SECRET, cause=errors.PauseCause.TROUBLE, until_us=1_763_640_000_000_000
        ),
        errors.ProviderRejected(**PROVIDER, field=SECRET),
        errors.ModelNotFound(**PROVIDER, model=SECRET),
        errors.RateLimited(**PROVIDER, retry_after_s=12.4),
        errors.StreamStalled(provider="aivideo", idle_s=60.0),
        errors.BrokenTooOften(limit=3),
        errors.SettingsInvalid(problems=[{"where": "X", "what": SECRET}]),
        errors.CatalogueInvalid(problems=[{"where": "X", "what": SECRET}]),
        errors.DiscordRefused(close_code=4014),
        errors.DiscordUnreachable(attempts=8),
        errors.Unexpected(reference="m:1"),
        store.InsufficientCredits(needed_ucr=80_000, available_ucr=1, resets_at_us=None),
        store.BudgetExhausted(
            scope=Scope.SERVER,
            span=Span.DAY,
            ceiling_ucr=100,
            needed_ucr=9,
            available_ucr=8,
            resets_at_us=7,
        ),
        store.Duplicate(reference=SECRET),
        store.IllegalMove(reference=SECRET, state="open", move="settle"),
        store.UnknownReference(reference=SECRET),
        store.StoreUnavailable(cause=SECRET),
        store.StoreCorrupt(path=SECRET, cause=SECRET),
        store.StoreInUse(path=SECRET, pid=1, host=SECRET),
    )
}


def leaves(root: type[Exception]) -> Iterator[type[Exception]]:
    """The classes below `root` that have none below themselves."""
    children = [cls for cls in root.__subclasses__() if not cls.__module__.startswith("tests")]
    if not children:
        yield root
    for child in children:
        yield from leaves(child)


def example(cls: type[Exception]) -> Exception:
    if cls in EXAMPLES:
        return EXAMPLES[cls]
    if issubclass(cls, errors.ProviderError):
        return cls(**PROVIDER)
    return cls()


ALL = [*leaves(errors.AtelierError), *leaves(store.StorageError)]
every_leaf = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)


@every_leaf
def test_every_leaf_has_a_row_of_its_own(cls: type[Exception]) -> None:
    """A new error without words is found here, not by a member."""
    assert words_for(example(cls)) != words_for(Exception())


@every_leaf
def test_every_text_says_what_happened_who_can_mend_it_and_what_it_cost(
    cls: type[Exception],
) -> None:
    """In exactly one of the three phrases, with a short reference."""
    notice = message(example(cls), reference="m:42")

    assert notice.what.endswith(".")
    assert notice.advice.endswith(".")
    assert len(PAID.findall(notice.markdown)) == 1
    assert f"ref {short_reference('m:42')}" in notice.closing


@every_leaf
def test_no_word_of_upstream_reaches_a_member(cls: type[Exception]) -> None:
    """Codes, causes and paths are for the log."""
    notice = message(example(cls), reference="m:42")

    assert SECRET not in notice.markdown
    assert "\u202e" not in notice.markdown


@every_leaf
def test_the_helper_named_is_the_one_who_can_help(cls: type[Exception]) -> None:
    """Staff and the operator are named where only they can mend it."""
    words = words_for(example(cls))

    if words.remedy is Remedy.STAFF:
        assert "staff" in words.advice
    if words.remedy is Remedy.OPERATOR:
        assert "operator" in words.advice


def test_no_two_leaves_share_a_text() -> None:
    """Whoever reads the text can tell what it was (ask 33)."""
    texts = [(words_for(example(cls)).heading, words_for(example(cls)).what) for cls in ALL]

    assert len(set(texts)) == len(texts)
    assert len({heading for heading, _ in texts}) == len(texts)


def test_an_unknown_exception_is_a_mistake_of_ours_without_its_text() -> None:
    """A bug's own words may hold anything."""
    notice = message(ValueError(SECRET), reference="m:1")

    assert SECRET not in notice.markdown
    assert notice.tone is Tone.FAILED


def test_a_subclass_without_a_row_takes_its_parents() -> None:
    """The table is looked up along the MRO."""

    class Odd(errors.UpstreamError):
        pass

    assert words_for(Odd(**PROVIDER)) == words_for(errors.UpstreamError(**PROVIDER))


def test_a_failure_that_was_paid_says_so() -> None:
    """What was shown may have cost something."""
    notice = message(
        errors.StreamCut(**PROVIDER), reference="m:1", payment=Payment(charged_ucr=80_000)
    )

    assert notice.closing.startswith("charged 0.08 credits · ref ")


@pytest.mark.parametrize(
    ("job", "what", "phrase"),
    [
        (RUNNING, "has this job already", "4.8 credits held until <t:1763641800:t> · ref "),
        (UNKNOWN, "has this job already", "4.8 credits held until <t:1763640600:t> · ref "),
        (DONE, "is over", "charged 4.8 credits · ref "),
        (FAILED, "is over", "not charged · ref "),
    ],
)
def test_a_job_that_cannot_be_cancelled_says_what_it_holds_or_cost(
    job: Job, what: str, phrase: str
) -> None:
    """*Not charged* would be read as *my credits are back*, which is untrue while they are held."""
    notice = message(errors.JobNotCancellable(job=job), reference="i:1")

    assert what in notice.what
    assert notice.closing.startswith(phrase)


def test_a_refusal_is_told_apart_from_a_failure_by_its_tone() -> None:
    """Amber and red: one accent colour per state."""
    assert message(errors.GuildOnly(), reference="i:1").tone is Tone.REFUSED
    assert message(errors.StreamCut(**PROVIDER), reference="i:1").tone is Tone.FAILED


def test_when_the_allowance_returns_is_said_in_the_readers_own_time() -> None:
    """Discord renders the timestamp."""
    error = store.InsufficientCredits(
        needed_ucr=5_000_000, available_ucr=1_500_000, resets_at_us=1_763_683_200_000_000
    )
    words = words_for(error)

    assert words.what == "This needs up to 5 credits; you have 1.5."
    assert "<t:1763683200:R>" in words.advice


EVERYWHERE = "of what this bot may spend {} in all servers and direct messages together there are"
OF_THE_SERVER = "of this server's monthly budget of 100 there are"


@pytest.mark.parametrize(
    ("scope", "span", "what", "advice", "remedy"),
    [
        (
            Scope.SERVER,
            Span.MONTH,
            OF_THE_SERVER,
            "the server's staff can raise it with `/quota budget`.",
            Remedy.STAFF,
        ),
        (
            Scope.INSTALLATION,
            Span.DAY,
            EVERYWHERE.format("today"),
            "only the bot's operator sets it.",
            Remedy.WAIT,
        ),
        (
            Scope.INSTALLATION,
            Span.MONTH,
            EVERYWHERE.format("this month"),
            "only the bot's operator sets it.",
            Remedy.WAIT,
        ),
    ],
)
def test_a_used_up_budget_says_whose_it_is_and_when_it_opens(
    scope: Scope, span: Span, what: str, advice: str, remedy: Remedy
) -> None:
    """I-8: neither can be taken for the other, nor for one's own credits; nothing was charged."""
    error = store.BudgetExhausted(
        scope=scope,
        span=span,
        ceiling_ucr=100_000_000,
        needed_ucr=5_000_000,
        available_ucr=1_500_000,
        resets_at_us=1_763_683_200_000_000,
    )
    words, notice = words_for(error), message(error, reference="i:1")

    assert words.what == (
        f"This needs up to 5 credits; {what} 1.5 left. Your own credits are untouched."
    )
    assert words.advice == f"It starts anew <t:1763683200:R>; {advice}"
    assert words.remedy is remedy
    assert notice.tone is Tone.REFUSED
    assert notice.closing.startswith("not charged · ref ")


def test_who_has_nothing_to_give_is_not_told_to_give_less() -> None:
    nothing = errors.GiftTooLarge(needed_ucr=2_000_000, available_ucr=0)
    some = errors.GiftTooLarge(needed_ucr=2_000_000, available_ucr=1_000_000)
    assert "Give less." not in message(nothing, reference="i:1").markdown
    assert "Give less." in message(some, reference="i:1").markdown


def test_a_busy_model_says_when_to_come_back_if_it_knows() -> None:
    """In seconds, or soon."""
    known = words_for(errors.RateLimited(**PROVIDER, retry_after_s=12.4))

    assert known.advice == "Try again in about 12 s."
    assert words_for(errors.RateLimited(**PROVIDER)).advice == "Try again in a moment."


def test_a_short_reference_is_stable_and_short() -> None:
    """The log has it beside the whole one."""
    assert short_reference("m:1") == short_reference("m:1")
    assert short_reference("m:1") != short_reference("m:2")
    assert re.fullmatch(f"[A-Z2-7]{{{SHORT_REFERENCE_CHARS}}}", short_reference("i:7"))


@pytest.mark.parametrize(
    ("permission", "name"),
    [("manage_guild", "Manage Server"), ("embed_links", "Embed Links")],
)
def test_permissions_are_named_as_discord_shows_them(permission: str, name: str) -> None:
    """Staff find them in the settings by that name."""
    assert permission_name(permission) == name
