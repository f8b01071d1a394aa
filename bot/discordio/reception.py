"""The door: what Discord asks is written down before it is acknowledged (S-2, F-1 … F-3).

taken once          a repeated interaction ends silently (I-33)
within half a second, or the member hears that the database is busy (F-110)
until it ends       its token stays, so that a restart can say that it was interrupted
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import discord
import structlog

from bot.clock import Clock
from bot.discordio.by_token import ORIGINAL, hook_of
from bot.discordio.cards import notice_card, text_card
from bot.discordio.faults import DISCORD_ERRORS, as_surface_error
from bot.discordio.pacing import ChannelPacer
from bot.discordio.surface import SurfaceBusy
from bot.errors import Restarting
from bot.limits import (
    INTERACTION_TOKEN_S,
    INTERRUPTED_DELAY_S,
    INTERRUPTED_DELAY_S_MAX,
    INTERRUPTED_TIMEOUT_S,
    RECEIVE_TIMEOUT_S,
    TELL_INTERVAL_S,
    TELLERS_MAX,
)
from bot.text.answers import PLACEHOLDERS
from bot.text.cards import booked_card
from bot.text.messages import Tone, message
from storage import interactions
from storage.database import Store
from storage.errors import StorageError, StoreUnavailable
from storage.interactions import OpenInteraction

_log = structlog.get_logger(__name__)


class Reception:
    """Every command, press, form and question passes here, in the task that answers it."""

    def __init__(self, database: Store, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._tells = ChannelPacer(clock, interval_s=TELL_INTERVAL_S)
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    async def receive(self, asked: discord.Interaction[Any] | discord.Message) -> None:
        """Write it down; it ends with the task that called.

        Raises `Duplicate`, and `StoreUnavailable` after half a second: then nothing may follow.
        """
        token = asked.token if isinstance(asked, discord.Interaction) else None
        now_us = self._clock.now_us()
        writing = asyncio.create_task(
            self._database.transact(
                interactions.receive,
                interaction_id=asked.id,
                token=token,
                expires_us=now_us + round(INTERACTION_TOKEN_S * 1_000_000),
                now_us=now_us,
            )
        )
        done, _late = await asyncio.wait({writing}, timeout=RECEIVE_TIMEOUT_S)
        if not done:
            # It may still be written; nothing will have come of it.
            self._begin(self._end_late(writing, asked.id))
            raise StoreUnavailable(cause="busy")
        await writing
        answering = asyncio.current_task()
        if token is not None and answering is not None:
            answering.add_done_callback(lambda _task: self._end_soon(asked.id))

    async def interrupted(self) -> tuple[OpenInteraction, ...]:
        """At boot: what a former process took without answering it. May raise `StorageError`."""
        found = await self._database.read(interactions.unanswered, now_us=self._clock.now_us())
        if found:
            _log.warning("interactions_abandoned", fault="F-3", count=len(found))
        return found

    async def keep_telling(self, client: discord.Client, left: Sequence[OpenInteraction]) -> None:
        """Tell what is left from boot until Discord took it all or the tokens have ended (F-3)."""
        delay_s = INTERRUPTED_DELAY_S
        while left:
            await self.tell_interrupted(client, left)
            await self._clock.sleep(delay_s)
            delay_s = min(delay_s * 2, INTERRUPTED_DELAY_S_MAX)
            left = await self._still_open(left)

    async def tell_interrupted(
        self, client: discord.Client, left: Sequence[OpenInteraction]
    ) -> None:
        """Say in each deferred answer that nothing came of it and nothing was charged.

        Of what is booked it says that it was done: who believed otherwise would do it again.
        What has an answer keeps it, and so does a card whose button was pressed. What Discord does
        not take for now stays open.
        """
        gate = asyncio.Semaphore(TELLERS_MAX)

        async def tell(one: OpenInteraction) -> None:
            async with gate:
                await self._tells.turn(0)
                await self._tell(client, one)

        await asyncio.gather(*map(tell, left))

    async def _tell(self, client: discord.Client, one: OpenInteraction) -> None:
        interrupted = notice_card(message(Restarting(), reference=f"i:{one.id}"))
        card = text_card(booked_card(), tone=Tone.GOOD) if one.is_booked else interrupted
        hook = hook_of(client, one.token)
        try:
            async with asyncio.timeout(INTERRUPTED_TIMEOUT_S):
                if _waits(await hook.fetch_message(ORIGINAL), one.id):
                    nobody = discord.AllowedMentions.none()
                    await hook.edit_message(  # type: ignore[call-overload]  # a card needs it gone
                        ORIGINAL, content=None, view=card, allowed_mentions=nobody
                    )
        except DISCORD_ERRORS as error:  # F-2: it never was acknowledged
            _log.info("interrupted_not_told", reference=f"i:{one.id}", error=repr(error))
            if isinstance(as_surface_error(error), SurfaceBusy):
                return
        await self._end(one.id)

    async def _still_open(self, left: Sequence[OpenInteraction]) -> Sequence[OpenInteraction]:
        """Those of `left`; what came since is being answered by this process."""
        try:
            found = await self._database.read(interactions.unanswered, now_us=self._clock.now_us())
        except StorageError as error:  # to be told twice harms nobody
            _log.warning("interrupted_not_read", fault="F-110", error=type(error).__name__)
            return left
        known = {one.id for one in left}
        return [one for one in found if one.id in known]

    def leave_open(self) -> None:
        """From now on Discord hears nothing: what ends may be cut off, so no end is written (S-11).

        What was answered all the same keeps its answer: the next process looks before it tells.
        """
        self._closed = True

    async def close(self) -> None:
        """Let the last endings be written."""
        self.leave_open()
        await asyncio.gather(*self._endings, return_exceptions=True)

    # --- The end of one ---------------------------------------------------------------------------

    def _end_soon(self, interaction_id: int) -> None:
        if not self._closed:
            self._begin(self._end(interaction_id))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        ending = asyncio.ensure_future(work)
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _end(self, interaction_id: int) -> None:
        try:
            await self._database.transact(interactions.end, interaction_id=interaction_id)
        except StorageError as error:  # the token ends by itself (C-45)
            _log.info("interaction_not_ended", error=type(error).__name__)

    async def _end_late(self, writing: asyncio.Task[None], interaction_id: int) -> None:
        with suppress(StorageError):
            await writing
            await self._end(interaction_id)


def _waits(original: discord.Message, interaction_id: int) -> bool:
    """Whether nothing stands there yet that somebody could want to keep.

    A press that was acknowledged without words has the pressed card for its original.
    """
    if original.flags.loading:
        return True
    made_by = original.interaction_metadata
    is_own = made_by is not None and made_by.id == interaction_id
    return is_own and original.content in PLACEHOLDERS.values()
