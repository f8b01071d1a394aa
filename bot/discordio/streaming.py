"""An answer on its way into Discord: first words at once, edits at Discord's pace, a whole end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from bot.chat.ports import Draft, FinalAnswer, NotShown, Phase
from bot.clock import Clock
from bot.discordio.closing import final_pages, with_note
from bot.discordio.pacing import ChannelPacer
from bot.discordio.render import pages
from bot.discordio.rest_breaker import delivering
from bot.discordio.surface import (
    MessageGone,
    Page,
    Surface,
    SurfaceBusy,
    SurfaceClosed,
    SurfaceError,
    nonce_for,
)
from bot.limits import (
    BAN_PAUSE_S,
    FINAL_ATTEMPTS_MAX,
    FINAL_RETRY_DELAY_S,
    PLACEHOLDER_DELAY_S,
    RATE_LIMIT_WAIT_S_MAX,
    REPOSTS_MAX,
)
from bot.text.answers import PLACEHOLDERS, booking_note
from storage.errors import StorageError

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Shown:
    """One message as Discord has it; `is_gone` when somebody deleted it."""

    message_id: int
    page: Page
    is_gone: bool = False


class DiscordAnswer:
    """The sink of one turn (`bot.chat.ports.AnswerSink`).

    `update` only notes the newest draft. One task beside the reader brings Discord up to date, one
    request at a time, because the request that empties a rate limit returns seconds later.
    `moved_to` gives the place to go to, once, when the surface closes; `on_shown` is told the id
    of each new last message, where a restart would have to tell the end.
    """

    def __init__(
        self,
        surface: Surface,
        *,
        reference: str,
        pacer: ChannelPacer,
        clock: Clock,
        placeholder_delay_s: float = PLACEHOLDER_DELAY_S,
        on_shown: Callable[[int], Awaitable[None]] | None = None,
        moved_to: Callable[[], Awaitable[Surface | None]] | None = None,
        demo: bool = False,
    ) -> None:
        self._surface = surface
        self._reference = reference
        self._pacer = pacer
        self._clock = clock
        self._placeholder_delay_s = placeholder_delay_s
        self._on_shown = on_shown
        self._moved_to = moved_to
        self._demo = demo
        self._draft = Draft(text="", phase=Phase.THINKING)
        self._final: list[str] | None = None
        self._news = asyncio.Event()
        self._shown: list[_Shown] = []
        self._rendered: tuple[str, list[str]] = ("", [])
        self._reposts = 0
        self._attempts = 0
        self._is_private = False
        self._is_lost = False
        self._is_unwanted = False

    # --- What the chat calls ------------------------------------------------------------------

    def update(self, draft: Draft) -> None:
        """Note the newest draft; never blocks, never raises."""
        self._draft = draft
        self._news.set()

    async def finish(self, final: FinalAnswer) -> None:
        """Note the end, and return when it is shown. Raises `NotShown` when it cannot be."""
        reference = final.reference or self._reference
        self._end(final_pages(final, reference=reference, demo=self._demo))
        await asyncio.shield(self._writer)
        if self._is_lost and not self._is_unwanted:
            raise NotShown(reference)

    # --- What the cog calls -------------------------------------------------------------------

    async def show(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which answers into this sink, and return when its end is shown.

        What `work` raises is raised again, with nothing left behind: a placeholder that was
        shown meanwhile is removed, and the one hook tells what happened.
        """
        typing = asyncio.create_task(self._type())
        self._writer = asyncio.create_task(self._write())
        try:
            await work
        except Exception:
            self._end([])
            await asyncio.shield(self._writer)
            raise
        finally:
            typing.cancel()

    def _end(self, final: list[str]) -> None:
        self._final = final
        self._attempts = 0
        self._news.set()

    # --- The writer ---------------------------------------------------------------------------

    async def _type(self) -> None:
        try:
            await self._surface.typing()
        except SurfaceError as error:
            _log.debug("typing_not_shown", reference=self._reference, error=repr(error))

    async def _write(self) -> None:
        """Bring Discord up to date until the end is shown or cannot be."""
        try:
            await self._wait_for_words()
            while not self._is_lost:
                self._news.clear()
                is_last = self._final is not None
                if await self._step():
                    continue
                if is_last:
                    return
                await self._news.wait()
        except Exception:  # noqa: BLE001 - the turn must be able to end whatever Discord does.
            _log.exception("answer_not_shown", reference=self._reference)
            self._is_lost = True
            return
        if self._is_lost:
            _log.warning("answer_not_shown", reference=self._reference)

    async def _wait_for_words(self) -> None:
        """Until the first words, the end, or the moment for a placeholder."""
        timer = asyncio.create_task(self._clock.sleep(self._placeholder_delay_s))
        while not (timer.done() or self._draft.text.strip() or self._final is not None):
            news = asyncio.create_task(self._news.wait())
            await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            self._news.clear()
        timer.cancel()

    async def _step(self) -> bool:
        """Send the one request that brings Discord nearest; False when none is needed."""
        todo = self._todo()
        if todo is None:
            return False
        if todo < len(self._shown):
            await self._pacer.turn(self._surface.lane)
            todo = self._todo()  # the newest text wins: it may have moved on while we waited
            if todo is None:
                return False
        with delivering(is_result=self._final is not None):  # S-13: it is paid by now
            try:
                await self._send(todo)
            except SurfaceBusy as busy:
                await self._back_off(busy)
            except SurfaceClosed as closed:
                await self._move(closed)
            else:
                self._attempts = 0
        return True

    def _target(self) -> list[Page]:
        if self._final is not None:
            return [Page(text=text) for text in self._final]
        if self._is_private:
            return [shown.page for shown in self._shown]
        words = self._draft_pages()
        if self._draft.phase is Phase.STOPPED:
            return [Page(text=text) for text in with_note(words, PLACEHOLDERS[Phase.STOPPED])]
        if self._draft.phase is Phase.BOOKING:
            note = booking_note(self._draft.payment)
            return [Page(text=text) for text in with_note(words, note)]
        texts = words or [PLACEHOLDERS[self._draft.phase]]
        last = Page(text=texts[-1], stop_reference=self._reference)
        return [*(Page(text=text) for text in texts[:-1]), last]

    def _draft_pages(self) -> list[str]:
        text = self._draft.text
        if self._rendered[0] != text:
            self._rendered = (text, pages(text))
        return self._rendered[1]

    def _todo(self) -> int | None:
        """The first message that is not as it should be; None when all are."""
        target = self._target()
        for at, page in enumerate(target):
            if at >= len(self._shown):
                return at
            if not self._shown[at].is_gone and self._shown[at].page != page:
                return at
        extra = range(len(target), len(self._shown))
        return next((at for at in reversed(extra) if not self._shown[at].is_gone), None)

    async def _send(self, at: int) -> None:
        target = self._target()
        if at >= len(target):
            await self._remove(self._shown[at])
        elif at >= len(self._shown):
            await self._post(at, target[at])
        else:
            await self._edit(at, target[at])

    async def _post(self, at: int, page: Page) -> None:
        nonce = nonce_for(self._reference, at, self._reposts, is_private=self._is_private)
        try:
            message_id = await self._surface.post(page, nonce=nonce, is_first=at == 0)
        except MessageGone:  # F-91: it was posted and deleted; that counts as delivered
            self._shown.append(_Shown(0, page, is_gone=True))
            return
        self._shown.append(_Shown(message_id, page))
        await self._note_place()

    async def _note_place(self) -> None:
        """Say which message is the last; another place than the asked one is never looked up."""
        standing = [shown.message_id for shown in self._shown if not shown.is_gone]
        if self._on_shown is None or self._is_private or not standing:
            return
        try:
            await self._on_shown(standing[-1])
        except StorageError as error:  # only a restart in the next minutes would miss it
            _log.warning("place_not_stored", reference=self._reference, error=repr(error))

    async def _edit(self, at: int, page: Page) -> None:
        try:
            await self._surface.edit(self._shown[at].message_id, page)
        except MessageGone:
            self._take_deletion(at)
        else:
            self._shown[at].page = page

    def _take_deletion(self, at: int) -> None:
        """F-90: the last message comes once more, an earlier one stays away."""
        if at == len(self._shown) - 1 and self._reposts < REPOSTS_MAX:
            self._reposts += 1
            self._shown.pop()
        elif at == len(self._shown) - 1:
            self._is_lost = self._is_unwanted = True
        else:
            self._shown[at].is_gone = True

    async def _remove(self, shown: _Shown) -> None:
        try:
            await self._surface.remove(shown.message_id)
        except MessageGone:
            _log.debug("already_removed", reference=self._reference)
        shown.is_gone = True
        await self._note_place()

    async def _back_off(self, busy: SurfaceBusy) -> None:
        """Wait; a draft may be late for ever, the end has a bounded number of tries.

        The end outlasts a full stop of our own (S-13); a draft must not keep it so long.
        """
        self._attempts += 1
        if self._final is not None and self._attempts >= FINAL_ATTEMPTS_MAX:
            await self._move(busy)
            return
        doubled = FINAL_RETRY_DELAY_S * 2 ** min(self._attempts - 1, FINAL_ATTEMPTS_MAX)
        delay_s = doubled if busy.retry_after_s is None else busy.retry_after_s
        longest_s = RATE_LIMIT_WAIT_S_MAX if self._final is None else BAN_PAUSE_S
        await self._clock.sleep(min(delay_s, longest_s))

    async def _move(self, reason: SurfaceError) -> None:
        """Go to the other place, once; there only the whole end is shown."""
        _log.warning("surface_closed", reference=self._reference, error=repr(reason))
        moved_to, self._moved_to = self._moved_to, None
        surface = await moved_to() if moved_to is not None else None
        if surface is None:
            self._is_lost = True
            return
        self._surface, self._shown, self._is_private = surface, [], True
        self._attempts = self._reposts = 0
