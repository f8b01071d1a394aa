"""What staff can do for a job: name its task, give the credits back (section 5, option E)."""

from __future__ import annotations

import pytest

from bot.errors import JobNotFound, TaskUnreadable
from storage.job_acts import JobActKind, acts_of
from storage.types import Job, JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import Task, lost, nothing
from tests.unit.jobs.test_evidence import losses
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import GUILD, PICTURE_UCR, SAM, World


async def an_unknown_job(world: World) -> Job:
    world.provider.plans = [lost]
    job = await world.request()
    return await world.until_status(job, JobStatus.UNKNOWN)


async def bind(
    world: World, job: Job, task_id: str, *, guild_id: int = GUILD, reference: str = "i:900"
) -> Job:
    return await world.service.bind(
        job.short_id, task_id, actor_id=SAM, guild_id=guild_id, reference=reference
    )


def acts(world: World, job: Job) -> list[tuple[JobActKind, int, str | None]]:
    found = world.inner.view(acts_of, job_id=job.id)
    return [(act.act, act.actor_id, act.detail) for act in found]


@pytest.mark.parametrize("public", [True, False])
def test_a_task_that_staff_name_is_adopted(new_world: NewWorld, *, public: bool) -> None:
    """Section 5, point 4 (d): our own read confirms it, also where nobody calls back."""

    @virtually
    async def play() -> None:
        world = new_world(public=public)
        await world.boot()
        job = await an_unknown_job(world)
        await bind(world, job, "task-1")
        done = await world.delivered(job, within_s=60)
        assert (done.outcome, done.task_id) == (Outcome.SUCCEEDED, "task-1")
        assert done.charged_ucr == PICTURE_UCR
        assert acts(world, job) == [(JobActKind.BIND, SAM, "task-1")]
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_staff_can_name_no_task_that_is_not_the_jobs(world: World) -> None:
    """F-43, F-65, I-25, I-26: another job's, one of another model, one that does not exist."""
    await world.boot()
    other = await world.request()
    await world.until_status(other, JobStatus.RUNNING)
    world.provider.plans = [nothing]
    job = await world.request()
    await world.until_status(job, JobStatus.UNKNOWN)
    now_us = world.clock.now_us()
    world.provider.tasks["foreign"] = Task(
        id="foreign", model="veo-3", prompt="?", callback_url=None, created_us=now_us, ends_us=None
    )
    for number, task_id in enumerate((world.task_of(other).id, "foreign", "invented")):
        await bind(world, job, task_id, reference=f"i:{number}")
    done = await world.delivered(job)
    assert (done.failure, done.task_id) == ("OutcomeUnknown", None)
    assert (await world.delivered(other)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_task_named_after_the_refund_is_a_late_result(world: World) -> None:
    """S-6: free for the member, the operator's loss; the same press twice is one act."""
    await world.boot()
    job = await world.delivered(await an_unknown_job(world))
    for _ in range(2):
        await bind(world, job, "task-1")
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=30)
    assert losses(world) == [job.cost_ucr]
    assert acts(world, job) == [(JobActKind.BIND, SAM, "task-1")]
    await world.stop()
    world.check_over()


@virtually
async def test_staff_act_in_their_own_server_only(world: World) -> None:
    """C-17, F-142: jobs of other servers do not exist for them; nonsense is told at once."""
    job = await world.request()
    with pytest.raises(JobNotFound):
        await bind(world, job, "task-1", guild_id=GUILD + 1)
    with pytest.raises(JobNotFound):
        await world.service.bind(
            "00000000", "task-1", actor_id=SAM, guild_id=GUILD, reference="i:1"
        )
    with pytest.raises(TaskUnreadable):
        await bind(world, job, "../../credits")
    assert acts(world, job) == []


@virtually
async def test_a_refund_by_staff_leaves_a_line(world: World) -> None:
    """C-33: who gave a member's credits back; the member's own press is nobody else's act."""
    await world.boot()
    mine, theirs = await an_unknown_job(world), await an_unknown_job(world)
    await world.service.cancel(mine.short_id, user_id=mine.user_id, staff=False, guild_id=None)
    await world.service.cancel(theirs.short_id, user_id=SAM, staff=True, guild_id=GUILD)
    for job in (mine, theirs):
        assert (await world.delivered(job)).outcome is Outcome.CANCELLED
    assert (await world.balance()).held_ucr == 0
    assert acts(world, mine) == []
    assert acts(world, theirs) == [(JobActKind.REFUND, SAM, None)]
    await world.stop()
    world.check_over()
