"""Members and staff: what they ask for, drawn once for a world, and what they were told."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.chat.ports import AnswerSink, Question
from bot.chat.service import ChatService
from bot.credits.service import CreditsService, StaffAct
from bot.errors import AtelierError
from bot.jobs.ports import Order
from bot.jobs.service import JobService, Press
from bot.jobs.sinks import Sinks
from storage.errors import StorageError
from storage.types import JobKind
from tests.simulation.loop import START_US
from tests.simulation.trace import Trace
from tests.simulation.witness import Accepted, Witness

MEMBERS = (101, 102, 103)
STAFF = 900
GUILD = 77
CHANNELS = (9_001, 9_002)
RUSH_S = 80.0
TOKEN_S = 885.0
TOKEN_SHARE = 0.6
DIRECT_EVERY = 7
"""Of the orders: in a direct message, where no server's budget counts."""
_WORDS: tuple[str, ...] = (
    ("order",) * 12 + ("film",) * 2 + ("twice", "cancel", "cancel", "list", "again")
)
_WORDS += ("ask",) * 15 + ("stop",) * 2
_CHAT_MODELS = ("gpt-5-4", "gemini-2.5-pro", "gemini-3.1-pro")
_WORDS += ("grant", "take", "set", "gift", "balance", "budget")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something that a member does at some second; `number` makes its reference."""

    number: int
    at_s: float
    word: str
    user_id: int
    channel_id: int
    choice: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The services of one process, as the cogs are handed them."""

    jobs: JobService
    chat: ChatService
    credits: CreditsService
    screen: Callable[[str], AnswerSink]
    sinks: Sinks
    now_s: Callable[[], float]


