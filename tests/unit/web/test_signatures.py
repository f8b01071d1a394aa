"""Who made a callback's address is told from the address alone."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web import signatures
from bot.web.signatures import ATTEMPT_MAX, JOB_ID_MAX, CallbackSigner, callback_keys
from storage import preferences
from storage.inline import InlineDatabase

OLD = b"an old key of thirty-two bytes..."
NEW = b"a new key of thirty-two bytes...."
SIGNER = CallbackSigner([OLD])

jobs = st.integers(1, JOB_ID_MAX)
attempts = st.integers(1, ATTEMPT_MAX)
providers = st.text(max_size=20)


def parts(path: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"/callbacks/([0-9]+)/([0-9]+)/([A-Za-z0-9_-]{43})", path)
    assert match is not None
    return match[1], match[2], match[3]


@given(job=jobs, attempt=attempts, provider=providers)
def test_what_we_signed_is_ours(job: int, attempt: int, provider: str) -> None:
    """Every address that was made is understood again."""
    job_text, attempt_text, mac = parts(SIGNER.path(job, attempt, provider))
    assert SIGNER.verify(job_text, attempt_text, provider, mac) == (job, attempt)


@given(job=jobs, attempt=attempts, position=st.integers(0, 42), bit=st.integers(0, 7))
def test_no_single_bit_of_the_signature_may_change(
    job: int, attempt: int, position: int, bit: int
) -> None:
    """C-9: also the last character's, of which base64 itself ignores two bits."""
    job_text, attempt_text, mac = parts(SIGNER.path(job, attempt, "aivideo"))
    changed = bytearray(mac, "ascii")
    changed[position] ^= 1 << bit
    text = changed.decode("latin-1")
    assert SIGNER.verify(job_text, attempt_text, "aivideo", text) is None


@given(job=jobs, attempt=attempts, other=jobs, again=attempts)
def test_a_signature_is_for_one_job_and_attempt_and_provider(
    job: int, attempt: int, other: int, again: int
) -> None:
    """F-65: it opens no other job, and no other attempt of the same one."""
    _, _, mac = parts(SIGNER.path(job, attempt, "aivideo"))
    expected = (job, attempt) if (other, again) == (job, attempt) else None
    assert SIGNER.verify(str(other), str(again), "aivideo", mac) == expected
    assert SIGNER.verify(str(job), str(attempt), "video", mac) is None


def test_the_parts_cannot_be_shifted_into_each_other() -> None:
    """Job 11 attempt 1 and job 1 attempt 11 are different messages."""
    macs = {
        parts(SIGNER.path(job, attempt, provider))[2]
        for job, attempt, provider in [(11, 1, "a"), (1, 11, "a"), (1, 1, "a1"), (1, 1, "1a")]
    }
    assert len(macs) == 4


@pytest.mark.parametrize(
    "mac", ["", "=", "A" * 42, "A" * 44, "ä" * 43, "\ud800" * 43, "A" * 100_000, "\0" * 43]
)
def test_a_signature_of_another_shape_is_refused(mac: str) -> None:
    """Nothing that a path can hold raises."""
    assert SIGNER.verify("1", "1", "aivideo", mac) is None


@pytest.mark.parametrize(
    "number",
    [
        *(
            "",
            "0",
            "-1",
            "+1",
            "01",
            "1 ",
            " 1",
            "1_0",
            "1.0",
            "1e3",
            "0x1",
            "١",
            "１",
            "²",
            "\ud800",
        ),
        *("9223372036854775808", "9" * 19, "9" * 20, "1" * 10_000, "1\n"),
    ],
)
def test_a_number_has_one_spelling(number: str) -> None:
    """Even under a signature that fits: leading zeros, other digits and huge ones are none."""
    signed = signatures._mac(SIGNER._begun[0], number, "1", "aivideo").decode()
    assert SIGNER.verify(number, "1", "aivideo", signed) is None
    signed = signatures._mac(SIGNER._begun[0], "1", number, "aivideo").decode()
    assert SIGNER.verify("1", number, "aivideo", signed) is None


def test_the_bounds_themselves_are_numbers() -> None:
    """The largest job and attempt pass, one more does not."""
    job, attempt, mac = parts(SIGNER.path(JOB_ID_MAX, ATTEMPT_MAX, "aivideo"))
    assert SIGNER.verify(job, attempt, "aivideo", mac) == (JOB_ID_MAX, ATTEMPT_MAX)
    signed = signatures._mac(SIGNER._begun[0], "1", str(ATTEMPT_MAX + 1), "aivideo").decode()
    assert SIGNER.verify("1", str(ATTEMPT_MAX + 1), "aivideo", signed) is None


def test_two_keys_count_while_one_is_rotated() -> None:
    """C-5: the first signs; addresses of the second stay good until it is taken away."""
    both = CallbackSigner([NEW, OLD])
    old = parts(SIGNER.path(7, 1, "aivideo"))
    new = parts(both.path(7, 1, "aivideo"))
    assert old != new
    after = CallbackSigner([NEW])
    assert both.verify(old[0], old[1], "aivideo", old[2]) == (7, 1)
    assert both.verify(new[0], new[1], "aivideo", new[2]) == (7, 1)
    assert after.verify(new[0], new[1], "aivideo", new[2]) == (7, 1)
    assert after.verify(old[0], old[1], "aivideo", old[2]) is None


@pytest.mark.parametrize("keys", [[], [OLD, NEW, OLD], [b"short"], [OLD, OLD[:31]]])
def test_keys_that_are_none_are_refused(keys: list[bytes]) -> None:
    """One or two, of 32 bytes at least."""
    with pytest.raises(ValueError, match="key"):
        CallbackSigner(keys)


def test_a_signer_does_not_show_its_keys() -> None:
    """C-1: nor does anything that prints it."""
    assert repr(CallbackSigner([OLD, NEW])) == "CallbackSigner(2 keys)"


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """C-7: by `hmac.compare_digest`, once per key, whether or not an earlier one matched."""
    compared: list[bytes] = []
    real: Callable[[bytes, bytes], bool] = hmac.compare_digest

    def spy(ours: bytes, theirs: bytes) -> bool:
        compared.append(theirs)
        return real(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    signer = CallbackSigner([NEW, OLD])
    _, _, mac = parts(signer.path(1, 1, "aivideo"))
    for attempt in ("1", "2", "x"):
        signer.verify("1", attempt, "aivideo", mac)
    assert compared == [mac.encode()] * 6


async def test_configured_keys_are_taken_as_they_are() -> None:
    """`CALLBACK_SECRET` holds one, or two while rotating; nothing is written."""
    database = await InlineDatabase.open()
    keys = f"{NEW.decode()},{OLD.decode()}"
    made = await database.transact(callback_keys, configured=keys, now_us=1)
    assert made == (NEW, OLD)
    assert await database.read(preferences.get, key=signatures.SECRET_PREFERENCE) is None
    await database.close()


async def test_a_made_secret_survives_restarts(tmp_path: Path) -> None:
    """Callbacks of running jobs still carry it; another installation has another."""
    made = []
    for name in ("a.db", "a.db", "b.db"):
        database = await InlineDatabase.open(str(tmp_path / name))
        try:
            made.append(await database.transact(callback_keys, configured=None, now_us=1))
        finally:
            await database.close()
    assert made[0] == made[1] != made[2]
    assert CallbackSigner(made[0]).path(1, 1, "aivideo")
