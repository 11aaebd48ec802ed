"""Random transactions beside each other: it is as if they had run one after another, in the order of their commits."""

from __future__ import annotations

import os

import anyio
import pytest
from hypothesis import HealthCheck, given, settings

from tests.nats.server import NatsServer
from tests.stores.document_histories import Step, histories, run_beside
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 15


async def run_history(server: NatsServer, history: list[Step]) -> None:
    async with open_store(server) as store, open_store(server, store.name) as other:
        await run_beside([store, other], history)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_transactions_are_as_if_they_had_run_one_after_another(
    nats_server: NatsServer, anyio_backend_name: str, history: list[Step]
) -> None:
    # NA-30
    anyio.run(run_history, nats_server, history, backend=anyio_backend_name)
