"""Credits and payments in words: exact, and always in one of three phrases."""

from __future__ import annotations

from dataclasses import dataclass

from storage.types import UCR_PER_CREDIT, Job, JobStatus


def credits_text(amount_ucr: int) -> str:
    """Exact credits: `0.08`, `19.92`, `1,000,000`; up to six decimals, no trailing zeros."""
    whole, rest = divmod(abs(amount_ucr), UCR_PER_CREDIT)
    sign = "-" if amount_ucr < 0 else ""
    decimals = f".{rest:06}".rstrip("0") if rest else ""
    return f"{sign}{whole:,}{decimals}"


def counted(amount_ucr: int) -> str:
    """Credits with their noun: `1 credit`, `0.08 credits`."""
    noun = "credit" if abs(amount_ucr) == UCR_PER_CREDIT else "credits"
    return f"{credits_text(amount_ucr)} {noun}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What a piece of work cost: charged, or (while unsettled) held until `held_until_us`."""

    charged_ucr: int = 0
    held_ucr: int = 0
    held_until_us: int | None = None


NOT_CHARGED = Payment()


def payment_text(payment: Payment) -> str:
    """Exactly one of *charged N credits*, *not charged*, *N credits held until HH:MM*.

    The time is a Discord timestamp, which every reader sees as HH:MM of their own zone.
    """
    if payment.charged_ucr > 0:
        return f"charged {credits_text(payment.charged_ucr)} credits"
    if payment.held_ucr > 0 and payment.held_until_us is not None:
        held = credits_text(payment.held_ucr)
        return f"{held} credits held until <t:{payment.held_until_us // 1_000_000}:t>"
    return "not charged"


def job_payment(job: Job) -> Payment:
    """What a picture or a video cost, or what it holds while it is not over."""
    if job.outcome is not None:
        return Payment(charged_ucr=job.charged_ucr or 0)
    until_us = job.grace_until_us if job.status is JobStatus.UNKNOWN else job.deadline_us
    if job.price_ucr == 0:
        return NOT_CHARGED
    return Payment(held_ucr=job.price_ucr, held_until_us=until_us or job.deadline_us)
