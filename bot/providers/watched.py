"""A chat provider whose breaker is asked before each request and told how it went (S-13).

Not so while creates alone are in doubt: then only what every request would meet is told.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from bot.errors import ProviderError
from bot.providers.base import ChatAnswer, ChatEvent, ChatProvider, ChatRequest
from bot.providers.breaker import Breaker


class WatchedChat:
    """A `ChatProvider` like the one inside; raises `ProviderPaused`, too, before the network."""

    def __init__(self, inner: ChatProvider, breaker: Breaker) -> None:
        self._inner = inner
        self._breaker = breaker

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Yield the answer. Whoever breaks it off after its first event has seen it work."""
        self._admit()
        began = False
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    if not began:
                        self._breaker.note_sign_of_life()
                    began = True
                    yield event
        except ProviderError as error:
            self._note_error(error)
            raise
        except BaseException:
            self._note_end(began=began)
            raise
        self._note_end(began=began)

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask without streaming."""
        self._admit()
        try:
            answer = await self._inner.complete(request)
        except ProviderError as error:
            self._note_error(error)
            raise
        except BaseException:
            self._note_end(began=False)
            raise
        self._note_end(began=True)
        return answer

    def _admit(self) -> None:
        if not self._breaker.spares_chat and not self._breaker.admit():
            raise self._breaker.paused()

    def _note_error(self, error: ProviderError) -> None:
        if self._breaker.spares_chat:
            self._breaker.note_operator_error(error)
        else:
            self._breaker.note_error(error)

    def _note_end(self, *, began: bool) -> None:
        if self._breaker.spares_chat:  # a create may be on trial
            return
        if began:
            self._breaker.note_success()
        else:
            self._breaker.withdraw()
