"""The floor of durable messages: sqlite3 with one table."""

from __future__ import annotations

import sqlite3
from pathlib import Path

TABLE = """CREATE TABLE q (id INTEGER PRIMARY KEY, payload BLOB NOT NULL, state INTEGER NOT NULL DEFAULT 0);
CREATE INDEX q_ready ON q (id) WHERE state = 0;"""
INSERT = "INSERT INTO q (payload) VALUES (?)"
CLAIM = "UPDATE q SET state = 1 WHERE id = (SELECT id FROM q WHERE state = 0 ORDER BY id LIMIT 1) RETURNING id, payload"
ACK = "DELETE FROM q WHERE id = ?"


class Raw:
    """A queue in a file, without a thread and a codec: each step of each message is a transaction."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.executescript(TABLE)

    def put(self, body: bytes) -> None:
        """Insert a row."""
        self.connection.execute(INSERT, (body,))

    def fill(self, bodies: list[bytes]) -> None:
        """Insert rows in one transaction."""
        self.connection.execute("BEGIN")
        self.connection.executemany(INSERT, [(body,) for body in bodies])
        self.connection.execute("COMMIT")

    def claim(self) -> int:
        """Mark the first row and return its id."""
        id: int = self.connection.execute(CLAIM).fetchone()[0]
        return id

    def ack(self, id: int) -> int:
        """Delete a row, and return the number of deleted rows."""
        return self.connection.execute(ACK, (id,)).rowcount

    def waiting(self) -> int:
        """Return the number of rows that are not claimed."""
        count: int = self.connection.execute("SELECT count(*) FROM q WHERE state = 0").fetchone()[0]
        return count

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
