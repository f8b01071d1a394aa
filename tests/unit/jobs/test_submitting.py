"""Creates: one request each, three verdicts, and what follows from them (section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bot.errors import (
    AtelierError,
    InvalidApiKey,
    IpNotAllowed,
    ModelNotFound,
    PictureGone,
    ProviderCreditsExhausted,
    ProviderRejected,
    ProviderUnreachable,
    RateLimited,
    RequestInvalid,
    SpendLimitExceeded,
    UpstreamError,
)
from bot.limits import CREATES_PER_PROVIDER_MAX, REFUSED_S_MAX
from bot.providers.base import Created, CreateVerdict, NotCreated, Unknown, UnknownCause
from storage.errors import StoreUnavailable
from storage.types import JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import FakeProvider, Task, lost, made, nothing
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import PICTURE_UCR, SAM, TOM, World

Plan = Callable[[FakeProvider, Task], CreateVerdict]


def refused(error: AtelierError, *, retryable: bool = False, after_s: float | None = None) -> Plan:
    """Certainly not created."""

    def plan(provider: FakeProvider, task: Task) -> CreateVerdict:
        del provider, task
        return NotCreated(error=error, retryable=retryable, retry_after_s=after_s)

    return plan


def unclear(cause: UnknownCause) -> Plan:
    def plan(provider: FakeProvider, task: Task) -> CreateVerdict:
        provider.tasks[task.id] = task
        return Unknown(cause=cause)

    return plan


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        pytest.param(ProviderRejected(provider="aivideo"), "ProviderRejected", id="F-30"),
        pytest.param(InvalidApiKey(provider="aivideo"), "InvalidApiKey", id="F-31"),
        pytest.param(
            ProviderCreditsExhausted(provider="aivideo"), "ProviderCreditsExhausted", id="F-32"
        ),
        pytest.param(IpNotAllowed(provider="aivideo"), "IpNotAllowed", id="F-33"),
        pytest.param(ModelNotFound(provider="aivideo"), "ModelNotFound", id="F-34"),
        pytest.param(SpendLimitExceeded(provider="aivideo"), "SpendLimitExceeded", id="F-37"),
        pytest.param(UpstreamError(provider="aivideo", status=503), "UpstreamError", id="F-40"),
        pytest.param(
            RequestInvalid(model="gpt-image-2", field="resolution", rule="exclusive"),
            "ProviderRejected",
            id="our own check",
        ),
        pytest.param(PictureGone(), "PictureGone", id="picture gone"),
    ],
)
def test_a_certain_refusal_is_final_and_free(
    new_world: NewWorld, error: AtelierError, failure: str
) -> None:
    """F-30 … F-34, F-37, F-40: void at once, no second try by itself, told once."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [refused(error)]
        await world.boot()
        done = await world.delivered(await world.request(), within_s=5)
        assert (done.outcome, done.failure) == (Outcome.FAILED, failure)
        card = world.delivery.cards[done.id]
        assert type(card.error).__name__ == failure
        assert len(world.provider.creates) == 1
        assert (await world.balance()).held_ucr == 0
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_a_full_provider_is_asked_again_when_it_says(world: World) -> None:
    """F-36: 429 keeps the hold, and is tried again after Retry-After, in a new attempt."""
    limited = RateLimited(provider="aivideo", status=429, retry_after_s=42)
    world.provider.plans = [refused(limited, retryable=True, after_s=42.0)]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 1)
    waiting = await world.until_status(job, JobStatus.QUEUED)
    assert (await world.balance()).held_ucr == PICTURE_UCR
    assert waiting.due_us - world.clock.now_us() >= 40_000_000
    done = await world.delivered(job)
    assert done.outcome is Outcome.SUCCEEDED
    assert done.attempt == len(world.provider.creates) == 2
    await world.stop()
    world.check_over()


@virtually
async def test_waking_does_not_shorten_the_wait_for_a_full_provider(world: World) -> None:
    """A callback or another order makes the job due; the provider's own time still counts."""
    limited = RateLimited(provider="aivideo", status=429)
    world.provider.plans = [refused(limited, retryable=True, after_s=60.0)]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 1)
    await world.until_status(job, JobStatus.QUEUED)
    await world.call_back(job, body={"id": "task-invented"})
    await world.clock.sleep(30)
    assert len(world.provider.creates) == 1
    await world.delivered(job)
    assert len(world.provider.creates) == 2
    await world.stop()


@pytest.mark.parametrize("retry_after_s", [None, 1.0, 100.0, 10_000.0])
def test_a_provider_that_stays_away_ends_the_job_in_five_minutes(
    new_world: NewWorld, retry_after_s: float | None
) -> None:
    """F-36, F-45: at most five minutes of tries, then everything goes back."""

    @virtually
    async def play() -> None:
        world = new_world()
        away = ProviderUnreachable(provider="aivideo")
        world.provider.plans = [refused(away, retryable=True, after_s=retry_after_s)] * 1_000
        await world.boot()
        done = await world.delivered(await world.request(), within_s=REFUSED_S_MAX + 60)
        assert done.failure == "ProviderUnreachable"
        assert done.attempt == len(world.provider.creates) <= 60
        await world.stop()
        world.check_over()

    play()


