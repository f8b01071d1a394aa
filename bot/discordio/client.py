"""The client: its extensions, its start, and the one place where errors become messages."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import discord
import structlog
from discord import app_commands
from discord.ext import commands

from bot.discordio import cards, endpoints, recovery, registration, rest_breaker
from bot.discordio.faults import (
    DISCORD_ERRORS,
    REACHABILITY_ERRORS,
    asked_wait_s,
    is_answered_elsewhere,
    is_worth_an_alarm,
    translated,
)
from bot.discordio.first_answers import show_privately
from bot.discordio.job_cards import JobCards
from bot.discordio.job_desk import JobDesk
from bot.discordio.messages import DiscordMessages
from bot.discordio.pacing import ChannelPacer
from bot.discordio.people import missing_permission, reply_options
from bot.discordio.reception import Reception
from bot.discordio.services import CommandMemory, Services
from bot.discordio.start_guard import IdentifyPostponed, StartGuard
from bot.errors import DiscordRefused, DiscordUnreachable
from bot.limits import (
    IDENTIFIES_RESERVED,
    IDENTIFY_PAUSE_S,
    LOGIN_ATTEMPTS_MAX,
    LOGIN_DELAY_S,
    LOGIN_DELAY_S_MAX,
    OWED_DELAY_S,
    OWED_DELAY_S_MAX,
    RATE_LIMIT_WAIT_S_MAX,
    START_DELAY_S_MAX,
    TELL_INTERVAL_S,
    TELLERS_MAX,
)
from bot.text.messages import Notice, message, short_reference
from storage.errors import Duplicate, StorageError
from storage.types import OwedTurn

# Atelier has no voice, so discord.py need not warn at every start that it could not speak.
discord.VoiceClient.warn_nacl = False
discord.VoiceClient.warn_dave = False

EXTENSIONS = (
    "cogs.chat",
    "cogs.imagine",
    "cogs.video",
    "cogs.jobs",
    "cogs.credits",
    "cogs.quota",
    "cogs.help",
)

_log = structlog.get_logger(__name__)


class AtelierTree(app_commands.CommandTree["AtelierBot"]):
    """The command tree; what a command raises goes to the one hook."""

    async def interaction_check(self, interaction: discord.Interaction[AtelierBot], /) -> bool:
        """No command is begun that was not written down (S-2); suggestions cost nothing."""
        if interaction.type is not discord.InteractionType.application_command:
            return True
        return await interaction.client.welcome(interaction)

    async def on_error(
        self,
        interaction: discord.Interaction[AtelierBot],
        error: app_commands.AppCommandError,
        /,
    ) -> None:
        await interaction.client.report(interaction, error)


class AtelierBot(commands.Bot):
    """discord.py's client with the least rights, and ours as the only error texts."""

    def __init__(
        self,
        *,
        services: Services,
        memory: CommandMemory,
        reception: Reception,
        guard: StartGuard,
        message_content: bool = False,
    ) -> None:
        """`message_content` asks for the privileged intent of the same name."""
        self.rest = rest_breaker.RestBreaker(services.clock)
        self._tells = ChannelPacer(services.clock, interval_s=TELL_INTERVAL_S)
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=AtelierTree,
            intents=discord.Intents(
                guilds=True,
                guild_messages=True,
                dm_messages=True,
                message_content=message_content,
            ),
            allowed_mentions=discord.AllowedMentions.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            max_ratelimit_timeout=RATE_LIMIT_WAIT_S_MAX,
            http_trace=rest_breaker.trace(self.rest, on_refused=self._refused),
        )
        self._refusal: asyncio.Task[None] | None = None
        endpoints.free_global_limit(self.http)
        self.services = services
        self.reception = reception
        self._guard = guard
        self._sync_wait_s = 0.0
        self._counted = True
        """The next new session: that of the start, or one that has waited for its turn."""
        self._memory = memory
        job_cards = JobCards(services.catalogue, demo=services.demo)
        self.messages = DiscordMessages(
            self, cards=job_cards, pacer=services.pacer, clock=services.clock
        )
        self.delivery = services.sinks(self.messages)
        self.job_desk = JobDesk(services, cards=job_cards, delivery=self.delivery)

    # --- Start ------------------------------------------------------------------------------

    async def start(self, token: str, *, reconnect: bool = True) -> None:
        """Log in and stay connected until closed.

        Raises `DiscordRefused` when only the operator can help, `DiscordUnreachable` when Discord
        did not answer for minutes before the first connection.
        """
        try:
            await self._stay_patiently(token, reconnect=reconnect)
            if self._refusal is not None:
                await self._refusal
                raise DiscordRefused
        except discord.LoginFailure as error:
            raise DiscordRefused from error
        except discord.PrivilegedIntentsRequired as error:
            raise DiscordRefused(close_code=4014) from error
        except discord.ConnectionClosed as error:
            raise DiscordRefused(close_code=error.code) from error

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Count the sessions that discord.py begins anew: a loop of them resets the token (S-9)."""
        if self._counted:
            self._counted = False
            return
        try:
            delay_s = await self._guard.next_delay_s()
        except StorageError as error:
            _log.warning("session_not_counted", fault="F-110", error=type(error).__name__)
            delay_s = START_DELAY_S_MAX
        if delay_s > IDENTIFY_PAUSE_S:
            raise IdentifyPostponed(delay_s=delay_s)
        await super().before_identify_hook(shard_id, initial=initial)

    async def _stay_patiently(self, token: str, *, reconnect: bool) -> None:
        """Log in, find the gateway, connect; what cannot be reached is tried again for minutes.

        After the first session discord.py connects again by itself, for as long as it takes.
        """
        has_login, delay_s = False, LOGIN_DELAY_S
        for _attempt in range(LOGIN_ATTEMPTS_MAX):
            try:
                if not has_login:
                    await self.login(token)
                has_login = True
                await self._mind_the_start_limit(await endpoints.use_gateway(self.http))
                return await self._connect_in_turn(reconnect=reconnect)
            except app_commands.CommandSyncFailure:
                raise
            except REACHABILITY_ERRORS as error:
                if self._refusal is not None:
                    return None
                wait_s = max(delay_s, asked_wait_s(error))
                _log.warning("discord_unreachable", error=repr(error), retry_s=wait_s)
                if not has_login:
                    await endpoints.forget_session(self.http)
                await self.services.clock.sleep(wait_s)
                delay_s = min(delay_s * 2, LOGIN_DELAY_S_MAX)
        raise DiscordUnreachable(attempts=LOGIN_ATTEMPTS_MAX)

    async def _connect_in_turn(self, *, reconnect: bool) -> None:
        """Be connected until closed. Raises `ConnectionError` when no session came about."""
        while True:
            try:
                return await self.connect(reconnect=reconnect)
            except AttributeError as error:
                await endpoints.hang_up(error)
                if not endpoints.is_without_session(self, error):
                    raise
                raise ConnectionError(f"gateway: {error.__context__!r}") from error
            except IdentifyPostponed as postponed:
                await endpoints.hang_up(postponed)
                _log.warning("session_delayed", fault="F-83", delay_s=postponed.delay_s)
                await self.services.clock.sleep(postponed.delay_s)
                self._counted = True

    def _refused(self) -> None:
        """The token was taken back while we use it: stop at once, without one request more (F-88).

        Before the login is over, discord.py says so itself.
        """
        if self.application is not None and self._refusal is None:
            _log.error("token_refused", fault="F-88")
            self._refusal = asyncio.create_task(self.close())

    async def setup_hook(self) -> None:
        """Load every extension, then tell Discord about the commands if they changed.

        A long limit keeps nobody waiting: Discord has those of before (F-84).
        """
        for extension in EXTENSIONS:
            if extension not in self.extensions:  # a login that failed later comes here again
                await self.load_extension(extension)
        try:
            await self._sync_commands()
        except discord.RateLimited as error:
            self._sync_wait_s = asked_wait_s(error)
            _log.warning("commands_not_synced", fault="F-84", retry_s=self._sync_wait_s)

    async def on_message(self, message: discord.Message, /) -> None:
        """Take no prefix commands: what is said to the bot is a question (cogs/chat.py)."""

    async def _mind_the_start_limit(self, gateway: endpoints.Gateway) -> None:
        """Wait while session starts are short: at zero Discord resets the token (S-9)."""
        if gateway.starts_remaining < IDENTIFIES_RESERVED:
            _log.warning(
                "session_starts_short",
                remaining=gateway.starts_remaining,
                wait_s=gateway.starts_reset_after_s,
            )
            await self.services.clock.sleep(gateway.starts_reset_after_s)

    async def _sync_commands(self) -> None:
        """Register the commands when they changed, or when Discord does not have them so.

        Reading them costs one request; writing them is limited and slow (asks.md 53).
        """
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        digest = registration.digest(self.application_id, payload)
        fetched = [command.to_dict() for command in await self.tree.fetch_commands()]
        is_there = registration.shapes(fetched) == registration.shapes(payload)
        if is_there and await self._memory.last_digest() == digest:
            return
        await self.tree.sync()
        await self._memory.remember(digest)
        _log.info("commands_synced", count=len(payload))

    async def close(self) -> None:
        """Let go of Discord; whoever is cut off by it is told after the restart (F-3, S-11)."""
        self.reception.leave_open()
        await super().close()

    async def keep_registering(self) -> None:
        """While we run: register the commands that a limit kept back at the start (F-84)."""
        while self._sync_wait_s > 0:
            await self.services.clock.sleep(self._sync_wait_s)
            try:
                await self._sync_commands()
            except app_commands.CommandSyncFailure as error:
                _log.error("commands_refused", error=repr(error))
                return
            except (*DISCORD_ERRORS, StorageError) as error:
                self._sync_wait_s = asked_wait_s(error) or self._sync_wait_s
                _log.warning("commands_not_synced", error=repr(error), retry_s=self._sync_wait_s)
            else:
                self._sync_wait_s = 0.0

    # --- The door -----------------------------------------------------------------------------

    async def welcome(self, asked: discord.Interaction[Any] | discord.Message) -> bool:
        """Write down what was asked; False when nothing may follow, which the member was told."""
        try:
            await self.reception.receive(asked)
        except Exception as error:  # noqa: BLE001 - the one hook takes everything.
            await self.report(asked, error)
            return False
        return True

    # --- The one error hook -----------------------------------------------------------------

    async def report(
        self, where: discord.Interaction[Any] | discord.Message, error: Exception
    ) -> None:
        """Turn what a command, view, modal or listener raised into one message.

        Never raises: whoever reads the log finds the short reference that the member was shown.
        """
        kind = "i" if isinstance(where, discord.Interaction) else "m"
        reference = f"{kind}:{where.id}"
        failure = translated(error, reference=reference)
        if is_answered_elsewhere(error):
            # Another process with this token, or our own answer whose receipt got lost.
            _log.warning("another_instance_answers", fault="F-100", reference=reference)
            return
        if isinstance(failure, Duplicate):
            _log.info("repeated", reference=failure.reference)
            return
        notice = message(failure, reference=reference)
        self._log_failure(failure, reference)
        if self.is_closed():  # S-11: no request leaves any more
            _log.info("left_to_be_told", reference=reference)
            return
        try:
            await self._show(where, notice)
        except DISCORD_ERRORS as trouble:
            _log.warning("notice_not_shown", reference=reference, error=repr(trouble))

    async def on_error(self, event_method: str, /, *args: Any, **_kwargs: Any) -> None:
        """A listener failed: tell the author when the event was a message or an interaction."""
        error = sys.exc_info()[1]
        if not isinstance(error, Exception):
            return
        where = args[0] if args else None
        if isinstance(where, discord.Message | discord.Interaction):
            await self.report(where, error)
        else:
            _log.error("listener_failed", listener=event_method, exc_info=error)

    def _log_failure(self, failure: Exception, reference: str) -> None:
        ref = short_reference(reference)
        name = type(failure).__name__
        if is_worth_an_alarm(failure):
            _log.error("failed", ref=ref, reference=reference, error=name, exc_info=failure)
        else:
            _log.info("refused", ref=ref, reference=reference, error=name, facts=str(failure))

    async def _show(
        self, where: discord.Interaction[Any] | discord.Message, notice: Notice
    ) -> None:
        card = cards.notice_card(notice)
        if isinstance(where, discord.Message):
            await self._reply_or_tell(where, card)
        else:
            await show_privately(where, card)

    async def _reply_or_tell(self, question: discord.Message, card: discord.ui.LayoutView) -> None:
        """Reply; where we may not write, tell the author in private (F-89)."""
        if missing_permission(question) is not None:
            await question.author.send(view=card)
            return
        await question.channel.send(view=card, **reply_options(question))

    async def keep_telling(self) -> None:
        """While we run: tell the ends that Discord did not take, until they are a day old (S-7)."""
        delay_s = OWED_DELAY_S
        while True:
            await self.services.clock.sleep(delay_s)
            try:
                owed = await self.services.chat.owed()
            except StorageError as error:
                _log.warning("owed_not_read", fault="F-110", error=type(error).__name__)
                continue
            is_told = await self.tell_interrupted(owed)
            delay_s = OWED_DELAY_S if is_told else min(delay_s * 2, OWED_DELAY_S_MAX)

    async def tell_interrupted(self, turns: Sequence[OwedTurn]) -> bool:
        """Say what became of the answers whose end was owed; whether none is owed any more.

        What Discord refuses for good is let go; the rest is for the next time. Channels are told
        side by side, because Discord limits each; in a channel one after the other, and no more
        once it refused us (I-32).
        """
        places = recovery.Places(recovery.Place)
        by_channel: defaultdict[int, list[OwedTurn]] = defaultdict(list)
        for turn in turns:
            by_channel[turn.channel_id].append(turn)
        gate = asyncio.Semaphore(TELLERS_MAX)

        async def tell_channel(owed: Sequence[OwedTurn]) -> bool:
            async with gate:
                return all([await self._tell(turn, places) for turn in owed])

        return all(await asyncio.gather(*map(tell_channel, by_channel.values())))

    async def _tell(self, turn: OwedTurn, places: recovery.Places) -> bool:
        if not places[turn.channel_id].is_closed:
            await self.services.pacer.turn(turn.channel_id)
        await self._tells.turn(0)
        with rest_breaker.delivering(is_result=turn.answer is not None):
            if not await recovery.tell(self, turn, places):
                return False
        try:
            await self.services.chat.told(turn.reference)
        except StorageError as error:
            _log.warning("told_not_noted", reference=turn.reference, error=repr(error))
        return True
