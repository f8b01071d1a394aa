"""The references that people read and type: 8 characters instead of a running number. Pure.

A running number would tell everybody how many jobs there are, and its neighbours. The mix is a
Feistel network over 40 bits, hence bijective: two numbers never share a reference. It is no
secret, and nothing relies on that: who may see a job is decided by its owner (C-18).
"""

from __future__ import annotations

import hashlib

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: without I, L, O and U, which are misread or spell words."""
LENGTH = 8
_BITS = 5
_HALF_BITS = LENGTH * _BITS // 2
_HALF_MASK = (1 << _HALF_BITS) - 1
_ROUNDS = 4
"""Of a Feistel network: as many as make every bit depend on every other, and one to spare."""
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0", "-": "", " ": "", "#": ""})


def short_id(job_id: int) -> str:
    """The reference of the job with this number; the same for ever."""
    assert 0 < job_id < 1 << 2 * _HALF_BITS
    left, right = job_id >> _HALF_BITS, job_id & _HALF_MASK
    for number in range(_ROUNDS):
        left, right = right, left ^ _mixed(number, right)
    mixed = left << _HALF_BITS | right
    return "".join(ALPHABET[mixed >> shift & 31] for shift in range(35, -1, -_BITS))


def normalised(typed: str) -> str:
    """A reference as people type it: any case, O for 0, I or L for 1, with spaces."""
    return typed.upper().translate(_MISREAD)


def _mixed(number: int, half: int) -> int:
    seed = b"atelier job" + bytes([number]) + half.to_bytes(4, "big")
    return int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") & _HALF_MASK
