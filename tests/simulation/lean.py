"""Runs the constant statements of `storage` without SQLAlchemy's ado around each of them.

SQLAlchemy compiles them, the driver runs them; what is left out are events, contexts and result
objects, which take twice the time of the statement itself. `test_simulation.py` compares both
ways: the same seed is the same story.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import MultipleResultsFound, NoResultFound

Values = dict[str, Any]


class Found:
    """The part of `sqlalchemy.Result` that `storage` uses."""

    def __init__(self, rows: list[Any], row: Callable[[Any], Any], rowcount: int) -> None:
        self._rows = rows
        self._row = row
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return map(self._row, self._rows)

    def all(self) -> list[Any]:
        return list(self)

    def scalars(self) -> Found:
        return Found(self._rows, _first, self.rowcount)

    def one_or_none(self) -> Any:
        if len(self._rows) > 1:
            raise MultipleResultsFound
        return self._row(self._rows[0]) if self._rows else None

    def one(self) -> Any:
        self._check_one()
        return self._row(self._rows[0])

    def scalar_one(self) -> Any:
        self._check_one()
        return self._rows[0][0]

    def scalar_one_or_none(self) -> Any:
        if len(self._rows) > 1:
            raise MultipleResultsFound
        return self._rows[0][0] if self._rows else None

    def _check_one(self) -> None:
        if len(self._rows) != 1:
            raise MultipleResultsFound if self._rows else NoResultFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A compiled statement: its text, whence each `?` has its value, and its rows."""

    text: str
    slots: tuple[tuple[str, Any, bool], ...]
    """By the place of each: its key, its own value, and whether the caller must give another."""
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]
    """Places whose values the driver takes in another form, such as bytes."""
    row: Callable[[Any], Any] | None

    def values(self, given: Values) -> list[Any]:
        values = [
            given[key] if is_required or key in given else value
            for key, value, is_required in self.slots
        ]
        for place, convert in self.converted:
            values[place] = convert(values[place])
        return values


class LeanConnection:
    """A `Connection` to bodies of transactions; what it does not know, the real one does."""

    def __init__(self, connection: Connection, raw: sqlite3.Connection) -> None:
        self._connection = connection
        self._raw = raw
        self._plans: dict[tuple[Any, tuple[str, ...]], Plan | None] = {}
        self._seen: set[Any] = set()

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """As `Connection.execute`; a statement that is met for the first time takes its way."""
        is_many = isinstance(parameters, list)
        given: Values = (parameters[0] if is_many else parameters) or {}
        plan = self._plan(statement, given)
        if plan is None:
            return self._connection.execute(statement, parameters)
        if is_many:
            cursor = self._raw.executemany(plan.text, map(plan.values, parameters))
        else:
            cursor = self._raw.execute(plan.text, plan.values(given))
        if plan.row is None:
            return Found([], _none, cursor.rowcount)
        return Found(cursor.fetchall(), plan.row, -1)

    def _plan(self, statement: Any, given: Values) -> Plan | None:
        key = (statement, tuple(given))
        try:
            return self._plans[key]
        except KeyError:
            if statement not in self._seen:
                # One that is built for a single call is never met again, and compiling is dear.
                self._seen.add(statement)
                return None
        plan = self._plans[key] = planned(statement, given, self._connection.dialect)
        return plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def planned(statement: Any, given: Values, dialect: Dialect) -> Plan | None:
    """Compile a statement; None when it needs more than a text and plain values."""
    compiled = statement.compile(dialect=dialect, column_keys=sorted(given) or None)
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    if compiled.insert_prefetch or compiled.update_prefetch:
        return None
    if any(bind.expanding and bind.key in given for bind in binds.values()):
        return None  # as many `?` as the list is long
    columns = compiled._result_columns
    if any(one.type.dialect_impl(dialect).result_processor(dialect, None) for one in columns):
        return None
    expanded = compiled._process_parameters_for_postcompile(compiled.construct_params(given))
    slots = [
        (binds[name].key, binds[name].value, binds[name].required)
        if name in binds
        else (name, expanded.additional_parameters[name], False)
        for name in expanded.positiontup
    ]
    converters = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in binds.items()
    }
    converted = [
        (place, convert)
        for place, name in enumerate(expanded.positiontup)
        if (convert := converters.get(name)) is not None
    ]
    row: Any = namedtuple(  # type: ignore[misc] # noqa: PYI024 - its fields are the statement's
        "row", [one.keyname for one in columns], rename=True
    )
    return Plan(
        text=expanded.statement,
        slots=tuple(slots),
        converted=tuple(converted),
        row=row._make if columns else None,
    )


def _first(row: Any) -> Any:
    return row[0]


def _none(_row: Any) -> NoReturn:
    raise AssertionError("no rows")
