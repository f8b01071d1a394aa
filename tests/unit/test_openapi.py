"""The judge of our requests must itself be able to say no."""

from __future__ import annotations

import pytest

from tests.e2e import openapi


@pytest.fixture(scope="module")
def description() -> openapi.Description:
    loaded = openapi.load()
    if loaded is None:
        pytest.skip("Discord's description is not beside this checkout")
    return loaded


def test_a_plain_message_is_valid(description: openapi.Description) -> None:
    """What discord.py sends for a reply passes, with its known departures."""
    body = {
        "content": "hello",
        "tts": False,
        "nonce": "abc",
        "enforce_nonce": True,
        "allowed_mentions": {"parse": [], "replied_user": False},
        "message_reference": {"message_id": 5, "fail_if_not_exists": False},
    }
    assert description.problems("POST", "/channels/1/messages", body) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/channels/1/messages", {"content": 5}),
        ("POST", "/channels/1/messages", {"contents": "misspelt"}),
        ("POST", "/channels/1/messages", {"content": "x" * 2001}),
        ("POST", "/channels/1/messages", {"components": [{"type": 99}]}),
        ("POST", "/channels/1/messages", {"message_reference": {"message": "5"}}),
        ("POST", "/channels/1/nonsense", {}),
        ("PUT", "/applications/1/commands", [{"name": "x" * 40, "description": "y", "type": 1}]),
    ],
)
def test_a_wrong_request_is_found(
    description: openapi.Description, method: str, path: str, body: object
) -> None:
    """Types, misspellings, lengths, nested fields and unknown routes are all seen."""
    assert description.problems(method, path, body)
