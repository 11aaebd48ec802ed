"""Stores for projections: in memory, and a file of SQLite."""

from __future__ import annotations

from tests.aggregate.conftest import store, stores

__all__ = ["store", "stores"]
