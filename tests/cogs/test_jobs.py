"""`/jobs`: what was asked for, where it stands, and results that could not be posted."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from sandbox.discord.seed import GENERAL_ID, GUILD_ID
from storage import inbox
from storage.types import Job, Outcome, Sink
from tests.cogs.mishaps import MEBIBYTE, problems, refused, remove
from tests.cogs.studio import Studio, gallery, labels, opened
from tests.cogs.town import Json, words


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened(allowance_credits=100) as made:
        yield made


async def told(studio: Studio, command: str, user: str = "mira", **options: Json) -> Json:
    """The private answer to a command."""
    before = len(await studio.private(user))
    interaction_id = await studio.use(user, command, options=options)
    await studio.answered(interaction_id)
    found = await studio.until_private(lambda found: len(found) == before + 1, user=user)
    return found[-1]


async def waiting(studio: Studio, **result: Json) -> Job:
    """A success that only the list has."""
    job = studio.foreman.succeed(await studio.order(), **result)
    studio.foreman.record(job, Sink.LIST, None)
    return studio.foreman.fresh(job)


async def test_the_list_says_where_each_job_stands(studio: Studio) -> None:
    """Newest first; what waits here says so."""
    kept = await waiting(studio)
    failed = studio.foreman.fail(await studio.order(prompt="a `dragon`"), "TaskFailed")
    studio.foreman.start(await studio.order(command="video", prompt="waves"))
    await studio.order(prompt="a cat")

    lines = words(await told(studio, "jobs list")).splitlines()

    assert "**queued** · GPT Image 2 · a cat" in lines[1]
    assert "**in the making** · Grok Imagine · waves" in lines[2]
    assert f"`{failed.short_id}` **failed** · GPT Image 2 · a \\`dragon\\`" in lines[3]
    assert f"`{kept.short_id}` **ready**" in lines[4]
    assert lines[4].endswith("waits here")


async def test_an_empty_list_says_how_to_begin(studio: Studio) -> None:
    assert "`/imagine` makes a picture" in words(await told(studio, "jobs list"))


async def test_nobody_sees_somebody_elses_jobs(studio: Studio) -> None:
    job = await waiting(studio)

    listed = words(await told(studio, "jobs list", "tom"))
    shown = words(await told(studio, "jobs show", "tom", job=job.short_id))

    assert job.short_id not in listed
    assert "No such job" in shown


async def test_show_brings_a_result_that_could_not_be_posted(studio: Studio) -> None:
    """With its file, for the asker alone, and with its buttons."""
    job = await waiting(studio)

    shown = await told(studio, "jobs show", job=job.short_id)

    assert gallery(shown)
    assert labels(shown) == ["Again", "Edit prompt", "4K", "Animate", "Delete"]
    assert len(shown["attachments"]) == 1


async def test_only_the_owner_is_told_what_is_left(studio: Studio) -> None:
    """A balance is nobody else's business, not even for staff who look into a job."""
    job = studio.foreman.succeed(await studio.order())

    own = words(await told(studio, "jobs show", job=job.short_id))
    by_staff = words(await told(studio, "jobs show", "olive", job=job.short_id))

    assert f"left · job {job.short_id}" in own
    assert f"charged 2.4 credits · job {job.short_id}" in by_staff


async def test_a_shown_result_can_be_animated_and_put_away(studio: Studio) -> None:
    """The buttons know the job wherever its card stands."""
    job = await waiting(studio)
    shown = await told(studio, "jobs show", job=job.short_id)

    await studio.answered(await studio.press("mira", shown, "Animate"))
    await studio.press("mira", shown, "Delete")

    await studio.until_private(lambda found: found == [])
    assert (
        "/ephemeral-attachments/"
        in studio.foreman.jobs_of(job.user_id)[-1].request["image_urls"][0]
    )


async def test_show_leads_to_a_result_that_stands_elsewhere(studio: Studio) -> None:
    """Its file is not kept twice."""
    job = studio.foreman.succeed(await studio.order())
    delivered = await studio.foreman.deliver(studio.delivery, job)
    for path in studio.foreman.folder.path.iterdir():
        path.unlink()

    shown = words(await told(studio, "jobs show", job=job.short_id))

    place = f"https://discord.com/channels/{GUILD_ID}/{GENERAL_ID}/{delivered.message_id}"
    assert f"[It stands here]({place})." in shown
    assert "no longer here" not in shown


async def test_show_of_what_went_by_direct_message_says_so(studio: Studio) -> None:
    """Its card has no result, and its file is not kept here: no word of a loss."""
    job = studio.foreman.succeed(await studio.order(), data=None)
    studio.foreman.record(job, Sink.DM, 77)

    shown = words(await told(studio, "jobs show", job=job.short_id))

    assert "It was sent as a direct message." in shown
    assert "no longer here" not in shown


