"""The answer to an interaction, by what Discord calls its webhook; the token lives 15 minutes."""

from __future__ import annotations

from typing import Any

import discord

ORIGINAL: Any = "@original"
"""The first answer; discord.py's route takes it where its annotation says a number.

For a press that was only acknowledged it is the message with the button.
"""


def hook_of(client: discord.Client, token: str) -> discord.Webhook:
    """Where the interaction with this token is answered."""
    application_id = client.application_id
    assert application_id is not None, "known since the login"
    return discord.Webhook.partial(application_id, token, client=client)
