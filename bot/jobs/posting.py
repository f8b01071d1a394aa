"""Messages that are created at most once, whenever the process ends (S-7).

Intent first: the row says `sending` before the request leaves. While that is younger than
`NONCE_WINDOW_S`, the same nonce makes a repeat harmless; later the channel's history says whether
the message is there. A ping goes out with the first window only: a lost one is allowed, a double
one is not (I-28).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from bot.clock import Clock
from bot.jobs.ports import Messages, MessageTrouble, Showing, Shown, Trouble
from bot.limits import NONCE_WINDOW_S
from storage import outbox
from storage.database import Store
from storage.outbox import Posting, PostState, Purpose
from storage.types import Job

_US_PER_S = 1_000_000

_log = structlog.get_logger(__name__)


class Poster:
    """One caller at a time for each job. May raise `StorageError` beside what is said."""

    def __init__(self, *, messages: Messages, database: Store, clock: Clock) -> None:
        self._messages = messages
        self._database = database
        self._clock = clock

    async def post(self, showing: Showing, *, purpose: Purpose, channel_id: int) -> Shown | None:
        """Have the message stand there, once; None when it stood there and was deleted (F-91).

        Raises `MessageTrouble`: what passes is to be tried again, `GONE` when it was there for
        sure and is no more, all else is final.
        """
        posting = await self._row(showing.card.job, purpose)
        if posting is None or posting.state is PostState.READY:
            return await self._first(showing, purpose, channel_id)
        showing = _as_in(showing, posting)
        if posting.state is PostState.DEAD:
            raise MessageTrouble(Trouble.REFUSED)
        if posting.state is PostState.SENT:
            known = posting.message_id
            return None if known is None else await self._edit(showing, posting, known)
        if self._left_s(posting) > 0:
            _log.info("posted_once_more", fault="F-16", job=showing.card.job.short_id)
            return await self._create(showing, posting, is_first=False)
        return await self._look(showing, posting)

    async def card_of(self, job: Job) -> int | None:
        """Where a former process left the card, if it did not come to write that down."""
        posting = await self._row(job, Purpose.STATUS)
        if posting is not None and posting.state is PostState.DEAD:
            # It is nowhere; to look for it every few seconds would be refused, too (I-32).
            return None
        if posting is not None and posting.message_id is not None:
            return posting.message_id
        return await self._find(job, channel_id=job.channel_id, after_us=job.created_us)

    async def begun(self, job: Job) -> frozenset[Purpose]:
        """What may stand somewhere already: it is finished before anything else is begun."""
        return await self._database.read(outbox.begun, job_id=job.id)

    # --- The three ways on --------------------------------------------------------------------

    async def _first(self, showing: Showing, purpose: Purpose, channel_id: int) -> Shown | None:
        """Nothing of it can be there yet."""
        job = showing.card.job
        posting = _current(
            await self._database.transact(
                outbox.begin,
                job_id=job.id,
                reference=job.reference,
                purpose=purpose,
                channel_id=channel_id,
                digest=self._messages.digest(showing),
                now_us=self._clock.now_us(),
            )
        )
        return await self._create(_as_in(showing, posting), posting, is_first=True)

    async def _create(self, showing: Showing, posting: Posting, *, is_first: bool) -> Shown | None:
        """Send it; `is_first` when nothing of it can be there before.

        Cut off at the end of the window: later the nonce would protect nobody.
        """
        try:
            async with asyncio.timeout(self._left_s(posting)):
                shown = await self._messages.create(
                    showing, channel_id=posting.channel_id, nonce=posting.nonce
                )
        except TimeoutError as error:
            raise MessageTrouble(Trouble.PASSES) from error
        except MessageTrouble as trouble:
            if trouble.trouble is Trouble.GONE:
                await self._sent(posting, None)
                return None
            if trouble.trouble in {Trouble.PASSES, Trouble.TOO_LARGE}:
                # Whatever the last answer says: discord.py tries a 5xx again by itself, and the
                # try before this answer may have made it (F-86).
                raise
            is_proof = is_first and not trouble.may_be_done
            return await self._refused(showing, posting, trouble, is_proof=is_proof)
        await self._sent(posting, shown.message_id)
        if is_first or posting.digest == self._messages.digest(showing):
            return shown
        # The nonce found the message of an earlier try, which says what was true then.
        return await self._edit(showing, posting, shown.message_id)

    async def _refused(
        self, showing: Showing, posting: Posting, trouble: MessageTrouble, *, is_proof: bool
    ) -> Shown:
        """Discord never will; without a proof an earlier try may have made it (F-86).

        Raises the trouble unless that is so.
        """
        found = None if is_proof else await self._found(showing.card.job, posting)
        if found is not None:
            await self._sent(posting, found)
            return Shown(message_id=found)
        await self._give_up(posting, trouble)
        raise trouble

    async def _look(self, showing: Showing, posting: Posting) -> Shown | None:
        """Outside the window only the channel's history knows (F-87)."""
        job = showing.card.job
        is_readable = True
        try:
            found = await self._found_or_closed(job, posting)
        except MessageTrouble as trouble:
            if trouble.trouble is Trouble.PASSES:
                raise
            is_readable, found = False, None
            if posting.purpose is Purpose.STATUS:
                await self._give_up(posting, trouble)
                raise
        if found is not None:
            await self._sent(posting, found)
            return await self._edit(showing, posting, found)
        showing = replace(showing, ping=False, is_marked=not is_readable)
        again = _current(
            await self._database.transact(
                outbox.begin_again,
                posting=posting,
                digest=self._messages.digest(showing),
                is_marked=not is_readable,
                now_us=self._clock.now_us(),
            )
        )
        _log.warning(
            "posted_again",
            fault="F-87",
            job=job.short_id,
            purpose=posting.purpose,
            windows=again.windows,
            is_marked=again.is_marked,
        )
        return await self._create(showing, again, is_first=is_readable)

    async def _edit(self, showing: Showing, posting: Posting, message_id: int) -> Shown:
        """Say what is true now; where that is refused, the message stands as it was made."""
        try:
            return await self._messages.edit(
                showing, channel_id=posting.channel_id, message_id=message_id
            )
        except MessageTrouble as trouble:
            if trouble.trouble in {Trouble.PASSES, Trouble.GONE, Trouble.TOO_LARGE}:
                raise
            return Shown(message_id=message_id)

    # --- Parts --------------------------------------------------------------------------------

    async def _row(self, job: Job, purpose: Purpose) -> Posting | None:
        return await self._database.read(outbox.get, job_id=job.id, purpose=purpose)

    async def _sent(self, posting: Posting, message_id: int | None) -> None:
        await self._database.transact(
            outbox.record_sent,
            job_id=posting.job_id,
            purpose=posting.purpose,
            message_id=message_id,
        )

    async def _give_up(self, posting: Posting, trouble: MessageTrouble) -> None:
        await self._database.transact(
            outbox.give_up,
            job_id=posting.job_id,
            purpose=posting.purpose,
            cause=trouble.trouble.name.lower(),
        )

    async def _found(self, job: Job, posting: Posting) -> int | None:
        """As far as the history may be read."""
        try:
            return await self._found_or_closed(job, posting)
        except MessageTrouble as trouble:
            if trouble.trouble is Trouble.PASSES:
                raise
            return None

    async def _found_or_closed(self, job: Job, posting: Posting) -> int | None:
        """Raises `MessageTrouble` where the history is not told."""
        after_us = posting.first_sent_us
        assert after_us is not None
        found = await self._messages.find(
            job,
            channel_id=posting.channel_id,
            after_us=after_us,
            # A card that nobody wrote down may stand there, and does not know the outcome.
            with_answers=posting.purpose is Purpose.STATUS,
        )
        return None if found == job.card_message_id else found

    async def _find(self, job: Job, *, channel_id: int, after_us: int) -> int | None:
        try:
            return await self._messages.find(
                job, channel_id=channel_id, after_us=after_us, with_answers=True
            )
        except MessageTrouble as trouble:
            if trouble.trouble is Trouble.PASSES:
                raise
            return None

    def _left_s(self, posting: Posting) -> float:
        """How long the nonce still protects from a double; 0 when the clock was set back (F-118).

        Nobody knows then how long ago it was.
        """
        assert posting.first_sent_us is not None
        age_s = (self._clock.now_us() - posting.first_sent_us) / _US_PER_S
        return NONCE_WINDOW_S - age_s if age_s >= 0 else 0.0


def _as_in(showing: Showing, posting: Posting) -> Showing:
    """A ping belongs to the first window, and the mark to one that nobody could look into."""
    return replace(showing, ping=showing.ping and posting.windows == 1, is_marked=posting.is_marked)


def _current(posting: Posting | None) -> Posting:
    """Somebody else moved the row: look at it again later."""
    if posting is None:
        raise MessageTrouble(Trouble.PASSES)
    return posting
