"""Asks the promises at their moments."""

from __future__ import annotations

from collections.abc import Iterable

from storage import ledger
from tests.simulation import chat_promises, discord_promises, job_promises, ledger_promises, pauses
from tests.simulation.books import PENDING, Books, JobRow
from tests.simulation.chat import Talks
from tests.simulation.discord import Discord
from tests.simulation.ground import Ground
from tests.simulation.invariants import INVARIANTS, Broken, Moment
from tests.simulation.pauses import Pauses
from tests.simulation.provider import Provider
from tests.simulation.witness import Departure, Witness

_WITH_TRUTH = {job_promises.own_reads}
_WITH_TIME = {job_promises.in_time}
_ON_COMMIT = [one for one in INVARIANTS if one.moment is Moment.COMMIT]
_AT_QUIET = [one for one in INVARIANTS if one.moment is Moment.QUIET]
_OF_DISCORD = [one for one in INVARIANTS if one.moment is Moment.SHOWN]
_OF_CHATS = [one for one in INVARIANTS if one.moment is Moment.TALKED]
PROMISES = (ledger_promises, job_promises, discord_promises, chat_promises, pauses)
"""Where they stand; importing them enters them in the list."""


class Checker:
    """Keeps the books beside the bot's, and compares."""

    def __init__(self, ground: Ground, *, witness: Witness, provider: Provider) -> None:
        self._ground = ground
        self._witness = witness
        self._provider = provider
        self.books = Books(ground)
        self.books.read("begin")
        self.commits = 0
        self.pauses = Pauses()
        """Of the process that lives; the world begins it anew."""

    def committed(self, body: str, now_s: float) -> None:
        """Look at what a transaction has left. Raises `Broken`."""
        self.commits += 1
        news = self.books.read(body)
        for one in _ON_COMMIT if news else ():
            if one.check in _WITH_TRUTH:
                facts = one.check(self.books, news, self._witness, self._provider)
            else:
                facts = one.check(self.books, news)
            _none(one.id, facts)
        _none("S-13", pauses.refused(self.pauses, news, now_s))

    def leaves(self, leaving: Departure) -> None:
        """A create is about to leave the bot. Raises `Broken`."""
        earlier = self._witness.departures[leaving.reference]
        _none("I-24", job_promises.one_create(self.books, earlier, leaving))
        _none("S-13", pauses.left_alone(self.pauses, leaving))

    def bounded(self, *, in_flight: int = 0, since_read_s: float | None = None) -> None:
        """Something that is limited was just done. Raises `Broken`."""
        _none("I-31", job_promises.bounded(in_flight, since_read_s))

    def audit(self) -> None:
        """The bot's own audit of the whole database. Raises `Broken`."""
        found = self._ground.view(ledger.audit)
        if found:
            number, _, fact = found[0].partition(" ")
            raise Broken(number, f"by the audit: {fact}")

    def moving(self) -> JobRow | None:
        """A job that is not over, or of which a callback waits to be acted on."""
        unseen = {row.job_id for row in self.books.callbacks.values() if row.seen_us is None}
        for job in self.books.jobs.values():
            is_open = job.status in PENDING or job.status == "finished"
            if is_open or (job.id in unseen and job.outcome != "succeeded"):
                return job
        return None

    def quiet(self, calm_us: int, discord: Discord, talks: Talks) -> None:
        """Faults are over and nothing moves. Raises `Broken`."""
        self.audit()
        for one in _AT_QUIET:
            if one.check in _WITH_TIME:
                facts = one.check(self.books, calm_us)
            else:
                facts = one.check(self.books, self._witness, self._provider)
            _none(one.id, facts)
        for one in _OF_DISCORD:
            _none(one.id, one.check(self.books, discord))
        for one in _OF_CHATS:
            _none(one.id, one.check(self.books, talks))


def _none(number: str, facts: Iterable[str]) -> None:
    for fact in facts:
        raise Broken(number, fact)
