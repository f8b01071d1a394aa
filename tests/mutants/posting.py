"""Mistakes on the way into Discord (S-7)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Family, Mutant

_POSTING = "tests/unit/jobs/test_posting.py"
_SINKS = "tests/unit/jobs/test_sinks.py"

POSTING = (
    Mutant(
        name="nonce-too-long",
        mistake="Discord refuses 26 characters (S-7)",
        family=Family.DISCORD,
        edits=(Edit(path="storage/outbox.py", old="NONCE_CHARS = 24\n", new="NONCE_CHARS = 26\n"),),
        killers=("tests/unit/storage/test_outbox.py", _POSTING),
    ),
    Mutant(
        name="nonce-of-the-purpose",
        mistake="two jobs share a nonce, and one message (I-27)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="storage/outbox.py",
                old='f"{reference}/{purpose}".encode()',
                new='f"{purpose}".encode()',
            ),
            Edit(
                path="storage/outbox.py",
                old='                "nonce": nonce_of(reference, purpose),\n',
                new='                "nonce": f"{nonce_of(reference, purpose)[:12]}{job_id}",\n',
            ),
        ),
        killers=("tests/unit/storage/test_outbox.py", _POSTING),
    ),
    Mutant(
        name="window-without-end",
        mistake="the nonce is trusted when Discord has forgotten it (F-16, F-87)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="bot/jobs/posting.py",
                old="        return NONCE_WINDOW_S - age_s if age_s >= 0 else 0.0\n",
                new="        return 1_000 * NONCE_WINDOW_S - age_s if age_s >= 0 else 0.0\n",
            ),
        ),
        seeds=30,
        killers=(_POSTING,),
    ),
    Mutant(
        name="history-not-read",
        mistake="outside the window it is posted again without a look (F-87)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="bot/jobs/posting.py",
                old="        if found is not None:\n"
                "            await self._sent(posting, found)\n"
                "            return await self._edit(",
                new="        if found is not None and found < 0:\n"
                "            await self._sent(posting, found)\n"
                "            return await self._edit(",
            ),
        ),
        seeds=30,
        killers=(_POSTING,),
    ),
    Mutant(
        name="pinged-twice",
        mistake="a repeated message pings once more (I-28)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="bot/jobs/posting.py",
                old="ping=showing.ping and posting.windows == 1, ",
                new="ping=showing.ping, ",
            ),
            Edit(
                path="bot/jobs/posting.py",
                old="replace(showing, ping=False, is_marked=not is_readable)",
                new="replace(showing, is_marked=not is_readable)",
            ),
        ),
        without="both places that take the ping away",
        killers=(_POSTING,),
    ),
    Mutant(
        name="token-used-for-ever",
        mistake="the card is edited by a token that is over (F-92)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="bot/jobs/sinks.py",
                old="        return self._clock.now_us() < expires_us\n",
                new="        return self._clock.now_us() < 2 * expires_us\n",
            ),
        ),
        killers=(_SINKS,),
    ),
    Mutant(
        name="refused-and-tried-again",
        mistake="a permanent trouble is tried again instead of the next sink (S-7)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="bot/jobs/sinks.py",
                old="                if trouble.trouble is Trouble.PASSES:\n",
                new="                if trouble.trouble is not Trouble.TOO_LARGE:\n",
            ),
        ),
        killers=(_SINKS,),
    ),
    Mutant(
        name="deleted-and-posted-again",
        mistake="a message deleted within the window is posted once more (F-91)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="bot/jobs/posting.py",
                old="                await self._sent(posting, None)\n"
                "                return None\n",
                new="                raise\n",
            ),
        ),
        killers=(_POSTING, _SINKS),
    ),
    Mutant(
        name="intent-to-post-not-written",
        mistake="a message leaves before its row says so (S-7)",
        family=Family.DISCORD,
        edits=(
            Edit(
                path="storage/outbox.py",
                old="        leave={PostState.READY},\n        state=PostState.SENDING,\n",
                new="        leave={PostState.READY},\n        state=PostState.READY,\n",
            ),
        ),
        killers=("tests/unit/storage/test_outbox.py", _POSTING),
    ),
)
