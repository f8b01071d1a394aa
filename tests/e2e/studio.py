"""A member's hands and eyes for pictures and videos, over a `World`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.e2e.world import World, buttons, components, visible_text

Json = Any
FINISHED_LABELS = {"Again", "Delete"}
"""Either stands only on a card whose job is over; every such card has one."""


@dataclass(slots=True)
class Studio:
    """Orders of one member in one channel."""

    world: World
    user: str = "mira"
    channel: str = "studio"

    async def order(self, command: str, **options: Json) -> str:
        """Give a command; the id of its interaction."""
        return await self.world.command(self.user, self.channel, command, **options)

    async def card(self, interaction_id: str) -> Json | None:
        """The card as it is now; None while there is none."""
        state = await self.world.get(f"interactions/{interaction_id}")
        messages = await self.world.messages(self.user, self.channel)
        return next((m for m in messages if m["id"] == state.get("message_id")), None)

    async def ended(self, interaction_id: str) -> Json:
        """Wait until the card shows an end; the card."""
        return await self.shows(interaction_id, is_finished, "an end")

    async def shows(self, interaction_id: str, wanted: Any, what: str) -> Json:
        """Wait until the card is as wanted; the card."""
        found: list[Json] = []

        async def there() -> bool:
            card = await self.card(interaction_id)
            found[:] = [card] if card is not None and wanted(card) else []
            return bool(found)

        await self.world.until(there, f"the card shows {what}", user=self.user)
        return found[0]

    async def make(self, command: str, **options: Json) -> Json:
        """Order and wait for the end."""
        return await self.ended(await self.order(command, **options))

    async def confirmed(self, interaction_id: str) -> Json:
        """Agree to the price where the bot asks; wait for the end."""
        card = await self.shows(interaction_id, lambda c: bool(labels(c)), "a button")
        agree = [label for label in labels(card) if label.startswith("Spend")]
        if agree:
            interaction_id = await self.press(card, agree[0])
        return await self.ended(interaction_id)

    async def press(self, card: Json, label: str) -> str:
        return await self.world.press(self.user, card, label)

    async def results(self) -> list[Json]:
        """Every message of the bot in this channel that carries a result file, deleted or not."""
        messages = await self.world.messages(self.user, self.channel)
        return [
            message
            for message in messages
            if message["author"]["id"] == self.world.bot_id and message["attachments"]
        ]

    async def tasks(self) -> list[Json]:
        """Every task the provider has, oldest first."""
        return list((await self.world.get("provider/tasks"))["tasks"])

    async def asked(self) -> Json:
        """The `input` of the newest create."""
        return (await self.creates())[-1]["body"]["input"]

    async def creates(self) -> list[Json]:
        """Every create that the provider was sent, oldest first."""
        requests = (await self.world.get("provider/requests", since="0"))["requests"]
        return [r for r in requests if r["path"].endswith("/generations")]

    async def sent(self, since: int) -> None:
        """Wait until the provider was sent more creates than `since`."""

        async def more() -> bool:
            return len(await self.creates()) > since

        await self.world.until(more, "the provider was asked", user=self.user)

    async def pace(self, **facts: Json) -> None:
        await self.world.send("provider/tasks_pace", facts, method="PUT")

    async def finish(self, task: Json) -> None:
        """The provider ends this task now."""
        await self.world.send("provider/tasks/finish", {"task_id": task["task_id"]})

    async def task_made(self, since: int) -> Json:
        """Wait until the provider has one task more than `since`; the newest."""

        async def more() -> bool:
            return len(await self.tasks()) > since

        await self.world.until(more, "the provider has the task", user=self.user)
        return (await self.tasks())[-1]


def is_finished(card: Json) -> bool:
    return any(button.get("label") in FINISHED_LABELS for button in buttons(card))


def labels(card: Json) -> list[str]:
    return [button["label"] for button in buttons(card)]


def says(text: str) -> Any:
    """A condition for `Studio.shows`."""
    return lambda card: text in visible_text(card)


def gallery(card: Json) -> list[Json]:
    """The media of the card's gallery."""
    return [item for c in components(card) if c["type"] == 12 for item in c["items"]]
