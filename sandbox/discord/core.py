"""The parts of the sandbox in one record, for the routes that work on them."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.discord.attachments import AttachmentStore
from sandbox.discord.clock import Clock
from sandbox.discord.events import EventHub
from sandbox.discord.faults import Faults
from sandbox.discord.gateway import Gateway
from sandbox.discord.interactions import Interactions
from sandbox.discord.nonces import NonceBook
from sandbox.discord.payloads import Payloads
from sandbox.discord.posting import Posting
from sandbox.discord.ratelimits import RateLimiter
from sandbox.discord.requestlog import RequestLog
from sandbox.discord.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """Everything that a route may need. `token` is the bot token that REST accepts."""

    token: str
    world: World
    clock: Clock
    payloads: Payloads
    store: AttachmentStore
    gateway: Gateway
    hub: EventHub
    posting: Posting
    interactions: Interactions
    nonces: NonceBook
    limiter: RateLimiter
    faults: Faults
    log: RequestLog
