"""Tasks at the provider: polls, ends, results, prices (S-5, F-35, F-39, F-47 … F-56, F-68)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from bot.errors import ProviderInternalError, ResultUnusable, TaskNotFound
from bot.limits import SOURCE_KEPT_S
from bot.providers.base import TaskState, TaskStatus
from storage import jobs
from storage.schema import LOSS_ID, accounts
from storage.types import JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import Task, unavailable
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import PICTURE_UCR, World


def loss_ucr(world: World) -> int:
    """What the operator has lost so far."""
    statement = accounts.select().where(accounts.c.id == LOSS_ID)
    row = world.inner.view(lambda connection: connection.execute(statement).one())
    return int(row.balance_ucr)


# --- Reads ---------------------------------------------------------------------------------------


@virtually
async def test_polls_keep_to_the_plan(world: World) -> None:
    """S-5: after the usual time, then 5, 10, 20, 30 and 60 s; at most one a minute afterwards."""
    world.provider.task_takes_s = 600.0
    await world.boot()
    job = await world.request()
    await world.delivered(job)
    times = [at_us / 1_000_000 for _task, at_us in world.provider.gets]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    for gap, planned in zip(gaps, [5, 10, 20, 30, *[60] * 20], strict=False):
        assert planned <= gap <= planned * 1.1 + 2
    await world.stop()
    world.check_over()


@virtually
async def test_progress_reaches_the_card(world: World) -> None:
    """What a poll tells stands on the card."""
    world.provider.task_takes_s = 120.0
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).progress == 50)
    await world.until(lambda: world.delivery.cards[job.id].job.progress == 50, within_s=15)
    await world.delivered(job)
    await world.stop()


@virtually
async def test_a_read_that_fails_costs_nothing(world: World) -> None:
    """F-39: 500 on GET: the hold stays, the next poll decides."""
    world.provider.get_errors = [ProviderInternalError(provider="aivideo", status=500)] * 3
    await world.boot()
    done = await world.delivered(await world.request())
    assert (done.outcome, done.charged_ucr) == (Outcome.SUCCEEDED, PICTURE_UCR)
    await world.stop()
    world.check_over()


@virtually
async def test_a_task_that_is_missing_for_a_moment_is_found(world: World) -> None:
    """F-35: right after the create a task may not be everywhere yet."""
    world.provider.get_errors = [TaskNotFound(provider="aivideo", status=404)] * 2
    await world.boot()
    done = await world.delivered(await world.request())
    assert done.outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_task_that_stays_missing_is_given_up(world: World) -> None:
    """F-35: three tries in two minutes, then void and loss."""
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    world.provider.tasks.clear()
    done = await world.delivered(job, within_s=150)
    assert (done.failure, done.charged_ucr) == ("TaskNotFound", 0)
    assert len(world.provider.gets) == 3
    assert loss_ucr(world) == PICTURE_UCR
    await world.stop()
    world.check_over()


@virtually
async def test_a_task_that_never_ends_is_refunded_at_the_deadline(world: World) -> None:
    """F-52: half an hour for a picture, to the second; nothing was lost that we know of."""
    world.provider.task_takes_s = None
    await world.boot()
    job = await world.request()
    done = await world.delivered(job, within_s=1_860)
    assert done.failure == "DeadlinePassed"
    assert done.finished_us is not None
    assert 0 <= done.finished_us - done.deadline_us <= 20_000_000
    assert (await world.balance()).held_ucr == loss_ucr(world) == 0
    await world.stop()
    world.check_over()


@virtually
async def test_a_film_may_take_three_hours(world: World) -> None:
    """S-5: the deadline by kind."""
    world.provider.task_takes_s = 10_000.0
    world.provider.shape = film_of
    await world.boot()
    job = await world.service.request(world.film())
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_after_the_deadline_a_last_look_is_taken(world: World) -> None:
    """We were away past the deadline, and the task ended meanwhile: that is a result."""
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    await world.crash()
    await world.clock.sleep(7_200)
    await world.boot()
    done = await world.delivered(job, within_s=5)
    assert done.outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_an_unknown_status_word_means_that_it_runs(world: World) -> None:
    """F-49: the deadline applies, nothing else."""
    running = TaskState(status=TaskStatus.RUNNING, task_id="task-1", status_word="dreaming")
    world.provider.states = [running] * 3
    await world.boot()
    done = await world.delivered(await world.request())
    assert done.outcome is Outcome.SUCCEEDED
    await world.stop()


@virtually
async def test_what_a_provider_says_after_the_end_is_ignored(world: World) -> None:
    """F-50: an ended job is never asked about again."""
    await world.boot()
    job = await world.request()
    done = await world.delivered(job)
    gets = len(world.provider.gets)
    world.provider.states = [TaskState(status=TaskStatus.RUNNING)] * 10
    await world.call_back(job, body={"id": "task-1", "status": "processing"})
    await world.clock.sleep(600)
    assert world.fresh(job) == done
    assert len(world.provider.gets) == gets
    await world.stop()


@pytest.mark.parametrize("failure", [None, "ContentRefused", "UpstreamError"])
def test_a_failed_task_is_refunded_with_its_reason(
    new_world: NewWorld, failure: str | None
) -> None:
    """F-47: the provider refunds failed tasks, so nothing is lost."""

    @virtually
    async def play() -> None:
        world = new_world()
        state = TaskState(status=TaskStatus.FAILED, task_id="task-1", failure=failure)
        world.provider.states = [state]
        await world.boot()
        done = await world.delivered(await world.request())
        assert (done.failure, done.charged_ucr) == (failure or "TaskFailed", 0)
        assert loss_ucr(world) == 0
        await world.stop()
        world.check_over()

    play()


# --- Results -------------------------------------------------------------------------------------


def film_of(task: Task) -> None:
    task.urls = (f"https://files.example/{task.id}.mp4",)


def without_urls(task: Task) -> None:
    task.urls = ()


@virtually
async def test_a_result_without_an_address_is_asked_for_thrice(world: World) -> None:
    """F-48: nothing for three reads, then void and loss."""
    world.provider.shape = without_urls
    await world.boot()
    done = await world.delivered(await world.request())
    assert (done.failure, done.charged_ucr) == ("ResultUnavailable", 0)
    ended = [at_us for _task, at_us in world.provider.gets if at_us >= 0]
    assert len(ended) >= 3
    assert loss_ucr(world) == PICTURE_UCR
    await world.stop()
    world.check_over()


@virtually
async def test_an_address_that_comes_later_is_taken(world: World) -> None:
    """F-48: a completed task may name its result a moment later."""
    bare = TaskState(status=TaskStatus.SUCCEEDED, task_id="task-1")
    world.provider.task_takes_s = 1.0
    world.provider.states = [bare, bare]
    await world.boot()
    done = await world.delivered(await world.request())
    assert done.outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_result_that_is_gone_is_read_afresh(world: World) -> None:
    """F-53: each try begins with a fresh read of the task, which may name a better address."""
    url = "https://files.example/1.png"
    world.files.errors[url] = [unavailable(), unavailable()]
    await world.boot()
    job = await world.request()
    done = await world.delivered(job)
    assert done.outcome is Outcome.SUCCEEDED
    assert world.files.fetched == [url] * 3
    await world.stop()
    world.check_over()


@virtually
async def test_a_result_that_stays_gone_is_refunded(world: World) -> None:
    """F-53, F-56: three tries, then void and loss; settling comes after securing."""
    world.files.error = unavailable()
    await world.boot()
    done = await world.delivered(await world.request())
    assert (done.failure, done.charged_ucr) == ("ResultUnavailable", 0)
    assert len(world.files.fetched) == 3
    assert loss_ucr(world) == PICTURE_UCR
    await world.stop()
    world.check_over()


@virtually
async def test_what_is_no_picture_is_refunded_at_once(world: World) -> None:
    """F-54, F-55: HTML, an archive, an endless file: no second try."""
    world.files.error = ResultUnusable("wrong_type")
    await world.boot()
    done = await world.delivered(await world.request())
    assert (done.failure, len(world.files.fetched)) == ("ResultUnusable", 1)
    assert loss_ucr(world) == PICTURE_UCR
    await world.stop()
    world.check_over()


@virtually
async def test_several_pictures_are_one_result(world: World) -> None:
    """Trap 35: `urls` may hold several; the same picture twice is one."""

    def several(task: Task) -> None:
        task.urls = tuple(f"https://files.example/{name}.png" for name in ("a", "b", "a"))

    world.provider.shape = several
    await world.boot()
    job = await world.request()
    await world.delivered(job)
    files = world.inner.view(jobs.artifacts_of, job_id=job.id)
    stem = f"atelier-{job.short_id.lower()}"
    assert [file.filename for file in files] == [f"{stem}-1.png", f"{stem}-2.png"]
    assert len(world.delivery.cards[job.id].result_paths) == 2
    await world.stop()


@virtually
async def test_a_missing_picture_of_several_is_waited_for_not_for_ever(world: World) -> None:
    """The others are the result in the end."""

    def several(task: Task) -> None:
        task.urls = ("https://files.example/a.png", "https://files.example/b.png")

    world.provider.shape = several
    world.files.errors["https://files.example/b.png"] = [unavailable() for _ in range(9)]
    await world.boot()
    job = await world.request()
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert len(world.inner.view(jobs.artifacts_of, job_id=job.id)) == 1
    await world.stop()


@virtually
async def test_a_film_behind_a_key_comes_as_bytes(world: World) -> None:
    """The OpenAI format: no address, so `/content` with our key."""

    def behind(task: Task) -> None:
        task.urls, task.has_content = (), True

    world.provider.shape = behind
    await world.boot()
    job = await world.service.request(world.film(model_id="viduq1"))
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    (file,) = world.inner.view(jobs.artifacts_of, job_id=job.id)
    assert (file.source_url, file.content_type) == (None, "video/mp4")
    await world.stop()
    world.check_over()


@virtually
async def test_an_address_that_fails_falls_back_to_content(world: World) -> None:
    """The address first; `/content` once where that fails."""

    def both(task: Task) -> None:
        film_of(task)
        task.has_content = True

    world.provider.shape = both
    world.files.error = unavailable()
    await world.boot()
    job = await world.service.request(world.film(model_id="viduq1"))
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert world.files.fetched == ["https://files.example/task-1.mp4", "/content"]
    await world.stop()


# --- Prices --------------------------------------------------------------------------------------


def priced(amount: str) -> Callable[[Task], None]:
    def shape(task: Task) -> None:
        task.credits = Decimal(amount)

    return shape


@pytest.mark.parametrize(
    ("reported", "charged_ucr", "lost_ucr"),
    [
        ("2.4", PICTURE_UCR, 0),
        ("1.5", 1_500_000, 0),
        ("0.0000001", 1, 0),
        ("0", 0, 0),
        ("-5", 0, 0),
        ("3.4", PICTURE_UCR, 1_000_000),
        ("1e400", PICTURE_UCR, 237_600_000),
        ("Infinity", PICTURE_UCR, 0),
        ("NaN", PICTURE_UCR, 0),
        ("sNaN", PICTURE_UCR, 0),
    ],
)
def test_reported_amounts_never_cost_more_than_was_agreed(
    new_world: NewWorld, reported: str, charged_ucr: int, lost_ucr: int
) -> None:
    """F-51, I-6, I-9: cut to [0, hold]; what is beyond is the operator's loss."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.shape = priced(reported)
        await world.boot()
        done = await world.delivered(await world.request())
        assert (done.outcome, done.charged_ucr) == (Outcome.SUCCEEDED, charged_ucr)
        assert loss_ucr(world) == lost_ucr
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_a_price_that_changes_meanwhile_does_not_change_the_jobs(world: World) -> None:
    """F-68: price and multiplier are those of the acceptance."""
    job = await world.request()
    world.catalogue = replace(world.catalogue, multiplier_ppm=9_000_000)
    world.build()
    await world.boot()
    done = await world.delivered(job)
    assert (done.price_ucr, done.charged_ucr) == (PICTURE_UCR, PICTURE_UCR)
    later = await world.request()
    assert later.price_ucr == 9 * PICTURE_UCR
    assert (await world.delivered(later)).charged_ucr == 9 * PICTURE_UCR
    await world.stop()
    world.check_over()


@virtually
async def test_a_multiplied_price_rounds_up(world: World) -> None:
    """I-6: min(hold, ceil(cost × multiplier))."""
    world.catalogue = replace(world.catalogue, multiplier_ppm=1_333_333)
    world.build()
    world.provider.shape = priced("1")
    await world.boot()
    done = await world.delivered(await world.request())
    assert done.charged_ucr == 1_333_333
    await world.stop()


@virtually
async def test_an_address_without_an_end_is_given_the_usual_one(world: World) -> None:
    """providers.md 1.5: links die after 24 hours, and tasks do not say so."""
    await world.boot()
    job = await world.delivered(await world.request())
    (artifact,) = world.inner.view(jobs.artifacts_of, job_id=job.id)
    assert artifact.source_expires_us is not None
    assert job.finished_us is not None
    day_us = int(SOURCE_KEPT_S * 1_000_000)
    assert job.finished_us - 5_000_000 <= artifact.source_expires_us - day_us <= job.finished_us
    await world.stop()
