"""Mistakes of the ledger (S-3)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Family, Mutant

_HOLDS = "tests/unit/storage/test_holds.py"
_LEDGER = "tests/unit/storage/test_ledger.py tests/unit/storage/test_wallet_time.py"
_BUDGETS = "tests/unit/storage/test_budgets.py"
_INSTALLATION = "tests/unit/storage/test_installation_budget.py"
_MACHINE = "tests/unit/storage/test_ledger_machine.py"

SPENDING = (
    Mutant(
        name="charge-above-the-hold",
        mistake="the member pays more than was shown (I-5, I-9)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/holds.py",
                old="    charged_ucr = min(row.amount_ucr, cost_ucr)\n",
                new="    charged_ucr = cost_ucr\n",
            ),
        ),
        killers=(_HOLDS,),
    ),
    Mutant(
        name="excess-forgotten",
        mistake="what is beyond the hold is nobody's loss (I-10)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/holds.py",
                old="            loss_ucr=loss_ucr + _provider_part_ucr("
                "cost_ucr - charged_ucr, multiplier_ppm),\n",
                new="            loss_ucr=loss_ucr,\n",
            ),
        ),
        killers=(_HOLDS,),
    ),
    Mutant(
        name="spent-without-having",
        mistake="a hold takes more than is available (I-3)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/holds.py",
                old="    return min((amount_ucr, wallet.available_ucr, *left))\n",
                new="    return amount_ucr if left else amount_ucr\n",
            ),
        ),
        killers=(_HOLDS,),
    ),
    Mutant(
        name="reference-used-twice",
        mistake="the same order takes two holds (I-5, I-33)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/holds.py",
                old="    if find(connection, reference) is not None:\n"
                "        raise Duplicate(reference=reference)\n"
                "    wallet = wallets.touch(",
                new="    wallet = wallets.touch(",
            ),
        ),
        killers=(_HOLDS,),
    ),
    Mutant(
        name="ended-twice",
        mistake="a hold that was voided is settled as well (I-5)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/holds.py",
                old="    if row.state is not outcome.state:\n"
                "        raise IllegalMove(reference=row.reference, "
                "state=row.state, move=outcome.kind)\n",
                new="",
            ),
        ),
        killers=(_HOLDS,),
    ),
    Mutant(
        name="rest-not-returned",
        mistake="the rest of a hold stays held (I-4)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/hold_rows.py",
                old="        for b, part_ucr in returned\n    ]\n    return Resolved(",
                new="        for b, part_ucr in returned[1:]\n    ]\n    return Resolved(",
            ),
        ),
        seeds=20,
        killers=(_HOLDS,),
    ),
    Mutant(
        name="dearest-first",
        mistake="what never ends is spent before what ends today",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/buckets.py",
                old="    return tuple(sorted(map(bucket_of, rows), key=lambda b: b.order))\n",
                new="    return tuple(sorted(map(bucket_of, rows), "
                "key=lambda b: b.order, reverse=True))\n",
            ),
        ),
        killers=(_HOLDS, _LEDGER),
    ),
    Mutant(
        name="spent-after-its-end",
        mistake="yesterday's allowance is spent today",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/buckets.py",
                old="        return self.ends_us is not None and self.ends_us <= now_us\n",
                new="        return self.ends_us is not None and self.ends_us <= now_us // 2\n",
            ),
        ),
        killers=(_LEDGER,),
    ),
    Mutant(
        name="day-issued-twice",
        mistake="a clock that was set back brings a second allowance (F-118)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/wallet.py",
                old="    return Wallet(user_id=user_id, "
                "now_us=max(now_us, newest_start_us), buckets=found)\n",
                new="    return Wallet(user_id=user_id, "
                "now_us=min(now_us, max(now_us, newest_start_us)), buckets=found)\n",
            ),
        ),
        killers=(_LEDGER, _MACHINE),
    ),
    Mutant(
        name="budget-not-asked",
        mistake="a server spends more than its staff allow (I-8)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/holds.py",
                old="    left = (window.bucket.available_ucr for window in windows)\n",
                new="    left = (wallet.available_ucr for _window in windows)\n",
            ),
        ),
        killers=(_BUDGETS,),
    ),
    Mutant(
        name="budget-not-given-back",
        mistake="what a hold did not spend is lost to the server's budget",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/hold_rows.py",
                old="        counted_ucr = min(charged_ucr, "
                "sum(part_ucr for _bucket, part_ucr in parts))\n",
                new="        counted_ucr = sum(part_ucr for _bucket, part_ucr in parts)\n",
            ),
        ),
        killers=(_BUDGETS,),
    ),
    Mutant(
        name="private-talk-beside-the-budget",
        mistake="the operator's ceiling does not count direct messages (I-8)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/budgets.py",
                old="    found = _budgets(connection, guild_id)\n    return",
                new="    found = _budgets(connection, guild_id) if guild_id else {}\n    return",
            ),
        ),
        killers=(_INSTALLATION, _MACHINE),
    ),
    Mutant(
        name="two-budgets-as-one",
        mistake="what was spent counts in the operator's ceiling or the server's, not in both",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="storage/hold_rows.py",
                old="else (owner_id, bucket.span)\n",
                new="else (owner_id * 0, bucket.span)\n",
            ),
        ),
        killers=(_INSTALLATION, _MACHINE),
    ),
    Mutant(
        name="reported-nonsense-paid",
        mistake="a negative amount, NaN or Infinity counts as a price (F-51)",
        family=Family.LEDGER,
        edits=(
            Edit(
                path="bot/catalogue/pricing.py",
                old="    if not amount.is_finite() or amount < 0:\n        return None\n",
                new="",
            ),
        ),
        killers=("tests/unit/catalogue/test_pricing.py",),
    ),
)
