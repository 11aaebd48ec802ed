"""Concurrent puts and acknowledgements are committed together, and each has its own outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import psycopg
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from modd.ports import Item, LeaseLost, PutResult
from modd.stores import PostgresStore, StoreBusy, StoreClosed, UnknownOutcome
from modd.stores.postgres.advisory import LockNames
from modd.stores.postgres.group_commit import MOST_ROWS, Group, PendingCall
from modd.stores.postgres.queue import LARGEST_GROUPED, PostgresQueue
from tests.postgres.server import PostgresServer
from tests.stores.postgres.proxy import proxy_to
from tests.stores.postgres.stores import new_schema, new_store, until

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"


async def let_calls_begin() -> None:
    """Let each task run that was started: up to its first wait, which is that for the commit."""
    for _ in range(3):
        await checkpoint()


class Calls:
    """Calls in tasks of their own, which can be cancelled; each has an outcome by its name when it has ended."""

    tasks: TaskGroup

    def __init__(self, store: PostgresStore, server: PostgresServer) -> None:
        self.outcomes: dict[Any, Any] = {}
        self._scopes: dict[Any, anyio.CancelScope] = {}
        self.store, self.server = store, server

    async def until_waiting(self, number: int) -> None:
        """Return when so many statements of the store wait for a lock."""
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            query = f"%{self.store.schema.name}%"
            await until(lambda: connection.execute(WAITING, (query,)).fetchone() == (number,))

    def start(self, name: object, call: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Start a call."""
        self._scopes[name] = anyio.CancelScope()
        self.tasks.start_soon(self._run, name, call, *arguments)

    def cancel(self, name: object) -> None:
        """Cancel a call."""
        self._scopes[name].cancel()

    async def _run(self, name: object, call: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        with self._scopes[name]:
            try:
                self.outcomes[name] = await call(*arguments)
            except Exception as error:
                self.outcomes[name] = error


@asynccontextmanager
async def held_commits(calls: Calls, number: int = 2) -> AsyncIterator[None]:
    """Have calls of a store wait, until the block ends, for so many commits; all commits under way by default."""
    held = await known_queue(calls.store, "held")
    with psycopg.connect(calls.server.url) as blocker:
        blocker.execute(f"LOCK TABLE {calls.store.schema.name}.items IN SHARE MODE".encode())
        async with anyio.create_task_group() as calls.tasks:
            for count in range(1, number + 1):
                calls.tasks.start_soon(held.put, b"held")
                await calls.until_waiting(count)
            yield
            await let_calls_begin()
            blocker.rollback()


async def known_queue(store: PostgresStore, name: str = "orders") -> PostgresQueue:
    """Return an empty queue that the store has put into: a first put notes its name, in a commit of its own."""
    queue = store.queue(name)
    await queue.put(b"first")
    await queue.clear()
    return queue


def items_in_commits(store: PostgresStore, server: PostgresServer) -> list[int]:
    """Return the number of items of each commit, in their order, without those that were held."""
    sql = f"SELECT count(*) FROM {store.schema.name}.items WHERE body <> 'held' GROUP BY xmin::text ORDER BY min(place)"
    return [count for [count] in server.rows(sql)]


async def test_calls_that_wait_are_one_commit(postgres_server: PostgresServer) -> None:
    # PG-18
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            for number in range(10):
                calls.start(number, queue.put, *[b"%d" % number] * (1 + number % 2))
                await let_calls_begin()
        results = [calls.outcomes[number] for number in range(10)]
        assert [len(result) for result in results] == [1, 2] * 5
        assert items_in_commits(store, postgres_server) == [15]
        claims = await queue.claim(100, 60)
        assert [claim.id for claim in claims] == [each.id for result in results for each in result]


async def test_acknowledgements_that_wait_are_one_commit(postgres_server: PostgresServer) -> None:
    # PG-18
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        await queue.put(*[Item(b"1", key=key) for key in (None, "a", "b", "a")])
        claims = await queue.claim(10, 60)
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            for number, claim in enumerate(claims):
                calls.start(number, queue.ack, claim)
        assert calls.outcomes == {0: None, 1: None, 2: None}
        assert [claim.key for claim in await queue.claim(10, 60)] == ["a"]


async def test_a_lost_lease_is_of_its_own_call_alone(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        await queue.put(b"1", b"2", b"3")
        claims = await queue.claim(3, 60)
        await queue.release(claims[1])
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            for number, claim in enumerate(claims):
                calls.start(number, queue.ack, claim)
        assert (calls.outcomes[0], calls.outcomes[2]) == (None, None)
        assert isinstance(calls.outcomes[1], LeaseLost)
        assert calls.outcomes[1].ids == (claims[1].id,)
        assert [claim.id for claim in await queue.claim(3, 60)] == [claims[1].id]


async def test_two_acknowledgements_of_one_claim_at_once_are_one_that_succeeds(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        await queue.put(b"1")
        [claim] = await queue.claim(1, 60)
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            for number in range(2):
                calls.start(number, queue.ack, claim)
        assert sorted(type(each).__name__ for each in calls.outcomes.values()) == ["LeaseLost", "NoneType"]


async def test_one_id_in_two_puts_at_once_is_put_once(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            for number in range(2):
                calls.start(number, queue.put, Item(b"1", id="order-1"))
        assert sorted(result.duplicate for [result] in calls.outcomes.values()) == [False, True]


async def test_a_put_that_waits_for_its_lane_holds_no_other_one_up(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        await queue.put(Item(b"1", key="free"))
        with psycopg.connect(postgres_server.url) as session:
            await queue.using(session).put(Item(b"2", key="taken"))
            calls = Calls(store, postgres_server)
            async with anyio.create_task_group() as calls.tasks:
                calls.start("taken", queue.put, Item(b"3", key="taken"))
                calls.start("free", queue.put, Item(b"4", key="free"))
                await until(lambda: "free" in calls.outcomes)
                assert "taken" not in calls.outcomes
                session.commit()
        assert [claim.body for claim in await queue.claim(10, 60)] == [b"1", b"2"]


async def test_a_call_that_is_cancelled_while_it_waits_is_taken_back(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            calls.start("cancelled", queue.put, b"cancelled")
            calls.start("kept", queue.put, b"kept")
            await let_calls_begin()
            calls.cancel("cancelled")
        assert [*calls.outcomes] == ["kept"]
        assert [claim.body for claim in await queue.claim(10, 60)] == [b"kept"]


async def test_a_commit_without_calls_is_not_made(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            calls.start("cancelled", queue.put, b"cancelled")
            await let_calls_begin()
            calls.cancel("cancelled")
        await queue.put(b"next")
        assert [claim.body for claim in await queue.claim(10, 60)] == [b"next"]


async def test_a_call_that_is_cancelled_outlasts_the_commit_that_it_shares(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls, 1):
            calls.start("cancelled", queue.put, b"1")
            calls.start("kept", queue.put, b"2")
            await calls.until_waiting(2)
            calls.cancel("cancelled")
            await let_calls_begin()
            assert calls.outcomes == {}
        assert {*calls.outcomes} == {"cancelled", "kept"}
        assert {claim.body for claim in await queue.claim(10, 60)} == {b"1", b"2"}


async def test_a_commit_whose_calls_are_all_cancelled_is_cancelled(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls, 1):
            for number in range(2):
                calls.start(number, queue.put, b"1")
            await calls.until_waiting(2)
            for number in range(2):
                calls.cancel(number)
            await calls.until_waiting(1)
        assert calls.outcomes == {}
        assert await queue.claim(10, 60) == []


async def test_a_store_that_is_closed_ends_its_commits(postgres_server: PostgresServer) -> None:
    store = new_store(postgres_server)
    calls = Calls(store, postgres_server)
    async with anyio.create_task_group() as calls.tasks:
        with psycopg.connect(postgres_server.url) as blocker:
            async with store:
                queue = await known_queue(store)
                blocker.execute(f"LOCK TABLE {store.schema.name}.items IN SHARE MODE".encode())
                calls.start("put", queue.put, b"1")
                await calls.until_waiting(1)
    assert isinstance(calls.outcomes["put"], StoreClosed)


async def test_a_put_at_the_moment_of_the_closing_is_stored_once_or_refused(postgres_server: PostgresServer) -> None:
    schema, stored = new_schema(), 0
    for _ in range(10):
        store = new_store(postgres_server, schema, listen=False)
        calls = Calls(store, postgres_server)
        async with anyio.create_task_group() as calls.tasks:  # noqa: SIM117  # the call outlives the store
            async with store:
                await store.queue("orders").put(b"first")
                await let_calls_begin()  # what commits waits for the next call
                calls.start("put", store.queue("orders").put, b"1")
                await checkpoint()
        stored += isinstance(calls.outcomes["put"], list)
        assert isinstance(calls.outcomes["put"], (list, StoreClosed))
    [[count]] = postgres_server.rows(f"SELECT count(*) FROM {schema}.items WHERE body = '1'")
    assert count >= stored
    assert count <= 10


async def test_a_call_that_waits_when_the_commits_end_is_made_once(postgres_server: PostgresServer) -> None:
    """The scope of the store is cancelled in the step in which a call wakes what commits."""
    schema = new_schema()
    for _ in range(10):
        with anyio.CancelScope() as scope:
            async with new_store(postgres_server, schema, listen=False) as store:
                await store.queue("orders").put(b"first")
                with anyio.CancelScope(shield=True):
                    await let_calls_begin()
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(store.queue("orders").put, b"1")
                        scope.cancel()
    [[count]] = postgres_server.rows(f"SELECT count(*) FROM {schema}.items WHERE body = '1'")
    assert count == 10


async def test_calls_go_on_in_a_shield_when_the_scope_around_the_store_is_cancelled(
    postgres_server: PostgresServer,
) -> None:
    with anyio.CancelScope() as scope:
        async with new_store(postgres_server) as store:
            queue = await known_queue(store)
            with anyio.CancelScope(shield=True):
                calls = Calls(store, postgres_server)
                async with held_commits(calls):
                    calls.start("waits", queue.put, b"1")
                    await let_calls_begin()
                    scope.cancel()
                [claim] = await queue.claim(1, 60)
                await queue.ack(claim)
                assert await queue.claim(1, 60) == []
                assert [type(each) for each in calls.outcomes["waits"]] == [PutResult]


async def test_a_commit_without_an_answer_is_told_to_each_call_with_its_own_ids(
    postgres_server: PostgresServer,
) -> None:
    # PG-11
    async with proxy_to(postgres_server) as proxy:  # noqa: SIM117  # in this order
        async with PostgresStore(proxy.url, schema=new_schema(), durable=False, timeout=60, listen=False) as store:
            queue = await known_queue(store)
            proxy.lose_answer_of(b"COMMIT\0")
            calls = Calls(store, postgres_server)
            async with anyio.create_task_group() as calls.tasks:
                for name in ("a", "b"):
                    calls.start(name, queue.put, Item(b"1", id=name))
            for name in ("a", "b"):
                assert isinstance(calls.outcomes[name], UnknownOutcome)
                assert calls.outcomes[name].ids == (name,)
            assert {claim.id for claim in await queue.claim(10, 60)} == {"a", "b"}


async def test_a_call_that_was_not_in_the_commit_without_an_answer_is_made_alone(
    postgres_server: PostgresServer,
) -> None:
    # PG-11
    async with proxy_to(postgres_server) as proxy:  # noqa: SIM117  # in this order
        async with PostgresStore(proxy.url, schema=new_schema(), durable=False, timeout=60, listen=False) as store:
            queue = await known_queue(store)
            with psycopg.connect(postgres_server.url) as session:
                await queue.using(session).put(Item(b"2", key="taken"))
                proxy.lose_answer_of(b"COMMIT\0")
                calls = Calls(store, postgres_server)
                async with anyio.create_task_group() as calls.tasks:
                    calls.start("free", queue.put, Item(b"1", id="a"))
                    calls.start("taken", queue.put, Item(b"1", key="taken"))
                    await until(lambda: "free" in calls.outcomes)
                    session.commit()
            assert isinstance(calls.outcomes["free"], UnknownOutcome)
            assert [type(each) for each in calls.outcomes["taken"]] == [PutResult]


async def test_a_cancelled_call_waits_no_longer_than_a_moment_for_a_commit_that_it_shares(
    postgres_server: PostgresServer,
) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls, 1):
            cancelled: list[bool] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(put_cancelled, queue, cancelled)
                calls.start("shared", queue.put, b"3")
                await calls.until_waiting(2)
                tasks.cancel_scope.cancel()
            assert cancelled == [True]
            assert calls.outcomes == {}
        assert [type(each) for each in calls.outcomes["shared"]] == [PutResult]


async def test_what_waits_for_a_commit_counts_as_time_of_a_call(postgres_server: PostgresServer) -> None:
    # PG-11
    async with proxy_to(postgres_server) as proxy:  # noqa: SIM117  # in this order
        async with PostgresStore(proxy.url, schema=new_schema(), durable=False, timeout=1, listen=False) as store:
            queues = [await known_queue(store, f"orders-{number}") for number in range(2)]
            proxy.to_server = proxy.to_client = lambda data: None
            start = anyio.current_time()
            calls = Calls(store, postgres_server)
            async with anyio.create_task_group() as calls.tasks:
                for number in range(20):
                    calls.start(number, queues[number % 2].put, b"1")
                    await let_calls_begin()
            assert {type(each) for each in calls.outcomes.values()} == {StoreBusy}
            assert anyio.current_time() - start < 15


async def test_a_put_whose_queue_another_session_has_noted_holds_no_other_queue_up(
    postgres_server: PostgresServer,
) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        await queue.put(b"1")
        [claim] = await queue.claim(1, 60)
        with psycopg.connect(postgres_server.url) as session:
            await store.queue("new").using(session).put(b"1")
            calls = Calls(store, postgres_server)
            async with anyio.create_task_group() as calls.tasks:
                for number in range(3):
                    calls.start(number, store.queue("new").put, b"2")
                    await let_calls_begin()
                await queue.ack(claim)
                session.commit()
        assert [type(each) for each in calls.outcomes.values()] == [list] * 3


async def test_each_call_of_a_commit_raises_an_error_of_its_own(postgres_server: PostgresServer) -> None:
    async with proxy_to(postgres_server) as proxy:  # noqa: SIM117  # in this order
        async with PostgresStore(proxy.url, schema=new_schema(), durable=False, timeout=0.5, listen=False) as store:
            proxy.to_server = proxy.to_client = lambda data: None
            calls = Calls(store, postgres_server)
            async with anyio.create_task_group() as calls.tasks:
                for number in range(2):
                    calls.start(number, store.queue("orders").put, b"1")
            assert {type(each) for each in calls.outcomes.values()} == {StoreBusy}
            assert calls.outcomes[0] is not calls.outcomes[1]
            assert all(each.__cause__ is not None for each in calls.outcomes.values())


async def test_a_put_of_much_is_a_commit_of_its_own(postgres_server: PostgresServer) -> None:
    async with new_store(postgres_server) as store:
        queue = await known_queue(store)
        calls = Calls(store, postgres_server)
        async with held_commits(calls):
            calls.start("much", queue.put, b"1" * (LARGEST_GROUPED + 1))
            await calls.until_waiting(3)
        assert await queue.claim(1, 60)


async def put_cancelled(queue: PostgresQueue, cancelled: list[bool]) -> None:
    """Put an item, and note if that was cancelled."""
    try:
        await queue.put(b"2")
    except anyio.get_cancelled_exc_class():
        cancelled.append(True)
        raise


async def nothing(*arguments: object) -> None:
    """Do nothing."""


async def test_a_group_has_room_for_so_many_rows_and_one_of_each_value() -> None:
    def call(rows: int = 1, unique: Sequence[int] = ()) -> PendingCall:
        return PendingCall(nothing, [None] * rows, LockNames(1), unique)

    group = Group()
    first = call(1, [1, 2])
    assert group.add(first)
    assert not group.add(call(1, [2, 3]))
    group.take_back(first)
    assert group.add(call(1, [2, 3]))
    assert group.add(call(MOST_ROWS - 1))
    assert not group.add(call())
