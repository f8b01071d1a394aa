"""What all tables are made of: one `metadata`, one kind of number, named rules."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, MetaData, text

BIG = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits on both; SQLite numbers keys by itself only in a column of type INTEGER."""

metadata = MetaData(
    naming_convention={
        "ck": "%(table_name)s_%(constraint_name)s",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_name)s_uq",
    }
)


def check(name: str, rule: str) -> CheckConstraint:
    """A CHECK whose full name begins with its table's."""
    return CheckConstraint(text(rule), name=name)


def index(name: str, *columns: str, where: str | None = None, unique: bool = False) -> Index:
    """An index by column names, partial on both databases when `where` is given."""
    condition = None if where is None else text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