@pytest.mark.parametrize("cause", list(UnknownCause))
def test_what_is_unclear_is_never_sent_again(new_world: NewWorld, cause: UnknownCause) -> None:
    """F-38, F-41, F-42, F-44, F-46: one POST only; the hold stays for the grace, then goes back."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [unclear(cause)]
        await world.boot()
        job = await world.request()
        unknown = await world.until_status(job, JobStatus.UNKNOWN)
        assert unknown.grace_until_us is not None
        assert unknown.grace_until_us - world.clock.now_us() >= 599_000_000
        assert (await world.balance()).held_ucr == PICTURE_UCR
        done = await world.delivered(job, within_s=660)
        assert (done.failure, done.charged_ucr) == ("OutcomeUnknown", 0)
        assert len(world.provider.creates) == 1
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_without_a_public_url_the_grace_is_short(new_world: NewWorld) -> None:
    """Section 5, point 5: nothing can arrive, so the credits come back after two minutes."""
    world = new_world(public=False)
    world.provider.plans = [lost]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    done = await world.delivered(job, within_s=130)
    assert done.failure == "OutcomeUnknown"
    await world.stop()
    world.check_over()


@virtually
async def test_a_films_grace_is_an_hour(world: World) -> None:
    """Section 5, point 5."""
    world.provider.plans = [nothing]
    await world.boot()
    job = await world.service.request(world.film())
    unknown = await world.until_status(job, JobStatus.UNKNOWN)
    assert unknown.grace_until_us is not None
    assert unknown.grace_until_us - world.clock.now_us() >= 3_599_000_000
    assert (await world.delivered(job, within_s=3_700)).failure == "OutcomeUnknown"
    await world.stop()


@virtually
async def test_a_task_of_another_job_is_never_bound(world: World) -> None:
    """F-43, I-25: the second create names the first one's task: that is a doubt, not a binding."""

    def same(provider: FakeProvider, task: Task) -> CreateVerdict:
        del provider, task
        return Created(task_id="task-1")

    world.provider.plans = [made, same]
    world.provider.task_takes_s = 600.0
    await world.boot()
    first = await world.request()
    await world.until_status(first, JobStatus.RUNNING)
    second = await world.request()
    unknown = await world.until_status(second, JobStatus.UNKNOWN)
    assert unknown.task_id is None
    assert (await world.delivered(second)).failure == "OutcomeUnknown"
    assert (await world.delivered(first)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_broken_provider_object_is_a_doubt(world: World) -> None:
    """A mistake of ours in the middle of a paid call may have sent it already."""

    def broken(provider: FakeProvider, task: Task) -> CreateVerdict:
        del provider, task
        raise ZeroDivisionError

    world.provider.plans = [broken]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.delivered(job)
    assert len(world.provider.creates) == 1
    await world.stop()


@virtually
async def test_at_most_four_creates_are_in_flight(world: World) -> None:
    """Section 5, point 1: what a crash can cost the operator is four prices."""
    world.provider.answers_after_s = 10.0
    await world.boot()
    jobs = [await world.request(user_id=user) for user in (1, 2, 3, 4, 5) for _ in range(2)]
    for job in jobs:
        await world.delivered(job)
    assert world.provider.in_flight_max == CREATES_PER_PROVIDER_MAX
    assert len(world.provider.creates) == len(jobs)
    await world.stop()
    world.check_over()


@virtually
async def test_slow_creates_do_not_hold_up_other_jobs(world: World) -> None:
    """Running jobs are polled and delivered while every create hangs."""
    await world.boot()
    first = await world.request()
    await world.until_status(first, JobStatus.RUNNING)
    world.provider.hold = asyncio.Event()
    for user in (TOM, SAM, 4, 5, 6):
        await world.request(user_id=user)
    await world.delivered(first, within_s=60)
    world.provider.hold.set()
    for job in world.all_jobs():
        await world.delivered(job)
    await world.stop()
    world.check_over()


@virtually
async def test_the_answer_is_written_when_the_database_is_back(world: World) -> None:
    """F-110: the task's name is known only here; it is kept until it can be written."""
    world.provider.hold = asyncio.Event()
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    world.database.failures = [StoreUnavailable(cause="disk")] * 40
    world.provider.hold.set()
    done = await world.delivered(job, within_s=600)
    assert done.outcome is Outcome.SUCCEEDED
    assert len(world.provider.creates) == 1
    await world.stop()
    world.check_over()


@virtually
async def test_a_model_that_left_the_catalogue_is_not_asked(world: World) -> None:
    """The operator took it away while the job waited."""
    job = await world.request()
    world.catalogue = type(world.catalogue)(
        chat_models=world.catalogue.chat_models,
        default_chat_model=world.catalogue.default_chat_model,
        multiplier_ppm=world.catalogue.multiplier_ppm,
    )
    world.build()
    await world.boot()
    done = await world.delivered(job)
    assert done.failure == "ModelNotFound"
    assert world.provider.creates == []
    await world.stop()


@virtually
async def test_the_request_is_what_was_accepted(world: World) -> None:
    """F-68: options, safety check and callback address are those of the acceptance."""
    await world.boot()
    job = await world.request(
        options={"resolution": "4k", "aspect_ratio": "16:9"},
        image_urls=("https://cdn.discordapp.com/attachments/1/2/fox.png",),
    )
    await world.delivered(job)
    (sent,) = world.provider.creates
    assert sent.options == {"aspect_ratio": "16:9", "resolution": "4k"}
    assert sent.image_urls == ("https://cdn.discordapp.com/attachments/1/2/fox.png",)
    assert sent.nsfw_checker is True
    assert world.provider.callback_urls == [f"https://bot.example/{job.id}/1"]
    await world.stop()
