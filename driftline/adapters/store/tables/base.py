"""The metadata that all tables share, and the columns that many of them have."""

from typing import Any

from sqlalchemy import Boolean, Column, MetaData, Text

from driftline.adapters.store.columns import Id, Instant, Json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identity() -> Column[Any]:
    """An integer primary key."""
    return Column("id", Id, primary_key=True)


def text(name: str, default: str | None = "") -> Column[Any]:
    """A text that is never null; `default=None` means that every row has to give one."""
    return Column(name, Text, nullable=False, default=default)


def flag(name: str, default: bool = False) -> Column[Any]:
    """A boolean that is never null."""
    return Column(name, Boolean, nullable=False, default=default)


def json(name: str) -> Column[Any]:
    """A JSON value, or NULL."""
    return Column(name, Json)


def instant(name: str, nullable: bool = True) -> Column[Any]:
    """A time in UTC."""
    return Column(name, Instant, nullable=nullable)
