"""Every mutant, and two that judge the judges."""

from __future__ import annotations

from tests.mutants.answering import ANSWERING
from tests.mutants.calling_back import CALLING_BACK
from tests.mutants.creating import CREATING
from tests.mutants.keeping import KEEPING
from tests.mutants.moving import MOVING
from tests.mutants.mutant import Edit, Family, Mutant
from tests.mutants.posting import POSTING
from tests.mutants.spending import SPENDING

MUTANTS: tuple[Mutant, ...] = (
    *CREATING,
    *CALLING_BACK,
    *MOVING,
    *SPENDING,
    *ANSWERING,
    *POSTING,
    *KEEPING,
)

_TESTS = "tests/unit/storage/test_holds.py"

CANARY = Mutant(
    name="canary",
    mistake="nothing is ever charged: whoever does not notice this notices nothing",
    family=Family.LEDGER,
    edits=(
        Edit(
            path="storage/holds.py",
            old="    charged_ucr = min(row.amount_ucr, cost_ucr)\n",
            new="    charged_ucr = 0\n",
        ),
    ),
    killers=(_TESTS,),
)
CONTROL = Mutant(
    name="control",
    mistake="none at all: whoever is killed here is killed for the wrong reason",
    family=Family.LEDGER,
    edits=(
        Edit(
            path="storage/holds.py",
            old="    charged_ucr = min(row.amount_ucr, cost_ucr)\n",
            new="    charged_ucr = min(cost_ucr, row.amount_ucr)\n",
        ),
    ),
    killers=tuple(sorted({killer for mutant in MUTANTS for killer in mutant.killers})),
)
