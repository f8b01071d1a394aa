"""How far our estimates of tokens are from what the providers count, by model and kind of text.

A ratio is parts per million: what the provider counted where we had estimated a million.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, insert, select, update

from storage.schema import token_ratios
from storage.types import TextKind


def of_model(connection: Connection, *, model: str) -> Mapping[TextKind, int]:
    """The ratios that were learned for a model so far."""
    rows = connection.execute(
        select(token_ratios.c.kind, token_ratios.c.ratio_ppm).where(token_ratios.c.model == model)
    )
    return {TextKind(row.kind): row.ratio_ppm for row in rows}


def put(connection: Connection, *, model: str, kind: TextKind, ratio_ppm: int, now_us: int) -> None:
    """Replace a ratio, and count the sample behind it."""
    assert ratio_ppm > 0
    changed = connection.execute(
        update(token_ratios)
        .where(token_ratios.c.model == model, token_ratios.c.kind == kind)
        .values(ratio_ppm=ratio_ppm, samples=token_ratios.c.samples + 1, changed_us=now_us)
    )
    if changed.rowcount == 0:
        connection.execute(
            insert(token_ratios).values(
                model=model, kind=kind, ratio_ppm=ratio_ppm, samples=1, changed_us=now_us
            )
        )
