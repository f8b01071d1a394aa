"""A request as `CallbackRoute.handle` reads it, without a socket."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from multidict import CIMultiDict


@dataclass(slots=True)
class _Body:
    data: bytes

    async def readany(self) -> bytes:
        data, self.data = self.data, b""
        return data


class PostedRequest:
    """`POST` of a JSON body to a path."""

    content_type = "application/json"

    def __init__(self, path: str, body: str) -> None:
        data = body.encode()
        self.rel_url = SimpleNamespace(raw_path=path)
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.content_length = len(data)
        self.content = _Body(data)
