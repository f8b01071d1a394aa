"""The SSE reader against the standard, and against any chunking."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.providers.sse import SseEvent, SseReader, SseTooLongError

BOUND = 64


def read(chunks: list[bytes], *, bound: int = BOUND) -> tuple[list[SseEvent], bool]:
    """Give all events, and whether the bound was broken after them."""
    reader = SseReader(line_bytes_max=bound)
    events: list[SseEvent] = []
    try:
        for chunk in chunks:
            events.extend(_each(reader, chunk, events))
        events.extend(reader.finish())
    except SseTooLongError:
        return events, True
    return events, False


def _each(reader: SseReader, chunk: bytes, events: list[SseEvent]) -> list[SseEvent]:
    for event in reader.feed(chunk):
        events.append(event)  # noqa: PERF402 - what came before an error must be kept
    return []


def datas(stream: bytes) -> list[str]:
    return [event.data for event in read([stream], bound=10_000)[0]]


bits = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b"data: ",
        b"event: x",
        b"id: 7",
        b"id: \x00",
        b"retry: 10",
        b": note",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
        "data: é€🙂".encode(),
        b"\xe2\x82",
        b"x" * 20,
    ]
)
raw_streams = st.one_of(st.lists(bits, max_size=30).map(b"".join), st.binary(max_size=200))


@given(stream=raw_streams, cuts=st.lists(st.integers(0, 300), max_size=20))
@example(stream=b"data: a\r\n\r\ndata: b\r\r", cuts=[8, 9, 10, 11])
@example(stream="data: 🙂\n\n".encode(), cuts=[7, 8, 9])
def test_any_chunking_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    """Traps 21 and 22: neither bytes of a character nor CR LF care where a chunk ends."""
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    whole = read([stream])
    assert read(chunks) == whole
    assert read([stream[at : at + 1] for at in range(len(stream))]) == whole


def test_lines_end_in_any_of_three_ways() -> None:
    """CR, LF and CR LF mixed in one stream (F-58)."""
    assert datas(b"data: 1\r\rdata: 2\n\ndata: 3\r\n\r\ndata: 4\r\n\n") == ["1", "2", "3", "4"]


def test_fields_follow_the_standard() -> None:
    """One space after the colon belongs to it; several data lines are joined; a BOM is dropped."""
    stream = b"\xef\xbb\xbfevent: e\nid: 5\ndata:  two\ndata:lines\n: comment\nfoo: bar\n\n"
    assert read([stream], bound=1_000)[0] == [SseEvent(event="e", data=" two\nlines", id="5")]


def test_names_end_with_their_event_and_ids_do_not() -> None:
    """The event name is reset by each dispatch; the last id stays, unless it holds a NUL."""
    stream = b"event: e\nid: 5\ndata: a\n\nid: 6\x00\ndata: b\n\n"
    assert read([stream], bound=1_000)[0] == [
        SseEvent(event="e", data="a", id="5"),
        SseEvent(event="message", data="b", id="5"),
    ]


def test_keep_alives_and_empty_events_are_no_events() -> None:
    """Trap 19: an event with empty data crashed another client."""
    assert datas(b": ping\n\ndata:\n\ndata\n\nevent: e\n\n\n\ndata: \n\ndata: x\n\n") == ["x"]


def test_broken_utf8_is_replaced() -> None:
    """F-58: the rest of the stream still counts."""
    assert datas(b"data: \xff\xfe!\n\ndata: ok\n\n") == ["\ufffd\ufffd!", "ok"]


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r", b"\n\n"])
def test_the_end_closes_the_last_event(ending: bytes) -> None:
    """F-58: servers forget the blank line after their last event."""
    assert datas(b"data: a\n\ndata: b" + ending) == ["a", "b"]


def test_a_line_has_a_bound_and_what_came_before_it_counts() -> None:
    """F-58: a 10 MiB line ends the stream, not the process."""
    events, broken = read([b"data: a\n\ndata: " + b"x" * BOUND])
    assert [event.data for event in events] == ["a"]
    assert broken


def test_many_lines_of_one_event_share_the_bound() -> None:
    """A megabyte of short data lines is as long as one long line."""
    events, broken = read([b"data: 0123456789\n" * 10])
    assert events == []
    assert broken
