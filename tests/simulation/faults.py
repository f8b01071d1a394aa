"""What can go wrong, drawn per seed: a few kinds, each with its own rate, in bursts (swarm)."""

from __future__ import annotations

import random
from collections import Counter
from enum import Enum

SHARE_ENABLED = 0.3
"""Of all kinds; the others never happen in that world."""
RATES = (0.05, 0.15, 0.3, 0.6, 1.0)
RATES_OF_ANSWER = (0.02, 0.04, 0.07, 0.12, 0.4)
"""Of each way in which the answer to a create is lost or bad: there are so many of them that
hardly anything would be made."""
RATES_OF_DATABASE = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 1.0)
"""Each command has many transactions; at the last of these nothing is written for minutes."""
QUIET_FACTOR = 0.15
"""Of a kind's rate outside the bursts."""
FAULTS_OWED = 8
"""Kinds that each world is to meet, in turn by its seed: a hundred seeds in a row meet all.
One more is a bad answer to a create: with several of those hardly anything would be made."""


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


ANSWERS = frozenset(list(Fault)[: list(Fault).index(Fault.SLOW_ANSWER)])
"""What an answer to a create can be instead of a good one."""
DATABASE = frozenset({Fault.DATABASE_BUSY, Fault.DATABASE_FULL, Fault.DATABASE_IO})


class Weather:
    """Decides what goes wrong now; once it `clears` nothing does.

    What it owes by the number of its world happens at the first occasion, whatever its rate.
    """

    def __init__(self, rng: random.Random, *, until_s: float, number: int = 0) -> None:
        self._rng = rng
        self.until_s = until_s
        self.hits: Counter[Fault] = Counter()
        self.is_calm = False
        self._rates = {
            fault: rng.choice(_rates_of(fault)) for fault in Fault if rng.random() < SHARE_ENABLED
        }
        self._owed = {fault: rng.random() for fault in _owed_by(number)}
        """With the order in which they take an occasion that several could take."""
        self._failing: set[tuple[Fault, str]] = set()
        self._bursts: list[tuple[float, float]] = []
        at_s = 0.0
        while at_s < until_s:
            begin_s = at_s + rng.expovariate(1 / 200)
            at_s = begin_s + rng.expovariate(1 / 400)
            self._bursts.append((begin_s, at_s))

    @property
    def enabled(self) -> tuple[Fault, ...]:
        """What can happen in this world."""
        return (*self._rates, *(fault for fault in self._owed if fault not in self._rates))

    def spare(self, faults: frozenset[Fault]) -> None:
        """Leave these out, to find the shortest story of a failure."""
        for fault in faults:
            self._rates.pop(fault, None)
            self._owed.pop(fault, None)

    def suffer(self, fault: Fault, *, since_s: float, lasts_s: float) -> None:
        """Let this happen always for so long."""
        self._rates[fault] = 1.0
        self._bursts.append((since_s, since_s + lasts_s))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.is_calm = True

    def strikes(self, fault: Fault, *, now_s: float) -> bool:
        """Whether it happens now; counted if so."""
        if not self.draws(fault, now_s=now_s):
            return False
        self.hits[fault] += 1
        return True

    def failed(self, fault: Fault, of: str) -> None:
        """It made `of` fail, which is tried again until it `went_well`: that counts once."""
        if (fault, of) not in self._failing:
            self._failing.add((fault, of))
            self.hits[fault] += 1

    def went_well(self, of: str) -> None:
        """It was done: its next failure is another one."""
        if self._failing:
            self._failing = {failing for failing in self._failing if failing[1] != of}

    def first(self, faults: tuple[Fault, ...], *, now_s: float) -> Fault | None:
        """The first of these that happens now."""
        in_turn = sorted(faults, key=lambda one: self._owed.get(one, 1.0))
        return next((one for one in in_turn if self.strikes(one, now_s=now_s)), None)

    def draws(self, fault: Fault, *, now_s: float) -> bool:
        """Whether it happens now; counted only once it `failed` something."""
        if self.is_calm:
            return False
        if fault in self._owed:
            del self._owed[fault]
            return True
        rate = self._rates.get(fault, 0.0)
        if rate == 0.0:
            return False
        if not any(begin_s <= now_s < end_s for begin_s, end_s in self._bursts):
            rate *= QUIET_FACTOR
        return self._rng.random() < rate


def _rates_of(fault: Fault) -> tuple[float, ...]:
    if fault in DATABASE:
        return RATES_OF_DATABASE
    return RATES_OF_ANSWER if fault in ANSWERS else RATES


def _owed_by(number: int) -> list[Fault]:
    """Far apart in the list, so that they do not all want the same occasion."""
    answers = [fault for fault in Fault if fault in ANSWERS]
    others = [fault for fault in Fault if fault not in ANSWERS]
    stride = len(others) // FAULTS_OWED
    owed = [others[(number + place * stride) % len(others)] for place in range(FAULTS_OWED)]
    owed.append(answers[number % len(answers)])
    if Fault.DM_CLOSED in owed and Fault.CHANNEL_CLOSED not in owed:
        owed.append(Fault.CHANNEL_CLOSED)  # nobody is written to directly while it is open
    return owed
