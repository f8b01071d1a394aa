"""Interactions: opening them as a user, the first answer within 3 s, tokens of 15 minutes.

Rules: Discord, "Receiving and Responding"; codes 10062, 40060, 10015, 50027 as in discord.md.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from sandbox.discord.attachments import Upload
from sandbox.discord.clock import Clock
from sandbox.discord.components import ComponentCheck
from sandbox.discord.errors import (
    FormErrors,
    Json,
    already_acknowledged,
    form_error,
    invalid_webhook_token,
    unknown_interaction,
    unknown_message,
    unknown_webhook,
)
from sandbox.discord.events import EventHub
from sandbox.discord.gateway import Gateway
from sandbox.discord.interaction_payloads import InteractionPayloads, metadata
from sandbox.discord.mentions import PARSE_USERS
from sandbox.discord.posting import Draft, Posting
from sandbox.discord.validation import check_message, check_not_empty
from sandbox.discord.world import Message, MessageFlag, MessageType, World

# --- limits ------------------------------------------------------------------------------------
FIRST_ANSWER_S: Final = 3.0
"""Discord's; after it the token is dead."""
TOKEN_LIFE_S: Final = 900.0
"""Discord's fifteen minutes."""
INTERACTIONS_MAX: Final = 5_000
"""Remembered at once; the oldest go first."""
CHOICES_MAX: Final = 25
CHOICE_CHARS_MAX: Final = 100


class Kind(IntEnum):
    """Discord's interaction types."""

    PING = 1
    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


_ANSWERS: Final[dict[Kind, frozenset[int]]] = {
    Kind.PING: frozenset({1}),
    Kind.COMMAND: frozenset({4, 5, 9}),
    Kind.COMPONENT: frozenset({4, 5, 6, 7, 9}),
    Kind.AUTOCOMPLETE: frozenset({8}),
    Kind.MODAL: frozenset({4, 5, 6, 7}),
}


@dataclass(slots=True, kw_only=True, eq=False)
class Interaction:
    """One interaction and what became of it.

    `state` is pending, deferred, answered or failed. `settled` is set with the first answer or
    with the failure. `source_id` is the message whose component was used.
    """

    id: int
    token: str
    kind: Kind
    user_id: int
    channel_id: int
    data: Json
    opened_s: float
    source_id: int | None = None
    parent: Interaction | None = None
    state: str = "pending"
    response_type: int | None = None
    original_id: int | None = None
    message_ids: set[int] = field(default_factory=set)
    modal: Json | None = None
    choices: list[Json] | None = None
    error: str | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self) -> Json:
        """The outcome as the control surface shows it."""
        return {
            "interaction_id": str(self.id),
            "user_id": str(self.user_id),
            "channel_id": str(self.channel_id),
            "state": self.state,
            "response_type": self.response_type,
            "modal": self.modal,
            "message_id": None if self.original_id is None else str(self.original_id),
            "error": self.error,
        }