async def test_show_of_a_direct_message_leads_there(studio: Studio) -> None:
    channel = await studio.town.dm("mira")
    job = studio.foreman.succeed(await studio.order(channel=channel), data=None)
    await studio.foreman.deliver(studio.delivery, job)

    shown = words(await told(studio, "jobs show", job=job.short_id))

    assert f"https://discord.com/channels/@me/{channel}/" in shown


async def test_show_of_a_job_that_is_not_over_is_its_card(studio: Studio) -> None:
    """With Cancel, as everywhere."""
    job = await studio.order()

    shown = await told(studio, "jobs show", job=job.short_id.lower())

    assert "Queued, place 1" in words(shown)
    await studio.answered(await studio.press("mira", shown, "Cancel"))
    found = await studio.until_private(lambda found: "Cancelled." in words(found[0]))
    assert len(found) == 1


async def test_show_tells_of_a_file_that_is_too_large_here(studio: Studio) -> None:
    job = await waiting(studio, size_bytes=12 * MEBIBYTE)

    shown = words(await told(studio, "jobs show", job=job.short_id))

    assert "The file (12 MiB) is above the 10 MiB allowed here." in shown


async def test_a_file_that_discord_refuses_after_all_is_told(studio: Studio) -> None:
    """F-96."""
    job = await waiting(studio, source_url="https://files.example/a.png")
    await refused(studio, "PATCH", "/webhooks/.*/messages/@original", 413, 40005)

    shown = words(await told(studio, "jobs show", job=job.short_id))

    assert "is too large for Discord" in shown
    assert "[Open the picture](<https://files.example/a.png>)" in shown


async def test_other_refusals_of_the_card_are_told(studio: Studio) -> None:
    job = await waiting(studio)
    await refused(studio, "PATCH", "/webhooks/.*/messages/@original", 400, 50035)

    await studio.use("mira", "jobs show", options={"job": job.short_id})

    (shown,) = await studio.until_private(lambda found: bool(found) and bool(words(found[0])))
    assert "That was my mistake" in words(shown)


async def test_cancel_by_command_gives_the_credits_back(studio: Studio) -> None:
    job = await studio.order()

    shown = words(await told(studio, "jobs cancel", job=job.short_id))

    assert f"Job `{job.short_id}` is off; your 2.4 credits are back." in shown
    assert studio.foreman.fresh(job).outcome is Outcome.CANCELLED


async def test_staff_may_cancel_a_members_job_in_their_server(studio: Studio) -> None:
    """But not look at everything: the list stays the member's own."""
    job = await studio.order()

    await told(studio, "jobs cancel", "sam", job=job.short_id)

    assert studio.foreman.fresh(job).outcome is Outcome.CANCELLED


async def test_staff_name_the_task_of_a_lost_answer(studio: Studio) -> None:
    """Section 5, evidence (d): kept as a hint that the engine looks at; for staff alone (C-17)."""
    job = await studio.order()

    refused_ = words(await told(studio, "jobs bind", "tom", job=job.short_id, task="task-1"))
    shown = words(await told(studio, "jobs bind", "sam", job=job.short_id, task=" task-1 "))
    odd = words(await told(studio, "jobs bind", "sam", job=job.short_id, task="no task"))

    assert "Manage Server" in refused_
    assert "The provider is asked about `task-1` in a moment." in shown
    assert "A task cannot be called so." in odd
    (kept,) = studio.foreman.database.view(inbox.callbacks_of, job_id=job.id)
    assert '"task-1"' in kept.body


async def test_jobs_complete_by_prompt_state_and_number(studio: Studio) -> None:
    """Own ones; `cancel` offers only those that can be."""
    done = await waiting(studio)
    open_ = await studio.order(prompt="a cat " + "x" * 200)
    await studio.order("tom")

    everything = await studio.complete("mira", "jobs show", "job", job="")
    typed = await studio.complete("mira", "jobs show", "job", job="READY")
    by_number = await studio.complete("mira", "jobs show", "job", job=done.short_id[:5].lower())
    cancellable = await studio.complete("mira", "jobs cancel", "job", job="")

    assert [choice["value"] for choice in everything] == [open_.short_id, done.short_id]
    assert [choice["value"] for choice in typed] == [done.short_id]
    assert [choice["value"] for choice in by_number] == [done.short_id]
    assert [choice["value"] for choice in cancellable] == [open_.short_id]
    assert max(len(choice["name"]) for choice in everything) <= 100


async def test_every_request_is_valid(studio: Studio) -> None:
    """By Discord's own description."""
    job = await waiting(studio)
    await remove(studio, job.card_message_id)
    for command in ("jobs list", "jobs show"):
        options = {"job": job.short_id} if command.endswith("show") else {}
        await told(studio, command, **options)

    assert problems(await studio.town.requests()) == []
