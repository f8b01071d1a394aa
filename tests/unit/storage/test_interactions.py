"""What Discord asked: taken once, answered or told, and forgotten in time."""

from __future__ import annotations

import pytest

from storage import budgets, interactions, jobs, ledger, turns
from storage.budgets import BudgetChange
from storage.errors import Duplicate
from storage.interactions import OpenInteraction
from storage.ledger import StaffFacts
from storage.types import Allowance, Cause, NewTurn, OwedTurn
from tests.unit.storage.bank import MIRA, NONE
from tests.unit.storage.workshop import MINUTE_US, Workshop, new_job

TOKEN = "t" * 20
ONE = OpenInteraction(id=1, token=TOKEN)


def receive(workshop: Workshop, interaction_id: int = 1, *, token: str | None = TOKEN) -> None:
    expires_us = workshop.now_us + 15 * MINUTE_US
    workshop.act(
        interactions.receive, interaction_id=interaction_id, token=token, expires_us=expires_us
    )


def unanswered(workshop: Workshop) -> tuple[OpenInteraction, ...]:
    return workshop.database.view(interactions.unanswered, now_us=workshop.now_us)


def owed(workshop: Workshop) -> tuple[OwedTurn, ...]:
    return workshop.database.view(turns.owed, since_us=0, turns_max=10, now_us=workshop.now_us)


def test_an_interaction_is_taken_once(workshop: Workshop) -> None:
    """I-33: the primary key says so; the first one stands."""
    receive(workshop)
    with pytest.raises(Duplicate):
        receive(workshop, token="another")
    assert unanswered(workshop) == (ONE,)


def test_before_it_is_taken_nothing_is_owed(workshop: Workshop) -> None:
    """F-1: a crash before the row leaves nothing to tell; a message has no token to tell by."""
    assert unanswered(workshop) == ()
    receive(workshop, token=None)
    assert unanswered(workshop) == ()


def test_what_was_taken_and_came_to_nothing_is_found_while_its_token_lives(
    workshop: Workshop,
) -> None:
    """F-2, F-3: until it is told, or fifteen minutes are over."""
    receive(workshop, 1)
    receive(workshop, 2)
    assert [one.id for one in unanswered(workshop)] == [1, 2]
    workshop.database.run(interactions.end, interaction_id=2)
    assert unanswered(workshop) == (ONE,)
    workshop.now_us += 15 * MINUTE_US
    assert unanswered(workshop) == ()


def test_an_accepted_job_shows_itself(workshop: Workshop) -> None:
    """F-4: its card comes after the restart; it is not called interrupted."""
    receive(workshop)
    job = new_job("i:1", price_ucr=0, cost_ucr=0)
    workshop.database.run(jobs.enqueue, job=job, allowance=NONE, now_us=workshop.now_us)
    assert unanswered(workshop) == ()


def test_what_was_booked_is_found_as_done(workshop: Workshop) -> None:
    """F-3, F-4: a grant, a gift, a budget; whoever reads that nothing came of it does it again."""
    staff: StaffFacts = {
        "actor_id": 7,
        "guild_id": 8,
        "reason": "x",
        "reference": "i:1",
        "allowance": NONE,
        "now_us": workshop.now_us,
    }
    for interaction_id in (1, 2, 3, 4):
        receive(workshop, interaction_id)
    workshop.database.run(ledger.grant, user_id=MIRA, amount_ucr=9, **staff)
    workshop.act(
        ledger.gift,
        giver_id=MIRA,
        receiver_id=7,
        amount_ucr=2,
        reference="i:2",
        allowance=NONE,
    )
    workshop.act(
        budgets.set_budget,
        guild_id=8,
        change=BudgetChange(day_ucr=5),
        timezone="UTC",
        actor_id=7,
        reference="i:3",
    )
    found = [(one.id, one.is_booked) for one in unanswered(workshop)]
    assert found == [(1, True), (2, True), (3, True), (4, False)]


def test_a_turn_is_owed_its_own_end(workshop: Workshop) -> None:
    """F-15, F-19: it is never called uncharged here; who tells its end gets the living token."""
    receive(workshop)
    turn = NewTurn(
        reference="i:1",
        channel_id=9,
        guild_id=None,
        author_id=MIRA,
        author_name="Mira",
        model="gpt-5-4",
        question="Hello?",
        attachments=(),
        cost_estimate_ucr=0,
    )
    workshop.act(
        ledger.hold,
        user_id=MIRA,
        amount_ucr=9,
        floor_ucr=9,
        reference="i:1",
        allowance=Allowance(amount_ucr=20),
    )
    workshop.act(turns.begin, turn=turn)
    assert unanswered(workshop) == ()
    workshop.act(turns.finish, reference="i:1", answer="42", tokens=3)
    workshop.act(ledger.settle, reference="i:1", cost_ucr=7, cause=Cause.ANSWERED)
    assert unanswered(workshop) == ()
    assert [(turn.token, turn.charged_ucr) for turn in owed(workshop)] == [(TOKEN, 7)]
    workshop.now_us += 15 * MINUTE_US
    assert [turn.token for turn in owed(workshop)] == [None]


def test_tokens_and_keys_are_forgotten_in_time(workshop: Workshop) -> None:
    """C-45: the token after a quarter of an hour, the key when Discord cannot repeat it."""
    receive(workshop)
    began_us = workshop.now_us
    workshop.now_us += 15 * MINUTE_US
    workshop.act(interactions.purge, before_us=began_us)
    rows = workshop.database.view(
        lambda c: c.exec_driver_sql("SELECT id, token FROM interactions").all()
    )
    assert [tuple(row) for row in rows] == [(1, None)]
    workshop.act(interactions.purge, before_us=began_us + 1)
    receive(workshop)
