"""Reading the Responses protocol (provider-docs 000; providers.md 2.1).

The stream has no `[DONE]` (trap 2): it ends at `response.completed`, `.failed`, `.incomplete` or
`error`. Its pieces are kept by `output_index`, because `output[0]` may be reasoning (trap 23).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bot.errors import AnswerMalformed
from bot.providers.base import (
    ChatEvent,
    Finished,
    FinishReason,
    Searching,
    TextDelta,
    ThoughtDelta,
    ToolCall,
)
from bot.providers.decoding import Decoder, usage_of
from bot.providers.failures import from_answer
from bot.providers.wire import as_amount, as_index, as_list, as_mapping, as_text

_INCOMPLETE = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}


class ResponsesDecoder(Decoder):
    """Reads the events; see `Decoder`.

    A refusal of the model is its answer: it is billed and comes to the member as text. Text of
    phase `commentary` is the model talking to itself, and comes as a thought (providers.md 2.1).
    """

    def __init__(self, *, provider: str, model: str) -> None:
        super().__init__(provider=provider, model=model)
        self._seen: set[tuple[int, int]] = set()
        self._items: dict[int, Mapping[str, Any]] = {}
        self._texts: dict[tuple[int, int], str] = {}
        self._arguments: dict[int, str] = {}
        self._searching: set[int] = set()
        text_delta, text_done = self._text_delta, self._text_done
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Iterator[ChatEvent]]] = {
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.output_text.delta": text_delta,
            "response.output_text.done": text_done,
            "response.refusal.delta": text_delta,
            "response.refusal.done": text_done,
            "response.content_part.done": self._part_done,
            "response.output_text.annotation.added": self._annotation_added,
            "response.reasoning_summary_part.added": self._summary_part_added,
            "response.reasoning_summary_text.delta": self._thought_delta,
            "response.reasoning_text.delta": self._thought_delta,
            "response.web_search_call.in_progress": self._search,
            "response.web_search_call.searching": self._search,
            "response.function_call_arguments.delta": self._arguments_delta,
            "response.function_call_arguments.done": self._arguments_done,
            "response.completed": self._completed,
            "response.incomplete": self._completed,
            "response.failed": self._failed,
        }
        """`error` is not here: `Decoder` raises for it. Unknown events are ignored."""

    def whole(self, body: Mapping[str, Any]) -> Iterator[ChatEvent]:
        """Decode a body that came as one JSON object (trap 18: it must look like an answer)."""
        if not isinstance(body.get("output"), list):
            raise AnswerMalformed(provider=self.provider, status=200)
        yield from self._completed({"response": body})

    def _document(self, document: Mapping[str, Any], event_name: str) -> Iterator[ChatEvent]:
        number = as_index(document.get("sequence_number"))
        if number is not None:
            # F-58: a repeated event. The content counts too, as some hosts number everything 0.
            mark = (number, hash(str(document)))
            if mark in self._seen:
                return
            self._seen.add(mark)
        handler = self._handlers.get(as_text(document.get("type")) or event_name)
        if handler is not None:
            yield from handler(document)

    def _done(self) -> None:
        """Ignore a stray `[DONE]`: it is no terminal event of this protocol (trap 2)."""

    # --- Text ---

    def _say(self, output_index: int, text: str) -> Iterator[ChatEvent]:
        if not text:
            return
        aside = self._items.get(output_index, {}).get("phase") == "commentary"
        yield ThoughtDelta(text=text) if aside else TextDelta(text=text)

    def _text_delta(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        key = (_index(event, "output_index"), _index(event, "content_index"))
        text = as_text(event.get("delta"))
        self._texts[key] = self._texts.get(key, "") + text
        yield from self._say(key[0], text)

    def _text_done(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        key = (_index(event, "output_index"), _index(event, "content_index"))
        yield from self._whole_text(key, as_text(event.get("text") or event.get("refusal")))

    def _part_done(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        key = (_index(event, "output_index"), _index(event, "content_index"))
        yield from self._whole_part(key, as_mapping(event.get("part")))

    def _whole_part(self, key: tuple[int, int], part: Mapping[str, Any]) -> Iterator[ChatEvent]:
        yield from self._whole_text(key, as_text(part.get("text") or part.get("refusal")))
        yield from self._citations(part.get("annotations"))

    def _whole_text(self, key: tuple[int, int], text: str) -> Iterator[ChatEvent]:
        """Say what of the whole text has not been said; what was shown is never taken back."""
        said = self._texts.get(key, "")
        if len(text) > len(said) and text.startswith(said):
            self._texts[key] = text
            yield from self._say(key[0], text[len(said) :])

    def _annotation_added(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        yield from self._citation(event.get("annotation"))

    def _thought_delta(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        if text := as_text(event.get("delta")):
            yield ThoughtDelta(text=text)

    def _summary_part_added(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        if _index(event, "summary_index") > 0:
            yield ThoughtDelta(text="\n\n")

    def _search(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        position = _index(event, "output_index")
        if position not in self._searching:
            self._searching.add(position)
            yield Searching()

    # --- Items ---

    def _item_added(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        position = _index(event, "output_index")
        item = as_mapping(event.get("item"))
        self._items[position] = item
        if item.get("type") == "web_search_call":
            yield from self._search(event)

    def _item_done(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        yield from self._whole_item(_index(event, "output_index"), as_mapping(event.get("item")))

    def _whole_item(self, position: int, item: Mapping[str, Any]) -> Iterator[ChatEvent]:
        # `.done` wins over `.added`: only it has arguments and `encrypted_content` (2.1).
        self._items[position] = {**self._items.get(position, {}), **item}
        for content_index, part in enumerate(as_list(item.get("content"))):
            if item.get("type") == "message":
                yield from self._whole_part((position, content_index), as_mapping(part))

    def _arguments_delta(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        position = _index(event, "output_index")
        self._arguments[position] = self._arguments.get(position, "") + as_text(event.get("delta"))
        return iter(())

    def _arguments_done(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        self._arguments[_index(event, "output_index")] = as_text(event.get("arguments"))
        return iter(())

    # --- Ends ---

    def _failed(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        raise from_answer(provider=self.provider, status=None, body=event, model=self.model)

    def _completed(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        response = as_mapping(event.get("response"))
        status = as_text(response.get("status")) or "completed"
        if status in {"failed", "cancelled"}:
            raise from_answer(provider=self.provider, status=None, body=event, model=self.model)
        if status not in {"completed", "incomplete"}:
            raise AnswerMalformed(provider=self.provider)
        yield from self._final_output(as_list(response.get("output")))
        incomplete = status == "incomplete" or event.get("type") == "response.incomplete"
        cause = as_text(as_mapping(response.get("incomplete_details")).get("reason"))
        calls = () if incomplete else tuple(self._calls())
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        if incomplete:
            reason = _INCOMPLETE.get(cause, FinishReason.LENGTH)
        # Trap 3: beside `response` in the stream, in the body itself when not streamed.
        reported = event.get("credits_consumed", response.get("credits_consumed"))
        self.finished = Finished(
            reason=reason,
            usage=usage_of(response.get("usage"), prefix_in="input", prefix_out="output"),
            credits_consumed=as_amount(reported),
            calls=calls,
            raw_items=tuple(self._raw_items()) if calls else (),
        )

    def _final_output(self, output: list[Any]) -> Iterator[ChatEvent]:
        """Use the closing copy of all items as far as the stream did not bring them.

        Positions in it may differ from those in the stream, so after a stream only its sources
        and unknown function calls are taken: no text comes twice.
        """
        streamed = bool(self._texts or self._items)
        for position, item in enumerate(map(as_mapping, output)):
            if streamed:
                self._add_missed_call(item)
                for part in as_list(item.get("content")):
                    yield from self._citations(as_mapping(part).get("annotations"))
                continue
            for part in as_list(item.get("summary")):
                if text := as_text(as_mapping(part).get("text")):
                    yield ThoughtDelta(text=text)
            yield from self._whole_item(position, item)

    def _add_missed_call(self, item: Mapping[str, Any]) -> None:
        known = {known.get("call_id") for known in self._items.values()}
        if item.get("type") == "function_call" and item.get("call_id") not in known:
            self._items[max(self._items, default=0) + 1] = item

    def _calls(self) -> Iterator[ToolCall]:
        for position, item in self._function_calls():
            # Trap: an item has an `id` as well; only `call_id` is answered (2.1).
            call_id, name = as_text(item.get("call_id")), as_text(item.get("name"))
            if not call_id or not name:
                raise AnswerMalformed(provider=self.provider)
            yield ToolCall(call_id=call_id, name=name, arguments=self._arguments_of(position, item))

    def _function_calls(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for position in sorted(self._items):
            if self._items[position].get("type") == "function_call":
                yield position, self._items[position]

    def _arguments_of(self, position: int, item: Mapping[str, Any]) -> str:
        return as_text(item.get("arguments")) or self._arguments.get(position) or "{}"

    def _raw_items(self) -> Iterator[dict[str, Any]]:
        """Write the turn so that it can be sent back, without the ids of unstored items.

        Reasoning goes back with its tool turn only if it carries its own content: an item that
        the provider did not store cannot be named by its id.
        """
        for position in sorted(self._items):
            item = self._items[position]
            match item.get("type"):
                case "reasoning" if item.get("encrypted_content"):
                    kept = ("type", "id", "summary", "encrypted_content")
                    yield {key: item[key] for key in kept if key in item}
                case "message":
                    yield from self._raw_message(position, item)
                case "function_call":
                    yield {
                        "type": "function_call",
                        "call_id": item["call_id"],
                        "name": item["name"],
                        "arguments": self._arguments_of(position, item),
                    }
                case _:
                    pass

    def _raw_message(self, position: int, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        texts = [text for (at, _), text in sorted(self._texts.items()) if at == position and text]
        if texts:
            message: dict[str, Any] = {
                "role": "assistant",
                "content": [{"type": "output_text", "text": text} for text in texts],
            }
            if phase := as_text(item.get("phase")):
                message["phase"] = phase
            yield message


def _index(event: Mapping[str, Any], name: str) -> int:
    return as_index(event.get(name)) or 0
