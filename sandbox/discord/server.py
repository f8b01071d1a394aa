"""The sandbox's Discord put together: one aiohttp application."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.discord import (
    rest_account,
    rest_channels,
    rest_commands,
    rest_messages,
    rest_webhooks,
)
from sandbox.discord.actors import Actors
from sandbox.discord.attachments import FILE_BYTES_MAX, AttachmentStore, cdn_routes
from sandbox.discord.clock import Clock, SystemClock
from sandbox.discord.control import BODY_BYTES_MAX, Control, guard
from sandbox.discord.control_world import WorldControl
from sandbox.discord.core import Core
from sandbox.discord.events import EventHub
from sandbox.discord.faults import Faults
from sandbox.discord.gateway import Gateway, GatewayOptions
from sandbox.discord.http import API, mount
from sandbox.discord.interaction_payloads import InteractionPayloads
from sandbox.discord.interactions import Interactions
from sandbox.discord.invoking import Invoker
from sandbox.discord.nonces import NonceBook
from sandbox.discord.payloads import Payloads
from sandbox.discord.posting import Posting
from sandbox.discord.ratelimits import RateLimiter
from sandbox.discord.requestlog import RequestLog
from sandbox.discord.seed import BOT_ID, seeded_world
from sandbox.discord.world import World

TOKEN: Final = f"{BOT_ID}.sandbox.only-valid-on-loopback"
"""What the bot of the sandbox logs in with."""


class DiscordSandbox:
    """A whole Discord. Mount `app` on loopback and set `base_url` to where it listens.

    Without a `base_url` the first request's own address is taken. `options` holds what can be set
    of the gateway; its token is also the one of REST. `world` is the seeded one by default.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        token: str = TOKEN,
        clock: Clock | None = None,
        world: World | None = None,
        options: GatewayOptions | None = None,
        file_bytes_max: int = FILE_BYTES_MAX,
    ) -> None:
        self.clock = clock or SystemClock()
        self.token = token
        self.world = world or seeded_world(self.clock)
        self.core = self._build(
            replace(options, token=token) if options else GatewayOptions(token=token),
            file_bytes_max,
        )
        self.actors = Actors(
            world=self.world,
            store=self.core.store,
            posting=self.core.posting,
            interactions=self.core.interactions,
            invoker=Invoker(world=self.world, payloads=self.core.payloads, store=self.core.store),
        )
        self.base_url = base_url
        self.app = self._application()

    @property
    def base_url(self) -> str:
        """Where the sandbox is reached, such as "http://127.0.0.1:8700"; "" when unknown."""
        return self.core.store.base_url

    @base_url.setter
    def base_url(self, value: str) -> None:
        self.core.store.base_url = self.core.gateway.base_url = value.rstrip("/")

    @property
    def api_url(self) -> str:
        """What DISCORD_API_URL has to be."""
        return self.base_url + API

    def _build(self, options: GatewayOptions, file_bytes_max: int) -> Core:
        clock, world = self.clock, self.world
        hub = EventHub()
        store = AttachmentStore(clock=clock, file_bytes_max=file_bytes_max)
        payloads = Payloads(world, store)
        gateway = Gateway(
            world=world,
            payloads=payloads,
            clock=clock,
            options=options,
            on_presence=lambda online: hub.tell_all("bot", {"online": online}),
        )
        posting = Posting(
            world=world, clock=clock, payloads=payloads, store=store, gateway=gateway, hub=hub
        )
        interactions = Interactions(
            world=world,
            clock=clock,
            gateway=gateway,
            hub=hub,
            posting=posting,
            payloads=InteractionPayloads(world=world, payloads=payloads, store=store),
        )
        return Core(
            token=self.token,
            world=world,
            clock=clock,
            payloads=payloads,
            store=store,
            gateway=gateway,
            hub=hub,
            posting=posting,
            interactions=interactions,
            nonces=NonceBook(clock),
            limiter=RateLimiter(clock),
            faults=Faults(),
            log=RequestLog(),
        )

    def _application(self) -> web.Application:
        app = web.Application(
            middlewares=[self._learn_base_url(), guard], client_max_size=BODY_BYTES_MAX
        )
        core = self.core
        mount(
            app,
            core,
            [
                *rest_account.ROUTES,
                *rest_channels.ROUTES,
                *rest_commands.ROUTES,
                *rest_messages.ROUTES,
                *rest_webhooks.ROUTES,
            ],
        )
        app.router.add_get("/gateway", core.gateway.handle)
        app.router.add_get("/gateway/", core.gateway.handle)
        app.add_routes(cdn_routes(core.store))
        app.add_routes(Control(core=core, actors=self.actors).routes())
        app.add_routes(WorldControl(core=core, actors=self.actors).routes())
        app.on_shutdown.append(self._stop)
        return app

    def _learn_base_url(self) -> Middleware:
        @web.middleware
        async def learn(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self.base_url:
                self.base_url = str(request.url.origin())
            return await handler(request)

        return learn

    async def _stop(self, _app: web.Application) -> None:
        self.core.hub.close()
        await self.core.interactions.close()
        await self.core.gateway.close_all(code=1001, resumable=False)
