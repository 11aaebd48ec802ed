"""Connections that kill their process before or after a statement: at every step of a store that writes."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from itertools import count
from signal import SIGKILL
from typing import Any

READS_ONLY = "PRAGMA wal_autocheckpoint = 0"
"""What a store executes on connections that only read: that changes nothing, so nobody is killed there."""
STEP = re.compile(
    r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|CREATE|DROP|SELECT|(?:INSERT|UPDATE|DELETE)[A-Z ]* \w+)"
)


class Killer:
    """Give it to a store as ``connect``. It has two points for each statement: before it, and when it was executed.

    at: the point at which the process is killed, by its number, from 1, or by what it is called, as ``after COMMIT``; 0
        for never.
    tell: is told of the point first.
    """

    def __init__(self, at: int | str, tell: Callable[..., None]) -> None:
        self._at, self._tell = at, tell
        self._points = count(1)

    def __call__(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=256, factory=_Killing)
        connection.killer = self
        return connection

    @property
    def points(self) -> int:
        """How many there were until now."""
        return next(self._points) - 1

    def pass_point(self, moment: str, sql: str) -> None:
        """End here, if this is the point."""
        point = f"{moment} {step_of(sql)}" if isinstance(self._at, str) else next(self._points)
        if point == self._at:
            self._tell(killed=f"{moment} {step_of(sql)}")
            os.kill(os.getpid(), SIGKILL)


class _Killing(sqlite3.Connection):
    killer: Killer
    reads_only = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.reads_only = self.reads_only or sql == READS_ONLY
        if self.reads_only:
            return super().execute(sql, parameters)
        self.killer.pass_point("before", sql)
        cursor = super().execute(sql, parameters)
        self.killer.pass_point("after", sql)
        return cursor

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        self.killer.pass_point("before", sql)
        cursor = super().executemany(sql, parameters)
        self.killer.pass_point("after", sql)
        return cursor

    def close(self) -> None:
        if not self.reads_only:
            self.killer.pass_point("before", "CLOSE")
        super().close()
        if not self.reads_only:
            self.killer.pass_point("after", "CLOSE")


def step_of(sql: str) -> str:
    """What a statement does, in short: ``COMMIT``, ``INSERT INTO modd_outbox``."""
    found = STEP.match(sql.strip())
    return found.group().replace("OR IGNORE ", "") if found else sql
