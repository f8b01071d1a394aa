"""Stops asking a provider that cannot answer, before anybody's credits are held (S-13).

    CLOSED    -> OPEN       a closed account or address (401, 402, 403), a reached spending limit
                            (F-37), 3 unclear creates in 60 s, 5 answers of 5xx in a row
    OPEN      -> HALF_OPEN  a good probe for what only the operator can mend; else the pause is over
    HALF_OPEN -> CLOSED     the one job that was let through was answered
    HALF_OPEN -> OPEN       it was not: the pause doubles

After unclear creates only a create is a trial, for a chat says nothing of them: chats go on
meanwhile, and have no say (section 5, point 7).

Pure: facts in, decisions out. Time comes from `Clock`; pauses are measured on its monotonic side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from bot.clock import Clock
from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    AtelierError,
    InsufficientPermissions,
    InvalidApiKey,
    IpNotAllowed,
    ModelNotFound,
    PauseCause,
    ProviderCreditsExhausted,
    ProviderError,
    ProviderInternalError,
    ProviderPaused,
    ProviderUnreachable,
    SpendLimitExceeded,
    StreamCut,
    StreamStalled,
    UpstreamError,
)
from bot.limits import (
    PAUSE_S,
    PAUSE_S_MAX,
    SERVER_ERRORS_MAX,
    SPEND_PAUSE_S,
    TRIAL_S_MAX,
    UNCLEAR_MAX,
    UNCLEAR_WINDOW_S,
)
from bot.providers.base import Created, CreateVerdict, Unknown

US_PER_S = 1_000_000

OPERATORS: dict[type[ProviderError], PauseCause] = {
    InvalidApiKey: PauseCause.KEY,
    ProviderCreditsExhausted: PauseCause.BALANCE,
    IpNotAllowed: PauseCause.ADDRESS,
    InsufficientPermissions: PauseCause.ADDRESS,
    SpendLimitExceeded: PauseCause.SPEND_LIMIT,
}
"""Errors that every further request would meet, too, until the operator acts."""
PROBED = frozenset({PauseCause.KEY, PauseCause.BALANCE, PauseCause.ADDRESS})
"""What reading the account can prove mended. A spending limit cannot be seen there."""

_CLOSED_ACCOUNT = {401: PauseCause.KEY, 402: PauseCause.BALANCE, 403: PauseCause.ADDRESS}
"""What these statuses mean for the next request, whatever body they come with."""

_SERVER_ERRORS = (ProviderInternalError, UpstreamError)
_NO_VERDICT = (ProviderUnreachable, AnswerLost, AnswerMalformed, StreamCut, StreamStalled)
"""These say neither that the provider works nor that it does not."""


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSnapshot:
    """For operators. `until_us` (Unix µs) is None where a probe ends the pause, or none is on."""

    provider: str
    state: BreakerState
    cause: PauseCause | None
    until_us: int | None


class Breaker:
    """One provider's. `probed`: somebody reads its account while it is open (F-32)."""

    def __init__(self, provider: str, clock: Clock, *, probed: bool) -> None:
        self._provider = provider
        self._clock = clock
        self._probed = probed
        self._state = BreakerState.CLOSED
        self._cause: PauseCause | None = None
        self._until_s: float | None = None
        self._pauses = 0
        self._trial_until_s: float | None = None
        self._unclear_s: deque[float] = deque(maxlen=UNCLEAR_MAX)
        self._server_errors = 0

    # --- Asked ----------------------------------------------------------------------------------

    @property
    def spares_chat(self) -> bool:
        """Whether creates alone are in doubt: a chat need not ask, and has no say."""
        return self._cause is PauseCause.UNCLEAR

    def check(self) -> None:
        """Raise `ProviderPaused` where a new order would only wait; asked before a hold."""
        self._refresh()
        if self._state is BreakerState.CLOSED:
            return
        if self._state is BreakerState.HALF_OPEN and not self._on_trial():
            return
        raise self.paused()

    def admit(self) -> bool:
        """Whether accepted work may be sent now; half-open, one at a time.

        Whoever was let through tells how it ended by a `note_…`, or by `withdraw`.
        """
        self._refresh()
        if self._state is BreakerState.CLOSED:
            return True
        if self._state is BreakerState.OPEN or self._on_trial():
            return False
        self._trial_until_s = self._clock.monotonic_s() + TRIAL_S_MAX
        return True

    def paused(self) -> ProviderPaused:
        """Return the refusal that fits now; only while not closed."""
        assert self._cause is not None
        return ProviderPaused(
            provider=self._provider, cause=self._cause, until_us=self.snapshot().until_us
        )

    def snapshot(self) -> BreakerSnapshot:
        self._refresh()
        until_us = None
        if self._until_s is not None:
            left_s = self._until_s - self._clock.monotonic_s()
            until_us = self._clock.now_us() + round(left_s * US_PER_S)
        return BreakerSnapshot(
            provider=self._provider, state=self._state, cause=self._cause, until_us=until_us
        )

    # --- Told -----------------------------------------------------------------------------------

    def note_verdict(self, verdict: CreateVerdict) -> None:
        """Learn from the answer to a create, whatever it was."""
        if isinstance(verdict, Created):
            self.note_success()
        elif isinstance(verdict, Unknown):
            self.note_unknown(status=verdict.status)
        elif _was_sent(verdict.error):
            self.note_error(verdict.error)
        else:
            self.withdraw()

    def note_success(self) -> None:
        """The provider did what it was asked."""
        self._refresh()
        self._server_errors = 0
        self._trial_until_s = None
        # While open, it is the late answer to a question from before.
        if self._state is BreakerState.HALF_OPEN:
            self._state, self._cause, self._pauses = BreakerState.CLOSED, None, 0

    def note_sign_of_life(self) -> None:
        """A chat's answer has begun: enough to let the others in, who need not wait for its end.

        No row of errors is ended by it, for it may still end in one.
        """
        self._refresh()
        if self._state is BreakerState.HALF_OPEN and not self.spares_chat:
            self.note_success()

    def note_error(self, error: ProviderError) -> None:
        """The provider answered with an error, or not at all."""
        self._refresh()
        if (cause := OPERATORS.get(type(error))) is not None:
            self._open(cause)
        elif isinstance(error, _SERVER_ERRORS):
            self._note_server_error()
        elif isinstance(error, _NO_VERDICT):
            self.withdraw()
        else:  # a refusal of this one request, by a provider that works
            self.note_success()

    def note_operator_error(self, error: ProviderError) -> None:
        """Learn from a read only what every request would meet; its other troubles pass (F-39)."""
        if type(error) in OPERATORS:
            self.note_error(error)

    def note_unknown(self, *, status: int | None = None) -> None:
        """Nobody can tell whether a create made a task; `status` of the answer, if one came."""
        self._refresh()
        if status in _CLOSED_ACCOUNT:  # in words that no document knows
            self._open(_CLOSED_ACCOUNT[status])
            return
        now_s = self._clock.monotonic_s()
        self._unclear_s.append(now_s)
        run_s = now_s - self._unclear_s[0]
        if (
            len(self._unclear_s) == UNCLEAR_MAX and run_s <= UNCLEAR_WINDOW_S
        ) or self._state is BreakerState.HALF_OPEN:
            self._open(PauseCause.UNCLEAR)
        if status is not None and status >= 500:
            self._note_server_error()

    def note_probe_good(self) -> None:
        """The account can be read and is not empty: the next job is the trial."""
        if self._state is BreakerState.OPEN and self._until_s is None:
            self._half_open()

    def withdraw(self) -> None:
        """What was let through was not sent, or told nothing: another may try."""
        self._trial_until_s = None

    # --- Moves ----------------------------------------------------------------------------------

    def _note_server_error(self) -> None:
        self._server_errors += 1
        if self._server_errors >= SERVER_ERRORS_MAX or self._state is BreakerState.HALF_OPEN:
            self._open(PauseCause.TROUBLE)

    def _open(self, cause: PauseCause) -> None:
        # Answers to older questions do not prolong a pause, unless they bring a graver reason.
        if self._state is BreakerState.OPEN and (
            cause not in OPERATORS.values() or self._cause in OPERATORS.values()
        ):
            return
        self._state, self._cause, self._trial_until_s = BreakerState.OPEN, cause, None
        self._server_errors = 0
        self._unclear_s.clear()
        pause_s = self._pause_s(cause)
        self._until_s = None if pause_s is None else self._clock.monotonic_s() + pause_s
        self._pauses += 1

    def _pause_s(self, cause: PauseCause) -> float | None:
        if cause in PROBED and self._probed:
            return None
        if cause in OPERATORS.values():
            return SPEND_PAUSE_S
        # Bounded first: a week of trouble is no reason to overflow.
        return min(PAUSE_S * (1 << min(self._pauses, 16)), PAUSE_S_MAX)

    def _refresh(self) -> None:
        if self._until_s is not None and self._clock.monotonic_s() >= self._until_s:
            self._half_open()

    def _half_open(self) -> None:
        self._state, self._until_s, self._trial_until_s = BreakerState.HALF_OPEN, None, None

    def _on_trial(self) -> bool:
        """A trial that was never told of again ends by itself."""
        trial_s = self._trial_until_s
        return trial_s is not None and self._clock.monotonic_s() < trial_s


def _was_sent(error: AtelierError) -> TypeGuard[ProviderError]:
    """Our own checks say no before anything leaves; also to a model that is gone here (F-34)."""
    is_our_own = isinstance(error, ModelNotFound) and error.status is None
    return isinstance(error, ProviderError) and not is_our_own


class Breakers:
    """One breaker for each provider. `probed` names those whose account is read while open."""

    def __init__(self, clock: Clock, *, probed: Collection[str] = ()) -> None:
        self._clock = clock
        self._probed = frozenset(probed)
        self._by_provider: dict[str, Breaker] = {}

    def of(self, provider: str) -> Breaker:
        found = self._by_provider.get(provider)
        if found is None:
            found = Breaker(provider, self._clock, probed=provider in self._probed)
            self._by_provider[provider] = found
        return found

    def snapshots(self) -> tuple[BreakerSnapshot, ...]:
        """Every provider that was asked so far, by name."""
        return tuple(self._by_provider[name].snapshot() for name in sorted(self._by_provider))
