"""The databases of the store's tests."""

from tests.kit.databases import postgres_server, postgres_store, sqlite_store, sqlite_template, store

__all__ = ["postgres_server", "postgres_store", "sqlite_store", "sqlite_template", "store"]
