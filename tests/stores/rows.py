"""What is true of the rows of a queue in a table, whichever database has it."""

from __future__ import annotations

from typing import Any, NamedTuple

READY, BLOCKED, DELAYED, LEASED, RETRYING, DEAD = range(6)

COLUMNS = "state, due, attempts, token, id, key, reason"


class Row(NamedTuple):
    """What the table has of an item."""

    state: int
    due: float | None
    attempts: int
    token: int | None
    id: str
    key: str | None
    reason: str | None


def left_of(rows: list[Row]) -> list[Any]:
    """Each item, with the end of its lease."""
    return [(row.id, row.key, row.attempts, row.reason, row.due if row.state == LEASED else None) for row in rows]


def check_rows(rows: list[Row]) -> None:
    """Each row is what its state says, and each key has the head that it should have."""
    for row in rows:
        check_row(row)
    for key in {row.key for row in rows if row.key is not None}:
        check_lane([row for row in rows if row.key == key])


def check_row(row: Row) -> None:
    assert (row.due is None) == (row.state in (READY, BLOCKED))
    assert (row.reason is None) == (row.state != DEAD)
    assert row.attempts > 0 or row.state in (READY, BLOCKED, DELAYED)
    assert row.attempts == 0 or row.state not in (BLOCKED, DELAYED)
    assert row.key is not None or row.state != BLOCKED
    assert row.token is None or row.state == LEASED  # a suspect that was released has no token


def check_lane(rows: list[Row]) -> None:
    """One item at most is the head; it is the first, or an attempt of it counts. Nobody waits without a head."""
    heads = [place for place, row in enumerate(rows) if row.state in (READY, LEASED, RETRYING)]
    behind = [place for place, row in enumerate(rows) if row.state == BLOCKED]
    assert len(heads) <= 1
    assert heads or not behind
    for head in heads:
        assert rows[head].attempts or head < min(behind, default=len(rows))
