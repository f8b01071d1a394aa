"""The answers to creates and looks that a switch bends, the same for both protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.provider.delivery import ClientLeft, Delivery, Pace
from sandbox.provider.desk import HTML_502
from sandbox.provider.tasks.switches import Switch
from sandbox.provider.wire import Json, dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a protocol writes an error, and an answer to a create with this name or none."""

    error: Callable[[Switch], web.Response]
    named: Callable[[Any], Json]


def answer(body: Json | str) -> web.Response:
    text = body if isinstance(body, str) else dumps(body)
    return web.Response(text=text, content_type="application/json")


class Bender:
    """`closing` ends the answers that never come."""

    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = closing

    async def bend(
        self,
        request: web.Request,
        switch: Switch | None,
        good: Callable[[], Json | str],
        protocol: Protocol,
        *,
        other_id: str | None = None,
    ) -> web.StreamResponse:
        """The answer under a switch of the family create or get; `other_id` is another task's.

        Raises `ClientLeft` when there is none.
        """
        if switch is None:
            return answer(good())
        if (response := _instead(switch, protocol)) is not None:
            return response
        delivery = Delivery(request, Pace, self._closing)
        match switch.kind.partition("_")[2]:
            case "truncated":
                text = dumps(good())
                return answer(text[: len(text) // 2])
            case "same_task_id":
                return answer(protocol.named(other_id))
            case "slow":
                await delivery.wait(switch["delay_s"])
                return answer(good())
            case "hang":
                await delivery.wait(switch["delay_s"])
        delivery.abort()
        raise ClientLeft


def _instead(switch: Switch, protocol: Protocol) -> web.Response | None:
    """The answers that know nothing of the task."""
    response: web.Response | None = None
    match switch.kind.partition("_")[2]:
        case "error":
            response = protocol.error(switch)
        case "html":
            response = web.Response(
                status=switch["status"], text=HTML_502, content_type="text/html"
            )
        case "empty":
            response = web.Response(status=200)
        case "envelope":
            response = answer({"code": switch["code"], "msg": switch["msg"], "data": None})
        case "redirect":
            response = web.Response(status=307, headers={"Location": switch["location"]})
        case "no_task_id":
            response = answer(protocol.named(None))
        case "task_id":
            response = answer(protocol.named(switch["value"]))
    return response
