"""The databases of the store's tests."""

from tests.kit.databases import (
    own_store,
    postgres_own_store,
    postgres_server,
    postgres_shared,
    postgres_store,
    sqlite_store,
    sqlite_template,
    store,
)

__all__ = [
    "own_store",
    "postgres_own_store",
    "postgres_server",
    "postgres_shared",
    "postgres_store",
    "sqlite_store",
    "sqlite_template",
    "store",
]
