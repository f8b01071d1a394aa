"""Settings become objects: which part is handed which. Nothing here starts or stops anything."""

from __future__ import annotations

import random
from dataclasses import dataclass

import aiohttp

from bot.catalogue.catalogue import Catalogue
from bot.chat.service import ChatService
from bot.clock import Clock
from bot.credits.account import AccountWatch, Alert
from bot.credits.service import CreditsService
from bot.discordio.pacing import ChannelPacer
from bot.discordio.services import Services
from bot.jobs.bell import Bell
from bot.jobs.bench import Bench, CallbackUrl, PollGate
from bot.jobs.cards import Cards
from bot.jobs.engine import Engine
from bot.jobs.ports import Delivery, Messages
from bot.jobs.service import JobService
from bot.jobs.sinks import Sinks
from bot.providers.base import ImageFile
from bot.providers.breaker import Breakers
from bot.providers.http import ProviderHttp
from bot.providers.registry import ChatProviders, MediaProviders
from bot.results.fetcher import ResultFetcher
from bot.results.folder import ResultFolder
from bot.settings import Settings
from bot.web.callbacks import CallbackRoute
from bot.web.intake import Intake
from bot.web.signatures import CallbackSigner, callback_keys
from storage.database import Store

AIVIDEO = "aivideo"
"""The provider's name in `models.toml`; the only one that calls back."""
VIDEO = "video"
"""The host that speaks the OpenAI video format; off without `VIDEO_*`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every part stands on."""

    settings: Settings
    catalogue: Catalogue
    store: Store
    session: aiohttp.ClientSession
    folder: ResultFolder
    clock: Clock


class Assembly:
    """Makes each part once, so that all who need one are handed the same."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        aivideo, *others = self._hosts()
        self._chat_providers = ChatProviders(aivideo)
        self._media_providers = MediaProviders(aivideo, *others)
        self._cards = Cards(
            database=ground.store,
            catalogue=ground.catalogue,
            allowance=ground.settings.allowance,
            clock=ground.clock,
            folder=ground.folder,
        )
        self._bell = Bell()
        # The other host has no account that could be read.
        self._breakers = Breakers(ground.clock, probed=(AIVIDEO,))

    def services(self) -> Services:
        """What the cogs are handed."""
        ground = self._ground
        allowance = ground.settings.allowance
        return Services(
            chat=ChatService(
                database=ground.store,
                providers=self._chat_providers,
                breakers=self._breakers,
                catalogue=ground.catalogue,
                allowance=allowance,
                clock=ground.clock,
            ),
            credits=CreditsService(
                database=ground.store,
                catalogue=ground.catalogue,
                allowance=allowance,
                clock=ground.clock,
            ),
            jobs=JobService(
                database=ground.store,
                catalogue=ground.catalogue,
                models=self._media_providers,
                breakers=self._breakers,
                allowance=allowance,
                clock=ground.clock,
                cards=self._cards,
                folder=ground.folder,
                wake=self._bell.ring,
            ),
            sinks=self._sinks,
            catalogue=ground.catalogue,
            pacer=ChannelPacer(ground.clock),
            clock=ground.clock,
            demo=ground.settings.is_demo,
        )

    def _sinks(self, messages: Messages) -> Sinks:
        """How cards come into a client's messages."""
        return Sinks(messages=messages, database=self._ground.store, clock=self._ground.clock)

    async def signer(self) -> CallbackSigner:
        """Signs with `CALLBACK_SECRET`, or with what was made at the first start."""
        secret = self._ground.settings.callback_secret
        keys = await self._ground.store.transact(
            callback_keys,
            configured=None if secret is None else secret.get_secret_value(),
            now_us=self._ground.clock.now_us(),
        )
        return CallbackSigner(keys)

    def intake(self) -> Intake:
        """The way of callbacks into the database; it rings the bell."""
        return Intake(database=self._ground.store, clock=self._ground.clock, wake=self._bell.ring)

    def callback_route(self, signer: CallbackSigner, intake: Intake) -> CallbackRoute:
        """Where AI Video API reports the end of a task."""
        return CallbackRoute(signer=signer, provider=AIVIDEO, record=intake.record)

    def engine(self, *, delivery: Delivery, signer: CallbackSigner) -> Engine:
        """The mover of jobs; whoever rings the bell wakes it."""
        ground = self._ground
        fetcher = ResultFetcher(
            ground.folder, allowed_private_hosts=ground.settings.allowed_private_hosts
        )

        async def fetch_image(url: str) -> ImageFile:
            picture = await fetcher.fetch_image(url)
            return ImageFile(
                data=picture.data,
                content_type=picture.content_type,
                filename=picture.filename,
            )

        bench = Bench(
            database=ground.store,
            catalogue=ground.catalogue,
            providers=self._media_providers,
            fetcher=fetcher,
            folder=ground.folder,
            delivery=delivery,
            cards=self._cards,
            clock=ground.clock,
            rng=random.Random(),  # noqa: S311 - spreads polls; nothing secret hangs on it.
            gate=PollGate(ground.clock),
            callback_url=_callback_url(ground.settings, signer),
            breakers=self._breakers,
            fetch_image=fetch_image,
        )
        engine = Engine(bench)
        self._bell.listen(engine.wake)
        return engine

    def account_watch(self, alert: Alert) -> AccountWatch:
        """Whoever looks after the operator's account at AI Video API."""
        ground = self._ground
        return AccountWatch(
            provider=AIVIDEO,
            ask_balance=self._chat_providers.balance,
            breakers=self._breakers,
            database=ground.store,
            catalogue=ground.catalogue,
            clock=ground.clock,
            alert=alert,
        )

    def _hosts(self) -> list[ProviderHttp]:
        """AI Video API first; the other one where the operator has it."""
        settings = self._ground.settings
        assert settings.aivideo_api_key is not None
        hosts = [(AIVIDEO, settings.aivideo_base_url, settings.aivideo_api_key)]
        if settings.video_base_url is not None and settings.video_api_key is not None:
            hosts.append((VIDEO, settings.video_base_url, settings.video_api_key))
        return [
            ProviderHttp(
                self._ground.session,
                provider=name,
                base_url=base_url,
                api_key=key.get_secret_value(),
                clock=self._ground.clock,
            )
            for name, base_url, key in hosts
        ]


def _callback_url(settings: Settings, signer: CallbackSigner) -> CallbackUrl:
    def url(job_id: int, attempt: int) -> str | None:
        if settings.public_url is None:
            return None
        return f"{settings.public_url}{signer.path(job_id, attempt, AIVIDEO)}"

    return url
