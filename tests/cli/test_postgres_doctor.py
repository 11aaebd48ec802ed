"""The advice of the doctor for a store in a PostgreSQL database."""

from __future__ import annotations

import pytest

from modd.cli.formats import DAY
from modd.cli.postgres_doctor import advise
from modd.cli.rendering import render
from modd.cli.reports import DatabaseHealth, QueueCounts, QueueHealth


def health(dead_rows: int = 0, connections: int = 1, oldest: float = 0.0) -> DatabaseHealth:
    """The findings of a store with one queue."""
    queue = QueueHealth(QueueCounts("mails", 1, 0, 0, 1, 0, 0), DAY, 30 * DAY)
    return DatabaseHealth("shop", True, "15", 1, 1, dead_rows, connections, 100, oldest, [queue], 0, [], [], [])


def test_what_is_worth_a_look_is_told() -> None:
    # PG-14
    of_queue = [*advise(health(), has_vacuum=True)]
    assert len(of_queue) == 2 and "worker" in of_queue[0]
    told = [*advise(health(200_000, 90, 7200.0), has_vacuum=False)]
    words = ("autovacuum is off", "dead rows of items", "open since 2", "90 of 100 connections")
    assert [word for word, line in zip(words, told, strict=False) if word not in line] == [] and told[4:] == of_queue


def test_a_store_without_queues_is_shown_without_a_table_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    # PG-14
    render(DatabaseHealth("shop", True, "15", 1, 1, 0, 1, 100, 0.0, [], 0, [], [], []))
    shown = capsys.readouterr().out
    assert "PostgreSQL 15" in shown and "mails" not in shown and "healthy" in shown
