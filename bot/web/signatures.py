"""Addresses that only we can have made: pure, no clock, no I/O (reliability.md S-4, C-7).

The secret of a callback is its path: an HMAC over the job, the attempt and the provider. A forgery
is told from the path alone, so it never reaches the database. Two keys count while one is being
rotated (C-5): the first signs, both verify.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256

from storage import preferences
from storage.database import Connection

KEYS_MAX = 2
"""The new one and, while rotating, the old one."""
KEY_BYTES_MIN = 32
"""As long as the HMAC's own output; a shorter key would be its weakest part."""
JOB_ID_MAX = 2**63 - 1
"""SQLite's largest row id."""
ATTEMPT_MAX = 999_999
"""Far more creates than any job makes; bounds what is parsed."""
SECRET_PREFERENCE = "web.callback_secret"  # noqa: S105 - the name of the secret, not its value
PREFIX = "/callbacks/"

_NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_CONTEXT = b"atelier callback v1"
"""Keeps these signatures apart from any other that the same key may make one day."""


class CallbackSigner:
    """Makes and judges callback addresses. Raises `ValueError` for keys that are none."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not 1 <= len(keys) <= KEYS_MAX:
            raise ValueError(f"needs 1 to {KEYS_MAX} keys, got {len(keys)}")
        if any(len(key) < KEY_BYTES_MIN for key in keys):
            raise ValueError(f"a key has at least {KEY_BYTES_MIN} bytes")
        # Half of the work is the same for every address; a flood of forgeries does not repeat it.
        self._begun = tuple(hmac.new(key, _CONTEXT, sha256) for key in keys)

    def __repr__(self) -> str:
        return f"CallbackSigner({len(self._begun)} keys)"

    def path(self, job_id: int, attempt: int, provider: str) -> str:
        """Return `/callbacks/{job}/{attempt}/{mac}`, to be put behind `PUBLIC_URL`."""
        assert 1 <= job_id <= JOB_ID_MAX
        assert 1 <= attempt <= ATTEMPT_MAX
        mac = _mac(self._begun[0], str(job_id), str(attempt), provider)
        return f"{PREFIX}{job_id}/{attempt}/{mac.decode()}"

    def verify(self, job: str, attempt: str, provider: str, mac: str) -> tuple[int, int] | None:
        """Return the job's id and the attempt if we made this address for them, else None.

        `job`, `attempt` and `mac` are the raw segments of the path. Every key is tried, and each
        comparison takes the same time wherever the difference is.
        """
        numbers = _number(job, JOB_ID_MAX), _number(attempt, ATTEMPT_MAX)
        # A lone surrogate or an umlaut becomes "?", which no signature has.
        given = mac.encode("ascii", "replace")
        matches = [
            # The text is compared, not its bytes: one signature has one spelling.
            hmac.compare_digest(_mac(begun, job, attempt, provider), given)
            for begun in self._begun
        ]
        if numbers[0] is None or numbers[1] is None or not any(matches):
            return None
        return numbers[0], numbers[1]


def callback_keys(
    connection: Connection, *, configured: str | None, now_us: int
) -> tuple[bytes, ...]:
    """Return the keys: `CALLBACK_SECRET` (two while rotating), or one made on the first start.

    Writes at most once, so it needs a write transaction. A made secret stays in the database: it
    must survive restarts, for callbacks of running jobs still carry it.
    """
    if configured is not None:
        return tuple(part.encode() for part in configured.split(","))
    kept = preferences.get(connection, key=SECRET_PREFERENCE)
    if kept is None:
        kept = secrets.token_urlsafe(KEY_BYTES_MIN)
        preferences.put(connection, key=SECRET_PREFERENCE, value=kept, now_us=now_us)
    return (kept.encode(),)


def _mac(begun: hmac.HMAC, job: str, attempt: str, provider: str) -> bytes:
    """URL-safe base64 without padding: 43 characters. No part can pass for two: see the lengths."""
    digest = begun.copy()
    for part in (provider, job, attempt):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return urlsafe_b64encode(digest.digest()).rstrip(b"=")


def _number(text: str, highest: int) -> int | None:
    """One spelling per number: ASCII digits, no sign, no leading zero, within bounds."""
    if not _NUMBER.fullmatch(text) or int(text) > highest:
        return None
    return int(text)
