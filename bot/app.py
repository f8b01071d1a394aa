"""The composition root: settings become objects, which start and stop in order (S-10, S-11)."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from bot.assembly import Assembly, Ground
from bot.catalogue.catalogue import Catalogue
from bot.clock import SystemClock
from bot.discordio import endpoints
from bot.discordio.client import AtelierBot
from bot.discordio.owner import tell_owner
from bot.discordio.reception import Reception
from bot.discordio.services import StoredCommandMemory
from bot.discordio.start_guard import StartGuard
from bot.jobs.engine import Engine
from bot.limits import CLOCK_BEHIND_S_MAX, STABLE_LOOK_S
from bot.providers.http import make_session
from bot.results.folder import ResultFolder, folder_beside
from bot.settings import Settings
from bot.text import console
from bot.web.callbacks import CallbackRoute, add_callback_routes
from bot.web.health import add_health_routes
from bot.web.server import WebServer
from bot.web.site import Site
from storage import buckets, budgets, preferences
from storage.database import Connection, Database, Store, sqlite_path
from storage.errors import StorageError, StoreInUse
from storage.interactions import OpenInteraction
from storage.types import OwedTurn

P = ParamSpec("P")
T = TypeVar("T")

SQLITE_SOUND = (3, 51, 3)
"""Older libraries can corrupt a file that two connections write at once (reliability.md 1.1)."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a former process left unfinished, for its members to be told."""

    turns: tuple[OwedTurn, ...]
    interactions: tuple[OpenInteraction, ...]


