"""A handler gets the open transaction by its annotation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import pytest

from modd.cqrs import CommandBus
from modd.ports import NoTransaction, Transaction
from modd.ports.transaction import open_transaction
from tests.cqrs.shop import Create

pytestmark = pytest.mark.anyio


class Open:
    """A transaction that was begun."""

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        pass

    async def execute_many(self, sql: str, rows: Any) -> int | None:
        raise NotImplementedError

    async def fetch(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        return [(sql,)]

    @property
    def is_usable(self) -> bool:
        return True

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        raise NotImplementedError

    @property
    def local(self) -> dict[Any, Any]:
        raise NotImplementedError

    def on_end(self, work: Callable[[], Awaitable[None]]) -> None:
        raise NotImplementedError


async def create(command: Create, tx: Transaction) -> int:
    return len(await tx.fetch("SELECT 1"))


async def maybe(command: Create, *, tx: Transaction | None = None) -> int:
    assert tx is not None
    return len(await tx.fetch("SELECT 1"))


@pytest.mark.parametrize("handler", [create, maybe])
async def test_the_open_transaction_is_given_at_each_call(handler: Any) -> None:
    # ST-16
    bus = CommandBus([handler])
    token = open_transaction.set(Open())
    assert await bus.ask(Create()) == 1
    open_transaction.reset(token)
    with pytest.raises(NoTransaction, match=f"^{handler.__name__} takes a transaction and none is open"):
        await bus.ask(Create())


async def test_a_resource_of_ones_own_counts_more() -> None:
    assert await CommandBus([create], resources={Transaction: Open()}).ask(Create()) == 1
