"""The program whose types the type checkers check runs as it is typed."""

from __future__ import annotations

import anyio
import pytest

from modd import Bus
from modd.cqrs import CommandBus, QueryBus
from modd.nats import Link
from tests.nats.server import NatsServer
from tests.remote.shop import new_name
from tests.typing import remotes

pytestmark = pytest.mark.anyio


async def test_calls_to_another_process_have_the_types_of_their_results(nats_server: NatsServer) -> None:
    # RE-1
    bills: list[str] = []

    def bill(command: remotes.Bill) -> int:
        bills.append(command.customer)
        return len(bills)

    def get_bill(query: remotes.GetBill) -> tuple[str, int]:
        return bills[query.number - 1], query.number

    name, bus = new_name(), Bus([CommandBus([bill]), QueryBus([get_bill])])
    async with Link(nats_server.url, name="all", timeout=30) as link, anyio.create_task_group() as tasks:
        serve = remotes.serve(link, name, bus)
        tasks.start_soon(serve.run)
        await serve.wait_ready()
        await remotes.ask_elsewhere(link, name)
        serve.stop()
    assert bills == ["Ada", "Bob"]
