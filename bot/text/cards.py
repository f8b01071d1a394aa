"""What stands on the cards of commands: a heading and a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.text.money import counted, credits_text
from storage.types import ActKind, Balance, BucketKind, HistoryLine, JobKind

REASON_CHARS_SHOWN = 80
"""Of a reason in a list; the whole of it stands in the confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """A heading, lines of Markdown, and small print."""

    heading: str
    lines: Sequence[str]
    closing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The picture or video that a line of the account paid for; `prompt` is cut already."""

    kind: JobKind
    model_label: str
    prompt: str


_HELD_FOR = "answers, pictures and videos that are not finished"
_WORKS = {JobKind.IMAGE: "Picture", JobKind.VIDEO: "Video"}
_BUCKETS = {
    BucketKind.ALLOWANCE: "daily allowance",
    BucketKind.GRANT: "granted",
    BucketKind.GIFT: "given to you",
    BucketKind.BOUGHT: "bought",
}

_KINDS = {
    ActKind.ALLOWANCE: "Daily allowance",
    ActKind.EXPIRE: "Expired",
    ActKind.GRANT: "Granted",
    ActKind.TAKE: "Taken back",
    ActKind.SET: "Set by staff",
    ActKind.GIFT: "Gift",
    ActKind.PURCHASE: "Bought",
    ActKind.SETTLE: "Answer",
}


def moment(at_us: int, style: str) -> str:
    """A Discord timestamp, which each reader sees in their own zone and language."""
    return f"<t:{at_us // 1_000_000}:{style}>"


def balance_card(balance: Balance) -> CardText:
    """What one member has."""
    lines = [f"**{credits_text(balance.available_ucr)}** to spend"]
    parts = [
        f"{credits_text(bucket.available_ucr)} {_BUCKETS[bucket.kind]}"
        for bucket in balance.buckets
        if bucket.available_ucr and bucket.starts_us is None
    ]
    if len(parts) > 1:
        lines[0] += f" ({', '.join(parts)})"
    if balance.held_ucr:
        lines.append(f"{credits_text(balance.held_ucr)} held for {_HELD_FOR}")
    lines += [
        f"{credits_text(bucket.available_ucr)} {_BUCKETS[bucket.kind]},"
        f" to spend from {moment(bucket.starts_us, 'f')}"
        for bucket in balance.buckets
        if bucket.starts_us is not None
    ]
    if balance.allowance_resets_us is not None:
        lines.append(f"The next allowance comes {moment(balance.allowance_resets_us, 'R')}")
    return CardText(heading="Your credits", lines=lines)


def history_card(
    history: Sequence[HistoryLine], works: Mapping[str, Work] | None = None
) -> CardText:
    """The last lines of one member's account; `works` by the lines' references."""
    if not history:
        return CardText(heading="Your last credits", lines=["Nothing yet."])
    found = works or {}
    return CardText(
        heading="Your last credits",
        lines=[_history_line(line, found.get(line.reference)) for line in history],
    )


def _history_line(line: HistoryLine, work: Work | None) -> str:
    sign = "+" if line.delta_ucr > 0 else "−"
    amount = f"{sign}{credits_text(abs(line.delta_ucr))}"
    kind = next((text for kind, text in _KINDS.items() if kind == line.kind), line.kind)
    if work is not None and line.kind == ActKind.SETTLE:
        parts = (_WORKS[work.kind], work.model_label, quoted(work.prompt))
        kind = " · ".join(part for part in parts if part)
    actor = ""
    if line.actor_id is not None:
        word = "by" if line.kind != ActKind.GIFT else "to" if line.delta_ucr < 0 else "from"
        actor = f" {word} <@{line.actor_id}>"
    reason = f": {quoted(line.reason)[:REASON_CHARS_SHOWN]}" if line.reason else ""
    return f"{moment(line.at_us, 'd')} **{amount}** {kind}{actor}{reason}"


_QUOTA_DONE = {
    "grant": "{amount} given to <@{member}>",
    "take": "{amount} taken from <@{member}>",
    "set": "<@{member}> can now spend {amount}",
}


def quota_card(
    *, verb: str, member_id: int, amount_credits: int, reason: str, balance: Balance
) -> CardText:
    """Confirmation of `grant`, `take` or `set`."""
    amount = counted(amount_credits * 1_000_000)
    done = _QUOTA_DONE[verb].format(amount=amount, member=member_id)
    now = f"Spendable now: **{credits_text(balance.available_ucr)}**"
    return CardText(heading="Done", lines=[done, now], closing=f"Reason: {quoted(reason)}")


def gift_card(*, member_id: int, amount_credits: int, balance: Balance) -> CardText:
    """Confirmation of `/credits gift`."""
    given = f"{counted(amount_credits * 1_000_000)} given to <@{member_id}>"
    now = f"Spendable now: **{credits_text(balance.available_ucr)}**"
    return CardText(heading="Done", lines=[given, now])


def booked_card() -> CardText:
    """What was done, when a restart came between the books and the confirmation."""
    told = "This was done; a restart of the bot came before I could say so."
    return CardText(heading="Done", lines=[told, "There is no need to repeat it."])


def forgotten_card(count: int) -> CardText:
    """Confirmation of `/forget`."""
    answers = "1 question and its answer" if count == 1 else f"{count:,} questions and answers"
    told = f"I no longer know of {answers} in this channel." if count else "There was nothing."
    return CardText(heading="Forgotten", lines=[told, "The messages themselves stay."])


def help_card(commands: Iterable[tuple[str, str]], menus: Sequence[str] = ()) -> CardText:
    """Every command (`name`, `description`), the entries of a message's menu, and how to ask."""
    lines = [
        "Mention me, reply to me or write me a DM, with files if you like; I answer.",
        *(f"`/{name}` {description}" for name, description in commands),
    ]
    if menus:
        entries = ", ".join(f"*{menu}*" for menu in menus)
        lines.append(f"Right click (or hold) a message, then Apps: {entries}")
    return CardText(heading="What I can do", lines=lines)


def quoted(words: str) -> str:
    """Somebody's words on one line, unable to look like ours."""
    line = " ".join(words.split())
    return "".join(f"\\{char}" if char in "*_`~|<>[]#" else char for char in line)
