"""What both chat protocols share in reading an answer, and the pump that joins it to HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping
from typing import Any, Final

from yarl import URL

from bot.errors import AnswerMalformed, StreamCut
from bot.providers.base import (
    ChatAnswer,
    ChatEvent,
    Citation,
    Finished,
    TextDelta,
    ThoughtDelta,
    Usage,
)
from bot.providers.failures import hidden_failure
from bot.providers.http import ProviderHttp
from bot.providers.sse import SseEvent, SseReader, SseTooLongError
from bot.providers.wire import as_index, as_list, as_mapping, as_text, parse_json

_DONE: Final = "[DONE]"


class Decoder(ABC):
    """Bytes of one answer in, chat events out; sans I/O.

    `finished` is set by the terminal event; what comes after it is ignored. A document that
    cannot be read is skipped: the terminal event decides whether the answer is whole (F-58).
    """

    def __init__(self, *, provider: str, model: str) -> None:
        self.provider = provider
        self.model = model
        self.finished: Finished | None = None
        self._reader = SseReader()
        self._broken = False
        self._cited: set[str] = set()

    def receive(self, chunk: bytes) -> Iterator[ChatEvent]:
        """Decode the next bytes. Raises the `ProviderError` that they carry (trap 16)."""
        yield from self._read(self._reader.feed(chunk))

    def end(self) -> Iterator[ChatEvent]:
        """Take the end of the body; yield `Finished` last.

        Raises `StreamCut` without a terminal event, `AnswerMalformed` if one may have been broken.
        """
        if self.finished is None:
            # What stands unfinished at the end is a cut, not a broken document.
            broken = self._broken
            yield from self._read(self._reader.finish())
            self._broken = broken
        if self.finished is None:
            # Trap 17: a stream that just ends looks like success to others.
            cause = AnswerMalformed if self._broken else StreamCut
            raise cause(provider=self.provider)
        yield self.finished

    def _read(self, events: Iterator[SseEvent]) -> Iterator[ChatEvent]:
        try:
            for event in events:
                yield from self._read_one(event)
        except SseTooLongError as error:
            raise AnswerMalformed(provider=self.provider) from error

    def _read_one(self, event: SseEvent) -> Iterator[ChatEvent]:
        for piece in _pieces(event.data):
            if self.finished is not None:
                return
            if piece == _DONE:
                self._done()
            elif isinstance(piece, dict):
                failure = hidden_failure(provider=self.provider, document=piece, model=self.model)
                if failure is not None:
                    raise failure
                yield from self._document(piece, event.event)
            else:
                self._broken = True

    @abstractmethod
    def whole(self, body: Mapping[str, Any]) -> Iterator[ChatEvent]:
        """Decode a body that came as one JSON object (F-59)."""

    @abstractmethod
    def _document(self, document: Mapping[str, Any], event_name: str) -> Iterator[ChatEvent]:
        """Decode one JSON object of the stream."""

    @abstractmethod
    def _done(self) -> None:
        """Take the `[DONE]` marker."""

    def _citation(self, annotation: Any) -> Iterator[Citation]:
        """Yield a source the first time its address comes: streams repeat them (2.1)."""
        outer = as_mapping(annotation)
        if outer.get("type") != "url_citation":
            return
        # Flat in Responses, nested under its type in Chat Completions.
        inner = as_mapping(outer.get("url_citation")) or outer
        url = as_text(inner.get("url"))
        if url in self._cited or not _is_link(url):
            return
        self._cited.add(url)
        yield Citation(url=url, title=as_text(inner.get("title")).strip() or url)

    def _citations(self, annotations: Any) -> Iterator[Citation]:
        for annotation in as_list(annotations):
            yield from self._citation(annotation)


def usage_of(value: Any, *, prefix_in: str, prefix_out: str) -> Usage | None:
    """Read a usage object; None when it counts nothing. `total_tokens` is not read (trap 4)."""
    usage = as_mapping(value)
    tokens_in = as_index(usage.get(f"{prefix_in}_tokens"))
    tokens_out = as_index(usage.get(f"{prefix_out}_tokens"))
    if tokens_in is None and tokens_out is None:
        return None
    details_in = as_mapping(usage.get(f"{prefix_in}_tokens_details"))
    details_out = as_mapping(usage.get(f"{prefix_out}_tokens_details"))
    return Usage(
        input_tokens=tokens_in or 0,
        output_tokens=tokens_out or 0,
        reasoning_tokens=as_index(details_out.get("reasoning_tokens")) or 0,
        cached_tokens=as_index(details_in.get("cached_tokens")) or 0,
    )


def _is_link(url: str) -> bool:
    try:
        return URL(url).scheme in {"http", "https"}
    except ValueError:
        return False


def _pieces(data: str) -> Iterator[Any]:
    """Yield the documents of one event: `_DONE`, JSON values, None for what is neither.

    A forgotten blank line joins two events into one with two lines of data (F-58).
    """
    if data.strip() == _DONE:
        yield _DONE
        return
    try:
        yield parse_json(data)
    except ValueError:
        first, newline, rest = data.partition("\n")
        if not newline:
            yield None
            return
        for line in (first, *rest.split("\n")):
            yield from _pieces(line)


async def events_of(
    http: ProviderHttp, path: str, body: Mapping[str, Any], decoder: Decoder
) -> AsyncGenerator[ChatEvent, None]:
    """Ask once and yield the answer; the last event is `Finished`. Raises `ProviderError`."""
    async with http.post(path, body, model=decoder.model) as reply:
        if reply.is_stream:
            while decoder.finished is None and (chunk := await reply.read()):
                for event in decoder.receive(chunk):
                    yield event
            if decoder.finished is not None:
                await reply.drain()
        else:
            for event in decoder.whole(await reply.json(model=decoder.model)):
                yield event
        for event in decoder.end():
            yield event


async def answer_of(events: AsyncIterable[ChatEvent]) -> ChatAnswer:
    """Gather the events of one answer."""
    text: list[str] = []
    thoughts: list[str] = []
    citations: list[Citation] = []
    finished: Finished | None = None
    async for event in events:
        match event:
            case TextDelta():
                text.append(event.text)
            case ThoughtDelta():
                thoughts.append(event.text)
            case Citation():
                citations.append(event)
            case Finished():
                finished = event
            case _:
                pass  # searching is news only while it happens
    assert finished is not None, "events_of ends with Finished or raises"
    return ChatAnswer(
        text="".join(text),
        thoughts="".join(thoughts),
        citations=tuple(citations),
        finished=finished,
    )
