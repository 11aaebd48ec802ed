"""Stores for followers, and pairs of stores that have one content."""

from __future__ import annotations

from tests.aggregate.conftest import store, stores

__all__ = ["store", "stores"]
