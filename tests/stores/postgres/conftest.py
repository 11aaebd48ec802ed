"""Every async test here runs on asyncio and on trio; its server is one of `tests.postgres.fixtures`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.postgres.server import PostgresServer
from tests.stores.postgres.clock import TestClock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with its own clock: a server takes time."""
    return request.param


@pytest.fixture
def clock(postgres_server: PostgresServer) -> Iterator[TestClock]:
    """A time of the database that the test sets."""
    with closing(TestClock(postgres_server)) as clock:
        yield clock
