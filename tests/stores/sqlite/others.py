"""Stores beside each other, with an SQLite that can damage a WAL which two write at once."""

from __future__ import annotations

from functools import partial

from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import of_version

affected = partial(SqliteStore, connect=of_version("3.40.1"), timeout=60)
"""Opens a store that waits for others as long as a loaded machine may take."""
