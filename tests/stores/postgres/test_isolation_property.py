"""Random transactions beside each other: it is as if they had run one after another, in the order of their commits."""

from __future__ import annotations

import os

import anyio
import pytest
from hypothesis import HealthCheck, given, settings

from tests.postgres.server import PostgresServer
from tests.stores.document_histories import Step, histories, run_beside
from tests.stores.postgres.stores import emptied_store, new_store

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 8


async def run_history(server: PostgresServer, schema: str, history: list[Step]) -> None:
    async with emptied_store(server, schema) as store, new_store(server, schema) as other:
        # an immediate one has the other writers wait, so that no step beside it would end
        await run_beside([store, other], history, all_deferred=True)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories)
def test_transactions_are_as_if_they_had_run_one_after_another(
    postgres_server: PostgresServer, anyio_backend_name: str, history: list[Step]
) -> None:
    # PG-60
    anyio.run(run_history, postgres_server, f"documents_{anyio_backend_name}", history, backend=anyio_backend_name)
