"""What every part of the wire needs: JSON, and ids that look like the provider's."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

Json = dict[str, Any]

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def dumps(value: Any) -> str:
    """Compact JSON with real characters, so that clients meet multi-byte text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Ids:
    """Unique ids, the same ones in the same order after each start."""

    def __init__(self, seed: str = "atelier") -> None:
        self._seed = seed
        self._count = 0

    def digest(self) -> bytes:
        self._count += 1
        return hashlib.sha256(f"{self._seed}:{self._count}".encode()).digest()

    def make(self, prefix: str) -> str:
        """Such as `resp_` and 48 hexadecimal digits."""
        return f"{prefix}{self.digest().hex()[:48]}"

    def padding(self) -> str:
        """The `obfuscation` of a delta: random letters of varying length."""
        digest = self.digest()
        return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[: 8 + digest[31] % 9])
