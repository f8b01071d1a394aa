"""I-23, I-27, I-28, I-31, I-32: what members see of their jobs."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.books import Books
from tests.simulation.discord import Discord
from tests.simulation.invariants import Moment, invariant

WINDOW_S = 600.0
INVALID_MAX = 100
MINUTE_S = 60.0
TRIES_MAX = 30
"""Of one job's end in a minute: the waits of S-7 leave room for nine, each through three sinks."""


@invariant("I-23", "one message holds a job's outcome, and says what was booked", Moment.SHOWN)
def outcomes(books: Books, discord: Discord) -> Iterator[str]:
    for job in books.jobs.values():
        mine = [one for one in discord.messages.values() if one.job_id == job.id]
        ends = [one for one in mine if one.outcome is not None and not one.is_deleted]
        booked = f"{job.outcome} {job.failure} {job.charged_ucr}"
        for one in ends:
            if one.outcome != booked:
                yield f"job {job.id}: shows {one.outcome}, booked {booked}"
        # Of an end whose answer got lost nobody knows that it stands where it stands; nor of one
        # that could not be written down, where the history is closed since (F-87).
        is_unread = any(reference == job.reference for _channel_id, reference in discord.unread)
        may_be_twice = is_unread or job.reference in discord.unclear
        if len(ends) > 1 and not may_be_twice:
            yield f"job {job.id}: {len(ends)} messages hold its end"
        was_deleted = any(one.is_deleted for one in mine)
        if job.sink != "list" and not ends and not was_deleted:
            yield f"job {job.id}: delivered to {job.sink}, and nowhere to be seen"
    yield from discord.taken_back


@invariant("I-27", "one message for each nonce, as far as history can be read", Moment.SHOWN)
def nonces(books: Books, discord: Discord) -> Iterator[str]:
    del books
    yield from discord.doubles


@invariant("I-28", "nobody is pinged twice about a job", Moment.SHOWN)
def pings(books: Books, discord: Discord) -> Iterator[str]:
    del books
    for reference, count in discord.pings.items():
        if count > 1:
            yield f"{reference}: pinged {count} times"


@invariant("I-32", "at most 100 invalid requests in ten minutes", Moment.SHOWN)
def invalid_requests(books: Books, discord: Discord) -> Iterator[str]:
    del books
    moments = discord.invalid_s
    for begin, begin_s in enumerate(moments):
        count = sum(at_s < begin_s + WINDOW_S for at_s in moments[begin:])
        if count > INVALID_MAX:
            yield f"{count} from {begin_s:.0f} s on"
            return


@invariant("I-31", "at most thirty requests a minute about the end of a job", Moment.SHOWN)
def tries(books: Books, discord: Discord) -> Iterator[str]:
    del books
    for (process, job_id), moments in discord.tries_s.items():
        # So many and one more, all within a minute.
        for begin_s, end_s in zip(moments, moments[TRIES_MAX:], strict=False):
            if end_s < begin_s + MINUTE_S:
                yield f"job {job_id}, process {process}: tried too often from {begin_s:.0f} s on"
                return