async def run(settings: Settings, catalogue: Catalogue) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises `StoreCorrupt`, `StoreInUse`, `StoreUnavailable`, `SettingsInvalid` (an address that
    cannot be listened on) before Discord hears of us; `DiscordRefused`, `DiscordUnreachable`.
    """
    clock = SystemClock()
    stop = asyncio.Event()
    _stop_on_signals(stop)
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database_url)
        stack.push_async_callback(database.close)
        if database.misses_log:
            advice = console.log_missing(str(sqlite_path(settings.database_url)))
            _log.error("database_log_missing", fault="F-113", advice=advice)
        store = WatchedStore(database, on_fenced=stop.set)
        _warn_of_old_sqlite()
        await store.transact(
            budgets.set_installation, budget=settings.budget, now_us=clock.now_us()
        )
        await _warn_of_a_clock_behind(store, clock.now_us())
        session = make_session()
        stack.push_async_callback(session.close)
        folder = await ResultFolder.open(folder_beside(sqlite_path(settings.database_url)))
        assembly = Assembly(
            Ground(
                settings=settings,
                catalogue=catalogue,
                store=store,
                session=session,
                folder=folder,
                clock=clock,
            )
        )
        services = assembly.services()
        endpoints.use_api(settings.discord_api_url)
        reception, guard = Reception(store, clock), StartGuard(store, clock)
        stack.push_async_callback(reception.close)
        client = AtelierBot(
            services=services,
            memory=StoredCommandMemory(store, clock),
            reception=reception,
            guard=guard,
            message_content=settings.message_content,
        )
        left = Left(turns=await services.chat.recover(), interactions=await reception.interrupted())
        signer = await assembly.signer()
        # Callbacks are taken before anybody acts on them, and both without Discord (S-10).
        intake = assembly.intake()
        stack.push_async_callback(intake.close)
        route = assembly.callback_route(signer, intake)
        web = await _listen(settings, store, client, route)
        stack.push_async_callback(web.close)
        engine = assembly.engine(delivery=client.delivery, signer=signer)
        await engine.start()
        stack.push_async_callback(engine.close)
        watch = asyncio.create_task(assembly.account_watch(partial(tell_owner, client)).run())
        stack.push_async_callback(_ended, watch)
        if not await _stopped_within(stop, await guard.next_delay_s()):
            await _serve(client, settings, engine=engine, guard=guard, stop=stop, left=left)
    if store.fenced is not None:
        raise store.fenced
    _log.info("stopped")


async def _serve(
    client: AtelierBot,
    settings: Settings,
    *,
    engine: Engine,
    guard: StartGuard,
    stop: asyncio.Event,
    left: Left,
) -> None:
    """Be in Discord until `stop`; then answers may end before the connection does."""
    assert settings.discord_token is not None
    token = settings.discord_token.get_secret_value()
    async with client:
        connection = asyncio.create_task(client.start(token))
        beside = [
            asyncio.create_task(_tell_when_ready(client, left)),
            asyncio.create_task(_note_stability(client, guard)),
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({connection, stopping}, return_when=asyncio.FIRST_COMPLETED)
            _log.info("stopping")
            client.services.jobs.close()
            await asyncio.gather(client.services.chat.close(), engine.close())
        finally:
            for task in (stopping, *beside):
                task.cancel()
            await asyncio.gather(stopping, *beside, return_exceptions=True)
            was_ready = client.is_ready()
            await client.close()
            if not connection.done():
                # Still logging in, or waiting between two tries: there is nothing to end well.
                connection.cancel()
            with suppress(asyncio.CancelledError):
                await connection
    if was_ready and stop.is_set():
        await guard.note_orderly_stop()


async def _tell_when_ready(client: AtelierBot, left: Left) -> None:
    await client.wait_until_ready()
    _log.info("ready", user=str(client.user), guilds=len(client.guilds))
    # None waits for another: each has its own limits at Discord.
    await asyncio.gather(
        client.reception.keep_telling(client, left.interactions),
        _tell_turns(client, left.turns),
        client.keep_registering(),
    )


async def _tell_turns(client: AtelierBot, owed: Sequence[OwedTurn]) -> None:
    await client.tell_interrupted(owed)
    await client.keep_telling()


async def _note_stability(client: AtelierBot, guard: StartGuard) -> None:
    while True:
        await client.services.clock.sleep(STABLE_LOOK_S)
        try:
            await guard.look(is_connected=client.is_ready())
        except StorageError as error:
            _log.info("stability_not_noted", error=type(error).__name__)


async def _listen(
    settings: Settings, store: Store, client: AtelierBot, callbacks: CallbackRoute
) -> WebServer:
    """Health is answered before Discord is there, and says so (S-10)."""

    async def ready() -> bool:
        try:
            await store.read(preferences.get, key=StartGuard.KEY)
        except StorageError:
            return False
        return client.is_ready()

    site = Site()
    add_health_routes(site, ready=ready)
    add_callback_routes(site, callbacks)
    web = WebServer(site, host=settings.web_host, port=settings.web_port)
    port = await web.start()
    _log.info("listening", host=settings.web_host, port=port)
    return web


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _stopped_within(stop: asyncio.Event, delay_s: float) -> bool:
    if delay_s > 0:
        _log.warning("start_delayed", delay_s=delay_s, fault="F-88")
    with suppress(TimeoutError):
        async with asyncio.timeout(delay_s):
            await stop.wait()
    return stop.is_set()


def _warn_of_old_sqlite() -> None:
    if sqlite3.sqlite_version_info < SQLITE_SOUND:
        # One connection is all we ever open, which is what makes the old library safe.
        _log.info("sqlite_below_3_51_3", version=sqlite3.sqlite_version)


async def _warn_of_a_clock_behind(store: Store, now_us: int) -> None:
    """An owner's time never runs backwards: one who was ahead once, waits (F-118)."""
    newest_us = await store.read(buckets.newest_start_us)
    if newest_us - now_us > CLOCK_BEHIND_S_MAX * 1_000_000:
        advice = console.clock_behind(newest_us)
        _log.error("clock_behind_the_books", fault="F-118", advice=advice)


class WatchedStore:
    """The database, and an eye on whether another process has taken it over (F-119)."""

    def __init__(self, database: Store, *, on_fenced: Callable[[], None]) -> None:
        self._database = database
        self._on_fenced = on_fenced
        self.fenced: StoreInUse | None = None

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return await self._database.transact(body, *args, **kwargs)
        except StoreInUse as error:
            self.fenced = error
            self._on_fenced()
            raise

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._database.read(body, *args, **kwargs)

    async def close(self) -> None:
        await self._database.close()
