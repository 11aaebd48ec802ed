"""The examination of a file at a later time, and with another version of SQLite."""

from __future__ import annotations

from pathlib import Path

from modd.cli.doctor import Doctor
from modd.cli.inspection import Inspector, inspect_file
from modd.cli.reports import StoreHealth

AFFECTED, REPAIRED = "3.40.1", "3.51.3"


def health(path: Path, version: str = AFFECTED, later: float = 0.0) -> StoreHealth:
    """Examine a file with this version of SQLite, a number of seconds later."""

    def look(inspector: Inspector) -> StoreHealth:
        inspector.connection.create_function("sqlite_version", 0, lambda: version)
        return Doctor(inspector).examine()

    return inspect_file(str(path), look, clock=lambda: LATER + later)


LATER = 4_000_000_000.0
"""Seconds since 1970, long after anything was put."""
