"""What the provider says a task cost, judged before it moves any credits (F-51). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from bot.limits import REPORTED_FACTOR_MAX
from storage.types import UCR_PER_CREDIT, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCost:
    """The provider's cost in µcr. `alarm`: it is not what the price list says, look into it."""

    cost_ucr: int
    alarm: bool


def reported_cost(job: Job, amount: Decimal | None) -> ReportedCost | None:
    """Return a reported amount of credits as µcr; None where only the listed price can count.

    Below nothing is nothing; an absurd amount is cut, because the books have to carry it. What
    is beyond the hold never reaches the member: settling books it as loss.
    """
    if amount is None or not amount.is_finite():
        return None
    if amount <= 0:
        return ReportedCost(cost_ucr=0, alarm=amount < 0)
    most_ucr = REPORTED_FACTOR_MAX * max(job.cost_ucr, UCR_PER_CREDIT)
    # Compared before multiplied: a huge exponent would overflow the decimal context.
    if amount > Decimal(most_ucr) / UCR_PER_CREDIT:
        return ReportedCost(cost_ucr=most_ucr, alarm=True)
    cost_ucr = int((amount * UCR_PER_CREDIT).to_integral_value(ROUND_CEILING))
    return ReportedCost(cost_ucr=cost_ucr, alarm=cost_ucr > job.cost_ucr)
