"""The sandbox's answers are valid under Discord's published description, where it is present."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from sandbox.discord.seed import (
    APPLICATION_ID,
    GENERAL_ID,
    GUILD_ID,
    MIRA_ID,
)
from tests.contract.discord_lab import Lab, running_lab

DESCRIPTION: Final = Path(__file__).parents[3] / "shared" / "data" / "discord-openapi.json"
COMMAND: Final = {
    "name": "ping",
    "description": "Answers.",
    "options": [{"type": 3, "name": "word", "description": "A word."}],
}


@pytest.fixture(scope="module")
def document() -> Any:
    if not DESCRIPTION.is_file():
        pytest.skip("Discord's description is not beside the repository")
    return json.loads(DESCRIPTION.read_text(encoding="utf-8"))


def _schema(document: Any, method: str, path: str, status: int) -> Any:
    for template, item in document["paths"].items():
        pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(template))
        # The literal @me and @original win over a placeholder.
        if re.fullmatch(pattern, path) and ("@" in path) == ("@" in template):
            content = item[method.lower()]["responses"][str(status)].get("content", {})
            return content.get("application/json", {}).get("schema")
    raise AssertionError(f"{method} {path} is not described")


async def _walk(lab: Lab) -> list[tuple[str, str, int, Any]]:
    """Use every route that answers with a body, and return what came back."""
    answers: list[tuple[str, str, int, Any]] = []

    async def ask(method: str, path: str, body: Any = None) -> Any:
        status, answer = await lab.rest(method, path, body)
        answers.append((method, path.partition("?")[0], status, answer))
        return answer

    commands = f"/applications/{APPLICATION_ID}/commands"
    for path in (
        *("/gateway", "/gateway/bot", "/users/@me", "/users/@me/guilds"),
        *("/oauth2/applications/@me", "/applications/@me", f"/users/{MIRA_ID}"),
        *(f"/guilds/{GUILD_ID}", f"/guilds/{GUILD_ID}/roles", f"/guilds/{GUILD_ID}/channels"),
        *(f"/guilds/{GUILD_ID}/members?limit=9", f"/guilds/{GUILD_ID}/members/{MIRA_ID}"),
        *(f"/channels/{GENERAL_ID}", f"/guilds/{GUILD_ID}/threads/active"),
    ):
        await ask("GET", path)
    (made,) = await ask("PUT", commands, [COMMAND])
    await ask("GET", f"{commands}/{made['id']}")
    await ask("PATCH", f"{commands}/{made['id']}", {"description": "Else."})
    await ask("POST", commands, COMMAND | {"name": "pong"})
    await ask("GET", commands)
    dm = await ask("POST", "/users/@me/channels", {"recipient_id": str(MIRA_ID)})
    await ask("GET", f"/channels/{dm['id']}")
    asked_id = await lab.write(f"look <@{MIRA_ID}>", attachments=[_file()])
    messages = f"/channels/{GENERAL_ID}/messages"
    told = {"content": f"hi <@{MIRA_ID}>", "message_reference": {"message_id": asked_id}}
    sent = await ask("POST", messages, told)
    await ask("PATCH", f"{messages}/{sent['id']}", {"content": "hello", "embeds": [{"title": "t"}]})
    button = {"type": 2, "style": 1, "label": "B", "custom_id": "b"}
    select = {"type": 3, "custom_id": "s", "options": [{"label": "A", "value": "a"}]}
    media = {"url": "https://example.org/a.png"}
    text = {"type": 10, "content": "words"}
    inside = [
        {"type": 1, "components": [button]},
        {"type": 1, "components": [select]},
        {"type": 9, "components": [text], "accessory": {"type": 11, "media": media}},
        {"type": 12, "items": [{"media": media}]},
        {"type": 14},
    ]
    layout = [{"type": 17, "components": inside}]
    await ask("POST", messages, {"flags": 1 << 15, "components": layout})
    await ask("GET", f"{messages}/{asked_id}")
    await ask("GET", messages)
    thread = await ask("POST", f"{messages}/{sent['id']}/threads", {"name": "a thread"})
    await ask("GET", f"/channels/{thread['id']}")
    interaction_id = await lab.invoke("ping")
    interaction = lab.sandbox.core.interactions.get(int(interaction_id))
    assert interaction is not None
    path = f"/interactions/{interaction_id}/{interaction.token}/callback?with_response=true"
    await ask("POST", path, {"type": 4, "data": {"content": "pong"}})
    hook = f"/webhooks/{APPLICATION_ID}/{interaction.token}"
    await ask("POST", hook, {"content": "more"})
    await ask("PATCH", f"{hook}/messages/@original", {"content": "pong!"})
    await ask("GET", f"{hook}/messages/@original")
    return answers


def _file() -> dict[str, str]:
    return {"filename": "a.txt", "content_type": "text/plain", "data_base64": "aGVsbG8="}


async def test_each_answer_fits_discords_description(document: Any) -> None:
    """Every route's answer validates against its response schema."""
    async with running_lab() as lab:
        answers = await _walk(lab)
    problems = []
    for method, path, status, answer in answers:
        schema = _schema(document, method, path, status)
        validator = Draft202012Validator({**schema, "components": document["components"]})
        problems += [
            f"{method} {path}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
            for error in validator.iter_errors(answer)
        ]
    assert problems == []