class Interactions:
    """All interactions of the sandbox."""

    def __init__(
        self,
        *,
        world: World,
        clock: Clock,
        gateway: Gateway,
        hub: EventHub,
        posting: Posting,
        payloads: InteractionPayloads,
    ) -> None:
        self._world = world
        self._clock = clock
        self._gateway = gateway
        self._hub = hub
        self._posting = posting
        self._payloads = payloads
        self._by_id: dict[int, Interaction] = {}
        self._by_token: dict[str, Interaction] = {}
        self._timers: set[asyncio.Task[None]] = set()

    # --- opening -------------------------------------------------------------------------------

    def open(
        self,
        kind: Kind,
        *,
        user_id: int,
        channel_id: int,
        data: Json,
        source: Message | None = None,
        parent: Interaction | None = None,
    ) -> Interaction:
        """Send an interaction to the bot and start its three seconds."""
        interaction = Interaction(
            id=self._world.new_id(),
            token=secrets.token_urlsafe(48),
            kind=kind,
            user_id=user_id,
            channel_id=channel_id,
            data=data,
            opened_s=self._clock.monotonic_s(),
            source_id=None if source is None else source.id,
            parent=parent,
        )
        self._by_id[interaction.id] = interaction
        self._by_token[interaction.token] = interaction
        while len(self._by_id) > INTERACTIONS_MAX:
            old = self._by_id.pop(next(iter(self._by_id)))
            del self._by_token[old.token]
        timer = asyncio.create_task(self._expire(interaction))
        self._timers.add(timer)
        timer.add_done_callback(self._timers.discard)
        self._gateway.dispatch("INTERACTION_CREATE", self._payloads.event(interaction, source))
        return interaction

    def get(self, interaction_id: int) -> Interaction | None:
        """An interaction by its id."""
        return self._by_id.get(interaction_id)

    async def close(self) -> None:
        """Stop the timers."""
        for timer in list(self._timers):
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)

    async def _expire(self, interaction: Interaction) -> None:
        await self._clock.sleep(FIRST_ANSWER_S)
        if interaction.state == "pending":
            interaction.error = "The application did not respond"
            self._move(interaction, "failed")

    def _move(self, interaction: Interaction, state: str) -> None:
        interaction.state = state
        interaction.settled.set()
        kind = "modal" if interaction.modal is not None and state == "answered" else "interaction"
        user_id = interaction.user_id
        self._hub.publish(kind, interaction.told(), seen_by=lambda viewer: viewer == user_id)

    # --- the first answer ----------------------------------------------------------------------

    def respond(
        self, interaction_id: int, token: str, body: Json, uploads: tuple[Upload, ...]
    ) -> Json:
        """POST …/callback: take the first answer and return the callback response."""
        interaction = self._by_id.get(interaction_id)
        if interaction is None or interaction.token != token:
            raise unknown_interaction()
        if interaction.state in {"deferred", "answered"}:
            raise already_acknowledged()
        late = self._clock.monotonic_s() - interaction.opened_s > FIRST_ANSWER_S
        if interaction.state == "failed" or late:
            raise unknown_interaction()
        response_type = body.get("type")
        data = body.get("data") or {}
        if response_type not in _ANSWERS[interaction.kind]:
            wanted = ", ".join(str(one) for one in sorted(_ANSWERS[interaction.kind]))
            raise form_error(("type",), "BASE_TYPE_CHOICES", f"Value must be one of {{{wanted}}}.")
        message = self._take(interaction, response_type, data, uploads)
        interaction.response_type = response_type
        self._move(interaction, "deferred" if response_type in {5, 6} else "answered")
        return self._payloads.callback(interaction, message)

    def _take(
        self, interaction: Interaction, response_type: int, data: Json, uploads: tuple[Upload, ...]
    ) -> Message | None:
        """Act on the first answer; return the message it made or changed."""
        match response_type:
            case 4:
                check_message(data, root=("data",))
                check_not_empty(data, has_files=bool(uploads))
                return self._post(interaction, data, uploads, original=True)
            case 5:
                flags = int(data.get("flags") or 0) & MessageFlag.EPHEMERAL
                deferred: Json = {"flags": flags}
                return self._post(
                    interaction, deferred, (), original=True, extra_flags=MessageFlag.LOADING
                )
            case 6 | 7:
                source = self._source(interaction)
                interaction.original_id = source.id
                interaction.message_ids.add(source.id)
                if response_type == 6:
                    return None
                check_message(data, prior_flags=source.flags, root=("data",))
                return self._posting.edit(source, data, uploads, parse_by_default=PARSE_USERS)
            case 8:
                interaction.choices = _checked_choices(data)
            case 9:
                errors = FormErrors()
                ComponentCheck(errors).modal(data)
                errors.raise_if_any()
                interaction.modal = data
        return None

    def _source(self, interaction: Interaction) -> Message:
        source_id = interaction.source_id
        source = None if source_id is None else self._world.find_message(source_id)
        if source is None or source.deleted:
            raise form_error(("type",), "BASE_TYPE_CHOICES", "There is no message to update.")
        return source

    def _post(
        self,
        interaction: Interaction,
        body: Json,
        uploads: tuple[Upload, ...],
        *,
        original: bool,
        extra_flags: int = 0,
    ) -> Message:
        ephemeral = bool(int(body.get("flags") or 0) & MessageFlag.EPHEMERAL)
        by_command = interaction.kind is Kind.COMMAND and original
        reference = None
        kind = MessageType.CHAT_INPUT_COMMAND if by_command else MessageType.DEFAULT
        answered_id = interaction.original_id if not original else interaction.source_id
        if not by_command and answered_id is not None:
            kind = MessageType.REPLY
            reference = (interaction.channel_id, answered_id)
        message = self._posting.create(
            Draft(
                author_id=self._world.bot_id,
                channel_id=interaction.channel_id,
                body=body,
                uploads=uploads,
                parse_by_default=PARSE_USERS,
                type=kind,
                reference=reference,
                interaction=metadata(interaction, self._payloads.payloads, self._world),
                ephemeral_for=interaction.user_id if ephemeral else None,
                extra_flags=extra_flags,
            )
        )
        interaction.message_ids.add(message.id)
        if original:
            interaction.original_id = message.id
        return message

    # --- after the first answer ----------------------------------------------------------------

    def by_token(self, application_id: int, token: str) -> Interaction:
        """The interaction whose token may be used now, or 10015, or 50027 after 15 minutes."""
        interaction = self._by_token.get(token)
        if interaction is None or application_id != self._world.application_id:
            raise unknown_webhook()
        if self._clock.monotonic_s() - interaction.opened_s > TOKEN_LIFE_S:
            raise invalid_webhook_token()
        if interaction.state not in {"deferred", "answered"} or interaction.choices is not None:
            raise unknown_webhook()
        return interaction

    def message(self, interaction: Interaction, which: str) -> Message:
        """`@original` or a message by its id, when it belongs to this interaction; else 10008."""
        message_id = interaction.original_id if which == "@original" else None
        if message_id is None and which.isdigit() and int(which) in interaction.message_ids:
            message_id = int(which)
        message = None if message_id is None else self._world.find_message(message_id)
        if message is None or message.deleted:
            raise unknown_message()
        return message

    def follow_up(
        self, interaction: Interaction, body: Json, uploads: tuple[Upload, ...]
    ) -> Message:
        """A further message; after a deferred answer the first one takes its place."""
        check_message(body)
        check_not_empty(body, has_files=bool(uploads))
        original_id = interaction.original_id
        original = None if original_id is None else self._world.find_message(original_id)
        if original is not None and not original.deleted and original.flags & MessageFlag.LOADING:
            return self.edit(interaction, original, body, uploads)
        return self._post(interaction, body, uploads, original=False)

    def edit(
        self, interaction: Interaction, message: Message, body: Json, uploads: tuple[Upload, ...]
    ) -> Message:
        """Change a message of this interaction, its deferred answer too."""
        check_message(body, prior_flags=message.flags)
        edited = self._posting.edit(message, body, uploads, parse_by_default=PARSE_USERS)
        if interaction.state == "deferred" and message.id == interaction.original_id:
            self._move(interaction, "answered")
        return edited


def _checked_choices(data: Json) -> list[Json]:
    choices: Any = data.get("choices")
    errors = FormErrors()
    if not isinstance(choices, list) or len(choices) > CHOICES_MAX:
        errors.add(
            ("data", "choices"),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {CHOICES_MAX} or fewer in length.",
        )
        errors.raise_if_any()
    for index, choice in enumerate(choices):
        name, value = choice.get("name"), choice.get("value")
        checks = [("name", name)] + ([("value", value)] if isinstance(value, str) else [])
        for key, text in checks:
            if not isinstance(text, str) or not 1 <= len(text) <= CHOICE_CHARS_MAX:
                errors.add(
                    ("data", "choices", index, key),
                    "BASE_TYPE_BAD_LENGTH",
                    f"Must be between 1 and {CHOICE_CHARS_MAX} in length.",
                )
    errors.raise_if_any()
    return list(choices)
