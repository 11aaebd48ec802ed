"""Random histories of a queue in PostgreSQL against a plain model. ``MODD_PROFILE=long`` runs many more examples."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loops import BACKENDS
from tests.postgres.server import PostgresServer
from tests.stores import together, transactions
from tests.stores.histories import Step, steps
from tests.stores.postgres.laws import Histories

pytestmark = pytest.mark.slow

EXAMPLES = 50 if os.environ.get("MODD_PROFILE") == "long" else 10

few = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def queues(postgres_server: PostgresServer) -> Iterator[Histories]:
    histories = Histories(postgres_server)
    yield histories
    histories.close()


async def run(queues: Histories, history: list[Step]) -> None:
    async with queues.queue() as both:
        for step in history:
            await both.step(*step)


async def run_together(queues: Histories, history: list[Any]) -> None:
    async with queues.queue() as both:
        await together.Together(both).run(history)


async def run_transactions(queues: Histories, history: list[Any], immediate: bool) -> None:
    async with queues.queue() as both:
        blocks = transactions.Transactions(both, immediate)
        for alone, (is_kept, inside) in history:
            for step in alone:
                await both.do(*step)
            await blocks.transaction(is_kept, inside)


@few
@given(history=st.lists(steps, min_size=20, max_size=50))
def test_a_queue_in_postgres_does_what_the_model_does(queues: Histories, history: list[Step]) -> None:
    # PG-1, PG-3
    for backend in BACKENDS:
        anyio.run(run, queues, history, backend=backend)


@few
@given(history=together.histories)
def test_calls_at_the_same_time_are_as_if_they_were_one_after_another(queues: Histories, history: list[Any]) -> None:
    # PG-3, PG-4
    for backend in BACKENDS:
        anyio.run(run_together, queues, history, backend=backend)


@pytest.mark.parametrize("immediate", [False, True])
@few
@given(history=transactions.histories)
def test_a_transaction_is_done_whole_or_not_at_all(queues: Histories, immediate: bool, history: list[Any]) -> None:
    # PG-1
    for backend in BACKENDS:
        anyio.run(run_transactions, queues, history, immediate, backend=backend)