def drawn_commands(rng: random.Random, *, count: int, until_s: float) -> list[Command]:
    """What happens in a world, in the order of time."""
    bunches = [rng.random() * until_s for _bunch in range(max(1, count // 3))]
    moments = sorted(rng.choice(bunches) + rng.expovariate(1 / 20) for _command in range(count))
    return [
        Command(
            number=number,
            at_s=at_s,
            word=rng.choice(_WORDS),
            user_id=rng.choice(MEMBERS),
            channel_id=rng.choice(CHANNELS),
            choice=rng.random(),
        )
        for number, at_s in enumerate(moments, start=1)
    ]


def rush(rng: random.Random, commands: list[Command]) -> list[Command]:
    """The same commands, now all within a minute or so, and most of them orders."""
    at_s = rng.choice(commands).at_s
    moments = sorted(at_s + rng.random() * RUSH_S for _command in commands)
    return [
        replace(one, at_s=moment, word="order" if rng.random() < 0.8 else one.word)
        for one, moment in zip(commands, moments, strict=True)
    ]


class Crowd:
    """Carries commands to the bot and remembers what came back."""

    def __init__(self, *, witness: Witness, trace: Trace, broke: Callable[[str], None]) -> None:
        self._witness = witness
        self._trace = trace
        self._broke = broke
        self._cards: list[tuple[str, int]] = []
        """(short id, member) of what was accepted, as the cards' buttons know it."""
        self._talks: list[str] = []

    async def act(self, command: Command, desk: Desk) -> None:
        """Run one command as its cog would; what refuses it is told and forgotten."""
        try:
            await self._run(command, desk)
        except (AtelierError, StorageError) as error:
            self._trace("member", f"i:{command.number} {command.word} {type(error).__name__}")
        except Exception as error:  # noqa: BLE001 - the cogs' handler would show a bug of ours.
            self._broke(f"command {command.word}: {error!r}")

    async def _run(self, command: Command, desk: Desk) -> None:
        match command.word:
            case "order" | "film" | "twice":
                await self._order(_order_of(command, desk), desk)
            case "cancel" | "again":
                await self._press(command, desk)
            case "ask":
                await self._ask(command, desk)
            case "stop":
                for reference in self._talks[-3:]:
                    desk.chat.stop(reference, user_id=STAFF, staff=True)
            case "list":
                await desk.jobs.list(command.user_id)
            case "balance":
                await desk.credits.balance(command.user_id)
                await desk.credits.history(command.user_id)
            case _:
                await self._staff(command, desk)

    async def _order(self, order: Order, desk: Desk) -> None:
        self._trace("member", f"{order.reference} orders")
        quote = await desk.jobs.quote(order)
        job = await desk.jobs.request(order)
        self._trace("member", f"{order.reference} accepted {job.id} {job.short_id}")
        self._witness.accepted[order.reference] = Accepted(
            reference=order.reference,
            user_id=order.user_id,
            shown_ucr=quote.price_ucr,
            at_s=desk.now_s(),
        )
        self._cards.append((job.short_id, order.user_id))
        message_id = await desk.sinks.show_first(await desk.jobs.card_of(job))
        if message_id is not None:
            await desk.jobs.show_at(job, message_id=message_id)

    async def _ask(self, command: Command, desk: Desk) -> None:
        reference = f"m:{command.number}"
        self._trace("member", f"{reference} asks")
        self._talks.append(reference)
        question = Question(
            reference=reference,
            channel_id=command.channel_id,
            guild_id=GUILD,
            author_id=command.user_id,
            author_name="Mira",
            text=f"Why is the sky blue? talk:{reference}",
            model_id=_CHAT_MODELS[int(command.choice * len(_CHAT_MODELS))],
            private=command.choice > 0.9,
        )
        await desk.chat.reply(question, desk.screen(reference))

    async def _press(self, command: Command, desk: Desk) -> None:
        if not self._cards:
            return
        short_id, owner_id = self._cards[int(command.choice * len(self._cards))]
        if command.word == "cancel":
            await desk.jobs.cancel(short_id, user_id=owner_id, staff=False, guild_id=GUILD)
            self._trace("member", f"{short_id} cancelled")
            return
        press = Press(
            reference=f"i:{command.number}",
            user_id=owner_id,
            staff=False,
            guild_id=GUILD,
            channel_id=command.channel_id,
            age_restricted=False,
            interaction_token="token",
            interaction_expires_us=_token_end_us(desk),
        )
        order = await desk.jobs.again(short_id, press)
        await self._order(replace(order, prompt=f"a fox {order.reference}"), desk)

    async def _staff(self, command: Command, desk: Desk) -> None:
        act = StaffAct(
            actor_id=STAFF,
            actor_owns_guild=False,
            guild_id=GUILD,
            reason="contest",
            # Some acts come twice, as a gateway that resumes repeats its events.
            reference=f"i:{command.number}",
        )
        amount = 1 + int(command.choice * 20)
        for _time in range(1 + (command.choice > 0.7)):
            match command.word:
                case "grant":
                    await desk.credits.grant(command.user_id, amount, act)
                case "take":
                    await desk.credits.take(command.user_id, amount, act)
                case "set":
                    await desk.credits.set(command.user_id, amount, act)
                case "budget":
                    await desk.credits.set_budget(
                        GUILD,
                        day_credits=amount,
                        month_credits=amount * 2 if command.choice > 0.5 else None,
                        timezone=None,
                        actor_id=STAFF,
                        reference=act.reference,
                    )
                case "gift":
                    receiver = MEMBERS[command.number % len(MEMBERS)]
                    await desk.credits.gift(
                        command.user_id, receiver, amount, reference=act.reference
                    )


def _order_of(command: Command, desk: Desk) -> Order:
    is_film = command.word == "film"
    return Order(
        reference=f"i:{command.number}",
        kind=JobKind.VIDEO if is_film else JobKind.IMAGE,
        user_id=command.user_id,
        guild_id=None if command.number % DIRECT_EVERY == 0 else GUILD,
        channel_id=command.channel_id,
        prompt=f"a fox i:{command.number}",
        # A card that was ordered by a button of an old card, or from a message, has no token.
        interaction_token="token" if command.choice < TOKEN_SHARE else None,
        interaction_expires_us=_token_end_us(desk) if command.choice < TOKEN_SHARE else None,
    )


def _token_end_us(desk: Desk) -> int:
    return START_US + round((desk.now_s() + TOKEN_S) * 1_000_000)
