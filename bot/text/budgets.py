"""The budgets of a server and of the whole bot, in words."""

from __future__ import annotations

from collections.abc import Sequence

from bot.text.cards import CardText, moment
from bot.text.money import counted, credits_text
from storage.errors import BudgetExhausted
from storage.types import Budget, BudgetWindow, Scope, Span

_PER = {Span.DAY: "Per day", Span.MONTH: "Per month"}
_IN_ALL = {Span.DAY: "today", Span.MONTH: "this month"}
_BUDGETS = {Span.DAY: "daily", Span.MONTH: "monthly"}


def exhausted(error: BudgetExhausted) -> tuple[str, str, str]:
    """Return heading, what happened, advice."""
    if error.scope is Scope.INSTALLATION:
        return _exhausted_everywhere(error)
    what = (
        f"This needs up to {counted(error.needed_ucr)}; of this server's {_BUDGETS[error.span]} "
        f"budget of {credits_text(error.ceiling_ucr)} there are "
        f"{credits_text(error.available_ucr)} left. Your own credits are untouched."
    )
    advice = (
        f"It starts anew {moment(error.resets_at_us, 'R')}; the server's staff can raise it with "
        "`/quota budget`."
    )
    return "The server's budget is used up", what, advice


def _exhausted_everywhere(error: BudgetExhausted) -> tuple[str, str, str]:
    """The ceiling itself is the operator's business."""
    what = (
        f"This needs up to {counted(error.needed_ucr)}; of what this bot may spend "
        f"{_IN_ALL[error.span]} in all servers and direct messages together there are "
        f"{credits_text(error.available_ucr)} left. Your own credits are untouched."
    )
    advice = f"It starts anew {moment(error.resets_at_us, 'R')}; only the bot's operator sets it."
    return "The bot's budget is used up", what, advice


def budget_card(budget: Budget | None, windows: Sequence[BudgetWindow]) -> CardText:
    """The ceilings of a server and how far they are used."""
    running = {window.span: window for window in windows}
    lines = [
        f"{_PER[span]}: {_used(running[span]) if span in running else 'no ceiling'}"
        for span in Span
    ]
    if budget is not None:
        lines.append(f"Days and months turn in {budget.timezone.replace('_', ' ')}.")
    return CardText(heading="This server's budget", lines=lines)


def _used(window: BudgetWindow) -> str:
    held = f", {credits_text(window.held_ucr)} held" if window.held_ucr else ""
    return (
        f"**{credits_text(window.spent_ucr)}** of {counted(window.ceiling_ucr)} used{held};"
        f" anew {moment(window.resets_us, 'R')}"
    )
