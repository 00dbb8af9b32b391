"""Column types and the few SQL words that SQLite and PostgreSQL spell differently. Used by all of the store."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Generic, TypeVar, cast

import orjson
from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Integer,
    Row,
    Select,
    Table,
    Text,
    TypeDecorator,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

T = TypeVar("T")

Id = BigInteger().with_variant(Integer, "sqlite")
"""A primary key that the database counts up (SQLite does so only for INTEGER)."""


class Instant(TypeDecorator[datetime]):
    """An aware UTC time, stored as seconds since 1970 in a double: exact to the microsecond, the same everywhere."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:
        return None if value is None else value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(float(value), UTC)


class Json(TypeDecorator[Any]):
    """Any JSON value as text; dataclasses, enums and datetimes are written as orjson does. None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


class Word(TypeDecorator[StrEnum]):
    """A member of an enum, stored as its text."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else str(self.words(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


class _Clock(FunctionElement[datetime]):
    """The database's clock plus some seconds; see `db_now`."""

    type = Instant()
    inherit_cache = True
    name = "db_now"


@compiles(_Clock, "sqlite")
def _sqlite_clock(element: _Clock, compiler: SQLCompiler, **kwargs: Any) -> str:
    # Milliseconds are all that SQLite 3.40 offers, and one statement sees one time.
    return f"((julianday('now') - 2440587.5) * 86400.0 + {compiler.process(element.clauses, **kwargs)})"


@compiles(_Clock, "postgresql")
def _postgresql_clock(element: _Clock, compiler: SQLCompiler, **kwargs: Any) -> str:
    # Not now(): that is the start of the transaction. Not clock_timestamp(): volatile, so no index could be used.
    offset = compiler.process(element.clauses, **kwargs)
    return f"(CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS DOUBLE PRECISION) + {offset})"


def db_now(after: timedelta | ColumnElement[float] = timedelta(0)) -> ColumnElement[datetime]:
    """The database's own time, `after` (or a parameter of seconds) from now.

    Leases and due times are compared by this clock only.
    """
    return _Clock(literal(after.total_seconds(), Double()) if isinstance(after, timedelta) else after)


def now(db: Connection) -> datetime:
    """Ask the database what time it is."""
    return db.execute(select(db_now())).scalar_one()


def insert(db: Connection | str, table: Table) -> postgresql.Insert:
    """An INSERT that knows ON CONFLICT, for a connection or a dialect's name (both dialects spell the method alike)."""
    if (db if isinstance(db, str) else db.dialect.name) == "sqlite":
        return cast(postgresql.Insert, sqlite.insert(table))
    return postgresql.insert(table)


@cache
def excluded(table: Table) -> ReadOnlyColumnCollection[str, Any]:
    """The row that an upsert could not insert. SQLAlchemy's own property copies every column each time it is asked."""
    return table.alias("excluded").c


def columns_of(table: Table, names: Iterable[str]) -> tuple[ColumnElement[Any], ...]:
    """Columns of a table by name, in order."""
    return tuple(table.c[name] for name in names)


class Shape(Generic[T]):
    """How rows of a table become a frozen dataclass whose fields are named like columns."""

    def __init__(self, cls: Callable[..., T], table: Table) -> None:
        self.cls = cls
        self.columns = columns_of(table, [each.name for each in fields(cast(Any, cls))])
        self._select: Select[Any] = select(*self.columns)

    def select(self) -> Select[Any]:
        """SELECT exactly the columns that `read` wants."""
        return self._select

    def read(self, row: Row[Any] | tuple[Any, ...]) -> T:
        """One dataclass from one row that has the columns of `self.columns`, in order, at its beginning."""
        return self.cls(*row[: len(self.columns)])

    def first(self, rows: Iterable[Row[Any]]) -> T | None:
        """The first row, or None."""
        return next((self.read(row) for row in rows), None)

    def all(self, rows: Iterable[Row[Any]]) -> list[T]:
        """Every row, in order."""
        return [self.read(row) for row in rows]


CHUNK = 900
"""Values in one IN list: below SQLite's historical limit of 999 parameters, and plans stay quick."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in pieces that fit into one IN list; nothing for no values."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
