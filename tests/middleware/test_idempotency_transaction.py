"""Idempotency around a transaction: results are stored with the effects, or not at all."""

from __future__ import annotations

import sqlite3
from functools import partial, wraps
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.cqrs import CommandBus, Envelope, FromCache
from modd.middleware import Idempotency, Retryer, Transactional
from modd.stores import MemoryCache, SqliteStore
from modd.worker import Worker
from tests.middleware.till import Pay, opened

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with its own clock: work in other threads takes time."""
    return request.param


def pay(cents: int = 1) -> Envelope[Pay]:
    return Envelope(Pay(cents), id="a")


def only_on_commit(store: SqliteStore) -> Any:
    """Return the cache of a store, without the write that is not part of a transaction."""
    cache = store.cache

    class OnlyOnCommit:
        get, set_on_commit = cache.get, cache.set_on_commit

        async def set(self, key: str, value: bytes, ttl: float) -> None:
            raise AssertionError("stored apart from the effects")

    only: Any = OnlyOnCommit()
    only.store = store
    return only


# DF-20
async def test_results_are_stored_in_the_transaction_of_the_effects_if_the_cache_joins_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as till:
        bus = till.bus(Idempotency(store=only_on_commit(till.store)))
        first, again = await bus.dispatch(pay()), await bus.dispatch(pay())
        assert (first.result, again.result, again.envelope.has(FromCache)) == (1, 1, True)
        assert (till.calls, await till.paid(), await till.told()) == (1, [1], [1])


# DF-20
async def test_under_a_worker_of_the_same_store_too(tmp_path: Path) -> None:
    async with opened(tmp_path, fail=1) as till:
        queue, bus = (
            till.store.queue("pay"),
            CommandBus([till.pay], middleware=[Idempotency(store=only_on_commit(till.store))]),
        )
        await queue.put(bus.codec.encode(pay()))
        await Worker(queue, bus, backoff="none", max_messages=2).run()
        assert (await bus.dispatch(pay())).envelope.has(FromCache)
        assert (till.calls, await till.paid()) == (2, [1])


# DF-20
@pytest.mark.parametrize("joins", [True, False])
async def test_of_a_commit_that_fails_nothing_is_stored_and_of_attempts_the_last_one(
    tmp_path: Path, joins: bool
) -> None:
    async with opened(tmp_path, fail=1) as till:
        cache: Any = till.store.cache if joins else MemoryCache()
        bus = till.bus(Idempotency(store=cache), Retryer(backoff="none", attempts=2))
        with pytest.raises(sqlite3.IntegrityError):
            await bus.dispatch(pay(-1))
        assert [(await bus.dispatch(pay(2))).result for _ in range(2)] == [3, 3]
        assert (await till.paid(), await till.told()) == ([2], [2])


# DF-20
@pytest.mark.parametrize("joins", [True, False])
async def test_what_is_committed_is_stored_though_the_sender_hangs_up_on_the_way_back(
    tmp_path: Path, joins: bool
) -> None:
    async with opened(tmp_path) as till:
        sender = anyio.CancelScope()

        async def hang_up(envelope: Envelope[Any], call_next: Any) -> None:
            await call_next(envelope)
            sender.cancel()
            await anyio.sleep_forever()

        cache: Any = till.store.cache if joins else MemoryCache()
        bus = till.bus(Idempotency(store=cache), hang_up)
        with sender:
            await bus.dispatch(pay())
        assert sender.cancelled_caught
        assert (await bus.dispatch(pay())).envelope.has(FromCache)
        assert await till.paid() == [1]


# DF-20
async def test_a_dispatch_without_a_key_passes_the_transaction_unstored(tmp_path: Path) -> None:
    async with opened(tmp_path) as till:
        bus = till.bus(Idempotency(store=only_on_commit(till.store), key=lambda _: None))
        assert [(await bus.dispatch(pay())).result for _ in range(2)] == [1, 2]


# DF-20
async def test_a_cache_of_another_store_takes_results_after_the_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as till, SqliteStore(tmp_path / "other.db") as other:
        bus = CommandBus([till.pay], middleware=[Idempotency(store=other.cache), Transactional(till.store)])
        assert [(await bus.dispatch(pay())).result for _ in range(2)] == [1, 1]
        assert await till.paid() == [1]


class Session:
    """A database of one's own."""

    async def begin(self) -> None: ...
    async def commit(self) -> None: ...


session = Session()


async def unit_of_work(envelope: Envelope[Any], call_next: Any) -> None:
    await call_next(envelope)
    await session.commit()


@wraps(unit_of_work)
async def wrapped(envelope: Envelope[Any], call_next: Any) -> None:
    await unit_of_work(envelope, call_next)


async def with_session(session: Session, envelope: Envelope[Any], call_next: Any) -> None:
    async def inside() -> None:
        await session.begin()

    await inside()
    await call_next(envelope)


class UnitOfWork:
    async def __call__(self, envelope: Envelope[Any], call_next: Any) -> None:
        await unit_of_work(envelope, call_next)
        await session.commit()

    async def method(self, envelope: Envelope[Any], call_next: Any) -> None:
        await session.begin()


class WithRole(UnitOfWork):
    role = "transaction"


class NoTransaction(UnitOfWork):
    role = ""


async def audit(envelope: Envelope[Any], call_next: Any) -> None:
    await call_next(envelope)


@pytest.mark.parametrize(
    "middleware", [unit_of_work, wrapped, partial(with_session, session), UnitOfWork(), UnitOfWork().method]
)
async def test_a_transaction_without_its_role_is_told_when_the_middleware_are_put_together(middleware: Any) -> None:
    # DF-20
    bus = CommandBus({Pay: lambda command: 1}, middleware=[Idempotency(), middleware])
    with pytest.raises(
        InvalidOption, match=r"is inside Idempotency and seems to be a transaction.*role = \"transaction\""
    ):
        bus.check()
    CommandBus({Pay: lambda command: 1}, middleware=[middleware, Idempotency()]).check()


@pytest.mark.parametrize("middleware", [WithRole(), NoTransaction(), audit, Retryer()])
async def test_a_transaction_with_its_role_and_what_is_no_transaction_are_taken(middleware: Any) -> None:
    # DF-20
    CommandBus({Pay: lambda command: 1}, middleware=[Idempotency(), middleware]).check()
