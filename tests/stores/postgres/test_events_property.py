"""Random histories of events in a database against the plain model, also in transactions of which half are dropped."""

from __future__ import annotations

import os
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres.server import PostgresServer
from tests.stores.event_histories import blocks, do_blocks
from tests.stores.postgres.stores import emptied_store

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 8


async def run(server: PostgresServer, schema: str, history: list[tuple[str, list[Any]]]) -> None:
    async with emptied_store(server, schema) as store:
        await do_blocks(store, history)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(blocks, max_size=6))
def test_events_in_a_database_are_what_the_model_has(
    postgres_server: PostgresServer, backend: str, history: list[Any]
) -> None:
    # PG-7, ST-6, WM-1, WM-2
    anyio.run(run, postgres_server, f"events_{backend}", history, backend=backend)
