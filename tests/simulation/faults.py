"""What can go wrong, drawn per seed: a few kinds, each with its own rate, in bursts (swarm)."""

from __future__ import annotations

import random
from collections import Counter
from enum import Enum

SHARE_ENABLED = 0.3
"""Of all kinds; the others never happen in that world."""
RATES = (0.05, 0.15, 0.3, 0.6, 1.0)
QUIET_FACTOR = 0.15
"""Of a kind's rate outside the bursts."""


class Fault(Enum):
    """Each with its row of reliability.md section 3."""

    # The answer to a create.
    LOST_MADE = ("F-7", "the answer to a create is lost, the task is made")
    LOST_NOT_MADE = ("F-46", "the answer to a create is lost, no task is made")
    REFUSED_CONNECTION = ("F-45", "no connection to the provider")
    RATE_LIMITED = ("F-36", "429 rate_limit_exceeded")
    SPEND_LIMITED = ("F-37", "429 spend_limit_exceeded")
    ERROR_500_MADE = ("F-38", "500 on a create, the task is made")
    ERROR_500 = ("F-38", "500 on a create, no task is made")
    BAD_REQUEST = ("F-30", "400 invalid_request")
    BAD_KEY = ("F-31", "401 invalid_api_key")
    NO_BALANCE = ("F-32", "402 insufficient_credits")
    BAD_ADDRESS = ("F-33", "403 ip_not_allowed")
    NO_MODEL = ("F-34", "404 model_not_found")
    REFUSED_503 = ("F-40", "503 with the documented body")
    REFUSED_503_MADE = ("F-40", "503 with the documented body, though the task is made")
    HTML = ("F-41", "an HTML page in place of an answer")
    TRUNCATED_MADE = ("F-41", "a truncated answer, the task is made")
    ENVELOPE_REFUSED = ("F-42", "HTTP 200 with a documented 4xx inside")
    ENVELOPE_ODD_MADE = ("F-42", "HTTP 200 with an odd code inside, the task is made")
    ID_MISSING_MADE = ("F-43", "no task id in the answer, the task is made")
    ID_FOREIGN_MADE = ("F-43", "another job's task id in the answer, the task is made")
    REDIRECT = ("F-44", "a redirect in answer to a create")
    SLOW_ANSWER = ("F-62", "the answer to a create takes up to two minutes")
    # Chats.
    CHAT_REFUSED = ("F-46", "a chat's request is refused or lost")
    STREAM_CUT = ("F-57", "a stream is cut")
    STREAM_ENDLESS = ("F-57", "a stream ends without its terminal event")
    STREAM_ODD = ("F-58", "a stream that cannot be read")
    STREAM_STALLED = ("F-60", "a stream stalls")
    # The task.
    TASK_GONE = ("F-35", "404 task_not_found for a task that is there")
    GET_ERROR = ("F-39", "an error on a read")
    TASK_FAILED = ("F-47", "the task fails")
    NO_URL = ("F-48", "completed without a URL")
    ODD_WORD = ("F-49", "a status word that nobody knows")
    BACKWARDS = ("F-50", "a status goes backwards")
    ODD_AMOUNT = ("F-51", "an absurd reported amount")
    NEVER_ENDS = ("F-52", "the task never ends")
    RESULT_GONE = ("F-53", "the result cannot be fetched")
    RESULT_TOO_LARGE = ("F-54", "the result is too large")
    RESULT_ODD = ("F-55", "the result is no picture or film")
    # Callbacks.
    CALLBACK_TWICE = ("F-61", "a callback is repeated")
    CALLBACK_EARLY = ("F-62", "a callback comes before the task has ended")
    CALLBACK_LATE = ("F-63", "a callback comes hours late")
    CALLBACK_NEVER = ("F-64", "no callback comes")
    CALLBACK_INVENTED = ("F-65", "a callback with the right address and an invented task")
    CALLBACK_FOREIGN = ("F-65", "a callback with the right address and another job's task")
    CALLBACK_FORGED = ("F-65", "a callback with a wrong signature")
    # Discord.
    DISCORD_LOST = ("F-86", "Discord's answer is lost, the request took effect")
    DISCORD_ERROR = ("F-86", "Discord answers 5xx, the request took no effect")
    DISCORD_429 = ("F-84", "Discord answers 429")
    CHANNEL_CLOSED = ("F-89", "the channel is closed to us")
    CARD_DELETED = ("F-90", "the card is deleted")
    MESSAGE_DELETED = ("F-91", "a message is deleted inside its nonce's time")
    TOKEN_DEAD = ("F-92", "the interaction's token has ended")
    TOO_LARGE = ("F-96", "the file is too large for the channel")
    BLOCKED = ("F-97", "a filter of the server takes the message")
    DM_CLOSED = ("F-99", "direct messages are closed")
    # The database.
    DATABASE_BUSY = ("F-110", "the database is locked by somebody else")
    DATABASE_FULL = ("F-111", "the disk is full")
    DATABASE_IO = ("F-112", "an I/O error at some statement or the commit")

    @property
    def id(self) -> str:
        """The row, such as `F-62`."""
        row: str = self.value[0]
        return row


class Weather:
    """Decides what goes wrong now; once it `clears` nothing does."""

    def __init__(self, rng: random.Random, *, until_s: float) -> None:
        self._rng = rng
        self.until_s = until_s
        self.hits: Counter[Fault] = Counter()
        self.is_calm = False
        self._rates = {fault: rng.choice(RATES) for fault in Fault if rng.random() < SHARE_ENABLED}
        self._bursts: list[tuple[float, float]] = []
        at_s = 0.0
        while at_s < until_s:
            begin_s = at_s + rng.expovariate(1 / 200)
            at_s = begin_s + rng.expovariate(1 / 400)
            self._bursts.append((begin_s, at_s))

    @property
    def enabled(self) -> tuple[Fault, ...]:
        """What can happen in this world."""
        return tuple(self._rates)

    def spare(self, faults: frozenset[Fault]) -> None:
        """Leave these out, to find the shortest story of a failure."""
        for fault in faults:
            self._rates.pop(fault, None)

    def suffer(self, faults: tuple[Fault, ...], *, rate: float) -> None:
        """Make these happen in this world, in its bursts so often."""
        self._rates |= dict.fromkeys(faults, rate)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.is_calm = True

    def strikes(self, fault: Fault, *, now_s: float) -> bool:
        """Whether it happens now; counted if so."""
        rate = 0.0 if self.is_calm else self._rates.get(fault, 0.0)
        if rate == 0.0:
            return False
        if not any(begin_s <= now_s < end_s for begin_s, end_s in self._bursts):
            rate *= QUIET_FACTOR
        if self._rng.random() >= rate:
            return False
        self.hits[fault] += 1
        return True

    def first(self, faults: tuple[Fault, ...], *, now_s: float) -> Fault | None:
        """The first of these that happens now."""
        for fault in faults:
            if self.strikes(fault, now_s=now_s):
                return fault
        return None
