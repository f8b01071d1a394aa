"""What must be true, whatever was killed when: the witness's list against the file.

Every fact that is broken begins with the id of what it breaks (reliability.md 3 and 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from tests.kill_loop.members import Asked
from tests.kill_loop.shot import JobRow, Shot
from tests.kill_loop.witness import Witness

REPORT_STEP_UCR: Final = 10_000
"""The provider reports two decimals: so much may each call differ (I-12)."""
UNNOTED_UCR: Final = 2_000_000
"""What one answer that a kill cut off may differ from our estimate: 512 tokens are not noted yet,
and how many words the provider has made by then nobody knows (I-10, I-12)."""


def broken_at_death(witness: Witness, shot: Shot, before: Shot) -> tuple[str, ...]:
    """Everything that may not be so while nothing runs; `before` is the shot at the last death."""
    return (
        *shot.unsound,
        *_cards_lost(witness, shot),
        *_answers_lost(witness, shot),
        *_grants_lost(witness, shot),
        *_callbacks_lost(witness, shot),
        *_rewritten(shot, before),
        *_creates_repeated(witness, shot),
        *_told_twice(witness),
        *_unasked(witness, shot),
    )


# --- F-114: what was acknowledged is in the file --------------------------------------------------


def _cards_lost(witness: Witness, shot: Shot) -> Iterator[str]:
    for card in witness.cards.values():
        job = shot.jobs.get(card.short_id)
        if job is None:
            yield f"F-114 job {card.short_id}: its card stands in Discord, the file has no such job"
            continue
        for price_ucr in card.prices_ucr - {job.charged_ucr}:
            yield (
                f"F-114 job {card.short_id}: said to be charged {price_ucr},"
                f" the file says {job.charged_ucr} ({job.status})"
            )


def _answers_lost(witness: Witness, shot: Shot) -> Iterator[str]:
    for question, answer in witness.answers.items():
        hold = shot.holds.get(f"m:{question}")
        for price_ucr in answer.prices_ucr:
            charged_ucr = 0 if hold is None else hold.charged_ucr
            if price_ucr != charged_ucr:
                yield (
                    f"F-114 question {question}: said to be charged {price_ucr},"
                    f" the file says {charged_ucr} ({'no hold' if hold is None else hold.state})"
                )


def _grants_lost(witness: Witness, shot: Shot) -> Iterator[str]:
    for ref in witness.grants:
        if f"i:{ref}" not in shot.grants:
            yield f"F-114 grant {ref}: confirmed, and not in the file"
    for ref in witness.denied:
        if f"i:{ref}" in shot.grants:
            yield f"S-2 grant {ref}: called not charged, and in the file"


def _callbacks_lost(witness: Witness, shot: Shot) -> Iterator[str]:
    have = {job.task_id for job in shot.jobs.values() if job.outcome == "succeeded"}
    for paid in witness.paid.values():
        if paid.task_id in have:  # a result that we have needs no news, and none is kept
            continue
        if paid.is_called_back and (paid.job_id, paid.attempt) not in shot.callbacks:
            yield f"I-35 job {paid.job_id}: its callback was answered 2xx and is not in the file"


def _rewritten(shot: Shot, before: Shot) -> Iterator[str]:
    """I-2, I-21, I-29: what was over stays so, what was written stands as it was."""
    if shot.former != before.last:
        yield f"I-2 entry {before.last[0]} is another one now"
    if shot.epoch < before.epoch:
        yield f"I-29 epoch {shot.epoch} after {before.epoch}"
    for short_id, old in before.jobs.items():
        now = shot.jobs.get(short_id)
        if now is None or now.id != old.id:
            yield f"F-114 job {short_id} has vanished"
        elif not old.is_open and (now.outcome, now.charged_ucr) != (old.outcome, old.charged_ucr):
            yield f"I-21 job {short_id}: {old.outcome} has become {now.outcome}"
    for reference, hold in before.holds.items():
        if hold.state != "open" and shot.holds.get(reference) != hold:
            yield f"I-5 hold {reference}: it was {hold}, now {shot.holds.get(reference)}"


# --- Once and never twice -------------------------------------------------------------------------


def _creates_repeated(witness: Witness, shot: Shot) -> Iterator[str]:
    """I-24, I-25: one request per attempt, one task per order: nothing was proven not created."""
    for (job_id, attempt), count in witness.creates.items():
        if count > 1:
            yield f"I-24 job {job_id}, attempt {attempt}: {count} creates"
    prompts = Counter(paid.prompt for paid in witness.paid.values())
    for prompt, count in prompts.items():
        if count > 1:
            yield f"I-24 {prompt}: {count} tasks"
    owners = {job.task_id: job for job in shot.jobs.values() if job.task_id is not None}
    for paid in witness.paid.values():
        owner = owners.get(paid.task_id)
        if owner is not None and owner.prompt != paid.prompt:
            yield f"I-25 task {paid.task_id} of {paid.prompt} belongs to {owner.prompt}"


def _told_twice(witness: Witness) -> Iterator[str]:
    """I-23, I-27, I-28: one message with the result, one message per nonce, one ping."""
    results = Counter(
        card.short_id for card in witness.cards.values() if card.has_file and not card.is_deleted
    )
    for short_id, count in results.items():
        if count > 1:
            yield f"I-23 job {short_id}: {count} messages have its result"
    for (channel_id, nonce), messages in witness.nonces.items():
        if len(messages) > 1:
            yield f"I-27 channel {channel_id}: {len(messages)} messages with the nonce {nonce}"
    pings = Counter[str]()
    for card in witness.cards.values():
        pings[card.short_id] += witness.pings[card.message_id]
    for short_id, count in pings.items():
        if count > 1:
            yield f"I-28 job {short_id}: {count} pings"


def _unasked(witness: Witness, shot: Shot) -> Iterator[str]:
    """S-2: a command that Discord showed as failed must have made nothing."""
    for job in shot.jobs.values():
        ref = int(job.reference.partition(":")[2])
        if ref in witness.failed:
            yield f"S-2 job {job.short_id}: Discord showed its command as failed"


# --- At the end -----------------------------------------------------------------------------------


def broken_at_end(
    witness: Witness, shot: Shot, asked: Mapping[int, Asked], consumed_ucr: int
) -> tuple[str, ...]:
    """What must be true when nothing is left to do; to be asked after `broken_at_death`."""
    return (*unfinished(witness, shot), *_money(witness, shot, asked, consumed_ucr))


def unfinished(witness: Witness, shot: Shot) -> tuple[str, ...]:
    """What is not over, or not told; empty when there is nothing left to wait for."""
    return (
        *_unfinished(witness, shot),
        *(
            f"F-3 message {one}: it thinks for ever"
            for one in witness.loading - witness.out_of_reach()
        ),
        *_outcomes(witness, shot),
        *_answers(witness, shot),
    )


def held(witness: Witness, shot: Shot) -> list[JobRow]:
    """Unclear jobs whose create never reached the provider: they wait for the end of the grace."""
    known = {(paid.job_id, paid.attempt) for paid in witness.paid.values()}
    return [
        job
        for job in shot.jobs.values()
        if job.status == "unknown" and (job.id, job.attempt) not in known
    ]


def _unfinished(witness: Witness, shot: Shot) -> Iterator[str]:
    waiting = {job.short_id for job in held(witness, shot)}
    for job in shot.jobs.values():
        if job.status != "delivered" and job.short_id not in waiting:
            yield f"I-22 job {job.short_id} ({job.prompt}): still {job.status}"
    for turn in shot.turns.values():
        if turn.state == "pending":
            yield f"I-22 turn {turn.reference}: still pending"
    succeeded = {job.id for job in shot.jobs.values() if job.outcome == "succeeded"}
    for paid in witness.paid.values():
        unseen = (paid.job_id, paid.attempt) in shot.unseen and paid.is_called_back
        if unseen and paid.job_id not in succeeded:  # a result that we have needs no news
            yield f"I-35 job {paid.job_id}: its callback was never acted on"


def _outcomes(witness: Witness, shot: Shot) -> Iterator[str]:
    """I-23: exactly one message, which says what the ledger says."""
    standing: dict[str, list[int | None]] = {}
    for card in witness.cards.values():
        if not card.is_deleted:
            standing.setdefault(card.short_id, []).append(card.price_now_ucr)
    waiting = {job.short_id for job in held(witness, shot)}
    for job in shot.jobs.values():
        said = standing.get(job.short_id, [])
        expected = [None] if job.short_id in waiting else [job.charged_ucr]
        if said != expected and job.sink != "list":
            yield f"I-23 job {job.short_id}: its messages say {said}, the ledger {expected}"


def _answers(witness: Witness, shot: Shot) -> Iterator[str]:
    """F-19: no answer is left with a Stop button; what was given back is told."""
    for question, answer in witness.answers.items():
        if answer.can_be_stopped:
            turn = shot.turns.get(f"m:{question}")
            yield f"F-19 question {question}: can be stopped for ever ({turn and turn.state})"
    for turn in shot.turns.values():
        question = int(turn.reference.partition(":")[2])
        told = witness.answers.get(question)
        if told is None or not told.prices_ucr:
            yield f"F-19 turn {turn.reference} ({turn.state}): nobody was told what it cost"


def _money(
    witness: Witness, shot: Shot, asked: Mapping[int, Asked], consumed_ucr: int
) -> Iterator[str]:
    charged_ucr = sum(hold.charged_ucr or 0 for hold in shot.holds.values())
    shown_ucr = sum(
        job.charged_ucr or 0
        for job in shot.jobs.values()
        if any(card.short_id == job.short_id for card in witness.cards.values())
    ) + sum(max(answer.prices_ucr, default=0) for answer in witness.answers.values())
    if charged_ucr != shown_ucr:
        yield f"I-1 charged {charged_ucr} in all, shown as charged {shown_ucr}"
    for reference, delta_ucr in shot.grants.items():
        wanted = asked.get(int(reference.partition(":")[2]))
        if wanted is None or wanted.amount_credits * 1_000_000 != delta_ucr:
            yield f"I-11 grant {reference}: {delta_ucr} booked, asked for {wanted}"
    yield from _provider(witness, shot, consumed_ucr)


def _provider(witness: Witness, shot: Shot, consumed_ucr: int) -> Iterator[str]:
    """I-12: what the provider took is what members paid and the operator lost; multiplier 1."""
    chats = [hold for hold in shot.holds.values() if hold.reference.startswith("m:")]
    paid_ucr = sum(paid.charged_ucr for paid in witness.paid.values())
    booked_ucr = sum(
        (hold.charged_ucr or 0) + (hold.loss_ucr or 0)
        for hold in shot.holds.values()
        if not hold.reference.startswith("m:")
    )
    if paid_ucr != booked_ucr:
        yield f"I-12 pictures and videos: the provider took {paid_ucr}, booked are {booked_ucr}"
    took_ucr = consumed_ucr - paid_ucr
    written_ucr = sum((hold.charged_ucr or 0) + (hold.loss_ucr or 0) for hold in chats)
    cut = sum(hold.state == "voided" for hold in chats)
    slack_ucr = REPORT_STEP_UCR * len(chats) + UNNOTED_UCR * cut
    if abs(took_ucr - written_ucr) > slack_ucr:
        yield (
            f"I-12 answers: the provider took {took_ucr}, booked are {written_ucr};"
            f" {cut} of {len(chats)} were cut"
        )
