"""The transaction of a handler: load, decide and store are kept together, and nothing leaves that was not kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import Message
from modd.concurrency.cancellation import error_of
from modd.cqrs import Event
from modd.ports import Conflict, Transaction
from modd.ports.transaction import usable_transaction
from modd.service import ServerError
from modd.stores import MemoryStore, SqliteStore
from tests.service.desk import Asked, Cloakroom, Coats, Full, Hang, Hung, Take, Told, cloakroom_handler, tell

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: Any, tmp_path: Path) -> AsyncIterator[Any]:
    async with MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "coats.db") as opened:
        yield opened


class Hooks:
    """The cloakroom in the documents of a store: one document with the owners."""

    def __init__(self, store: Any, hooks: int = 2) -> None:
        self.store, self.hooks = store, hooks
        self.coats = store.documents("coats")
        self.fails = False
        self.loads: list[bool] = []
        """For each load, if it was in a transaction."""

    async def owners(self) -> tuple[str, ...]:
        body = await self.coats.get("owners")
        return tuple((body or b"").decode().split())

    async def put(self, *owners: str) -> None:
        await self.coats.put("owners", " ".join(owners).encode())

    async def load(self, command: Hang | Take) -> Coats:
        owners = await self.owners()
        self.loads.append(bool(usable_transaction()))
        return Coats(owners, self.hooks)

    async def keep(self, event: Hung, tx: Transaction) -> None:
        assert tx.is_usable
        await self.put(*await self.owners(), event.owner)
        if self.fails:
            raise OSError("disk full")


def handler_of(hooks: Hooks, **options: Any) -> Any:
    defaults = {"load": hooks.load, "store": hooks.keep, "transaction": hooks.store}
    return cloakroom_handler(Cloakroom(), **(defaults | options))


async def test_what_is_stored_is_kept_and_told_after_the_commit(store: Any) -> None:
    # WM-46
    hooks = Hooks(store)
    told: list[tuple[bool, tuple[str, ...]]] = []

    async def outbound(event: Event) -> list[Told]:
        told.append((usable_transaction() is None, await hooks.owners()))
        return tell(event)

    assert await handler_of(hooks, outbound=outbound)(Asked("hang ada hang bob")) == (
        Told("ada on hook 0"),
        Told("bob on hook 1"),
    )
    assert told == [(True, ("ada",)), (True, ("ada", "bob"))]
    assert hooks.loads == [True, True]


async def test_nothing_leaves_and_nothing_is_kept_if_a_store_fails(store: Any) -> None:
    # WM-46
    hooks = Hooks(store)
    hooks.fails = True
    assert await handler_of(hooks)(Asked("hang ada")) == (ServerError("OSError: disk full"),)
    assert await hooks.owners() == ()


async def test_a_decision_that_another_writer_overtook_is_made_anew_from_what_it_wrote(store: Any) -> None:
    # WM-46
    hooks = Hooks(store, hooks=1)
    loaded, overtaken = anyio.Event(), anyio.Event()

    async def load(command: Hang | Take) -> Coats:
        coats = await hooks.load(command)
        loaded.set()
        await overtaken.wait()
        return coats

    async def overtake() -> None:
        await loaded.wait()
        await hooks.put("bob")
        overtaken.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(overtake)
        assert await handler_of(hooks, load=load)(Asked("hang ada")) == (Told("ada: Full 1 hooks"),)
    assert await hooks.owners() == ("bob",)
    assert hooks.loads == [True, True]


async def test_in_a_transaction_of_somebody_else_it_is_a_part_of_that(store: Any) -> None:
    # WM-46
    hooks = Hooks(store)
    handler = handler_of(hooks)

    async def act() -> None:
        async with store.transaction(immediate=True):
            assert await handler(Asked("hang ada")) == (Told("ada on hook 0"),)
            hooks.fails = True
            assert await handler(Asked("hang bob")) == (ServerError("OSError: disk full"),)
            assert await hooks.owners() == ("ada",)
            raise KeyError

    assert isinstance(await error_of(act), KeyError)
    assert await hooks.owners() == ()


async def test_a_conflict_in_a_transaction_of_somebody_else_is_raised_to_its_owner(store: Any) -> None:
    # WM-46
    class Overtaken(Conflict):
        def __init__(self) -> None: ...

    async def load(command: Hang | Take) -> Coats:
        raise Overtaken

    handler = handler_of(Hooks(store), load=load)
    with pytest.raises(Overtaken):
        async with store.transaction():
            await handler(Asked("hang ada"))
    (told,) = await handler(Asked("hang ada"))
    assert isinstance(told, ServerError)


async def test_an_error_of_the_domain_keeps_nothing_of_a_transaction(store: Any) -> None:
    # WM-46
    hooks = Hooks(store)

    async def keep(event: Hung) -> Message | Full:
        await hooks.put(event.owner)
        return Full("after all")

    assert await handler_of(hooks, store=keep)(Asked("hang ada")) == (Told("ada: Full after all"),)
    assert await hooks.owners() == ()
