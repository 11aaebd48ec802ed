"""One server for all tests of a process, and others for tests that kill theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.postgres.server import PostgresServer
from tests.stores.postgres.clock import TestClock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with its own clock: a server takes time."""
    return request.param


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for stores in schemas of their own; it does not wait for its disk."""
    with PostgresServer(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture
def clock(postgres_server: PostgresServer) -> Iterator[TestClock]:
    """A time of the database that the test sets."""
    with closing(TestClock(postgres_server)) as clock:
        yield clock


@pytest.fixture
def own_postgres_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    with PostgresServer(tmp_path / "postgres") as server:
        yield server
