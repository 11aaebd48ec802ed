"""Transactions: one commit, planned anew when another writer was faster, and never on what has changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anyio
import pytest

from modd.concurrency.blocks import async_block
from modd.errors import NotEntered
from modd.ports import Item
from modd.ports.errors import AlreadyHandled, DocumentConflict, ReadConflict
from modd.stores.errors import (
    ResultNeeded,
    SqlNotSupported,
    StoreBusy,
    TransactionInUse,
    TransactionTimeout,
)
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import Write
from modd.stores.nats.store import NatsStore
from modd.testing.conformance.documents import add_up, encode_number
from tests.nats.server import NatsServer
from tests.stores.late_commits import outcome_of
from tests.stores.nats import test_records
from tests.stores.nats.proxy import proxy_to
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio

Step: TypeAlias = Callable[[], Awaitable[object]]

both = pytest.mark.parametrize("immediate", [False, True])


@async_block
async def two_stores(server: NatsServer) -> AsyncIterator[tuple[NatsStore, NatsStore]]:
    """Open a store twice, as two processes do."""
    async with open_store(server) as store, open_store(server, store.name) as other:
        yield store, other


class Rival:
    """An operation that has another writer come first, between its reads and the commit, a number of times."""

    __name__ = "rival"

    def __init__(self, work: Step, times: int = 1) -> None:
        self.work, self.times = work, times

    async def __call__(self, overlay: Overlay, subject: str) -> None:
        overlay.write(Write(subject, {}))
        if self.times:
            self.times -= 1
            await self.work()


def rival(store: NatsStore, work: Step, times: int = 1) -> Step:
    """Return a step in which another writer does some work before the commit."""
    operation = Rival(work, times)
    return lambda: store.access("test").write(operation, f"{store.subjects.prefix}z.rival")


def refused(step: Step, error: type[Exception]) -> Step:
    """Return a step that has to raise an error, after which the block goes on."""

    async def run() -> None:
        with pytest.raises(error):
            await step()

    return run


async def transact(store: NatsStore, *steps: Step, **options: Any) -> list[object]:
    """Run steps in a transaction, and return their results."""
    async with store.transaction(**options):
        return [await step() for step in steps]


async def fold(store: NatsStore, number: int) -> None:
    """Add a number to a sum."""
    await store.documents("sums").fold([("a", number)], add_up, int, encode_number)


async def total(store: NatsStore) -> bytes | None:
    """Return the sum."""
    return await store.documents("sums").get("a")


@both
async def test_parts_are_written_together_or_not_at_all(nats_server: NatsServer, immediate: bool) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        documents = store.documents("a")
        await store.inbox.add("old")

        def steps(id: str) -> list[Step]:
            return [
                lambda: documents.put("k", b"1"),
                lambda: store.cache.set_on_commit("k", b"1", 100),
                lambda: fold(store, 1),
                lambda: store.inbox.add(id),
            ]

        with pytest.raises(AlreadyHandled):
            await transact(store, *steps("old"), immediate=immediate)
        assert [await documents.get("k"), await store.cache.get("k"), await total(store)] == [None] * 3
        await transact(store, *steps("new"), immediate=immediate)
        assert [await documents.get("k"), await store.cache.get("k"), await total(store)] == [b"1"] * 3


@both
async def test_calls_are_planned_anew_when_another_writer_was_faster(nats_server: NatsServer, immediate: bool) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):
        put = lambda: store.documents("other").put("k", b"1")  # noqa: E731
        await transact(store, lambda: fold(store, 1), put, rival(store, lambda: fold(other, 2), 2), immediate=immediate)
        assert await total(store) == b"5"


async def test_an_error_that_comes_when_calls_are_planned_anew_is_named(nats_server: NatsServer) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):
        with pytest.raises(AlreadyHandled, match="'a'"):
            await transact(store, lambda: store.inbox.add("a"), rival(store, lambda: other.inbox.add("a")))
        swap, put = store.documents("d").swap, other.documents("d").put
        with pytest.raises(DocumentConflict, match="'k'"):
            await transact(store, lambda: swap("k", b"1", None), rival(store, lambda: put("k", b"2")))


async def test_a_deferred_transaction_whose_reads_have_changed_is_a_conflict(nats_server: NatsServer) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):
        documents, put = store.documents("d"), other.documents("d").put
        with pytest.raises(ReadConflict, match="the document 'k'"):
            await transact(store, lambda: documents.get("k"), rival(store, lambda: put("k", b"2")))
        inbox = store.inbox
        with pytest.raises(ReadConflict, match="an id of the inbox"):  # not AlreadyHandled: the read comes first
            await transact(store, lambda: inbox.has("a"), lambda: other.inbox.add("a"), lambda: inbox.add("a"))
        with pytest.raises(ReadConflict, match="documents of d"):
            await transact(store, lambda: documents.get("k"), documents.items, lambda: put("new", b"1"))
        steps = [lambda: documents.get("none"), lambda: fold(store, 1), rival(store, lambda: fold(other, 2))]
        await transact(store, *steps)
        assert await total(store) == b"3"


async def test_an_immediate_transaction_is_a_conflict_if_a_result_would_be_another_one(
    nats_server: NatsServer,
) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):
        get, items, put = store.documents("d").get, store.documents("d").items, other.documents("d").put
        late: dict[str, list[Step]] = {
            "the document 'k'": [lambda: get("k"), rival(store, lambda: put("k", b"2"))],
            "documents of d": [items, lambda: get("k"), lambda: put("l", b"2")],
        }
        for name, steps in late.items():
            with pytest.raises(ReadConflict, match=name):
                await transact(store, *steps, immediate=True)
        assert await transact(store, lambda: get("k"), lambda: get("l"), immediate=True) == [b"2", b"2"]


async def test_an_immediate_transaction_ends_with_the_error_that_a_call_would_raise_by_now(
    nats_server: NatsServer,
) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):
        await store.documents("d").put("k", b"1")
        late: dict[type[Exception], list[Step]] = {
            AlreadyHandled: [lambda: store.inbox.add("a"), rival(store, lambda: other.inbox.add("a"))],
            DocumentConflict: [
                lambda: store.documents("d").swap("k", b"2", expected=b"1"),
                rival(store, lambda: other.documents("d").put("k", b"3")),
            ],
        }
        for error, steps in late.items():
            with pytest.raises(error):
                await transact(store, lambda: fold(store, 1), *steps, immediate=True)
        assert await total(store) is None


async def test_errors_of_an_immediate_transaction_are_results_too(nats_server: NatsServer) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):
        await store.inbox.add("a")
        refusal = refused(lambda: store.inbox.add("a"), AlreadyHandled)
        await transact(store, refusal, lambda: fold(store, 1), rival(store, lambda: fold(other, 2)), immediate=True)
        assert await total(store) == b"3"
        forget = rival(store, lambda: other.stream.purge(store.subjects.inbox("a")))
        with pytest.raises(ReadConflict, match="add id"):
            await transact(store, refusal, forget, immediate=True)


async def test_an_immediate_transaction_reads_its_own_writes(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        documents = store.documents("d")
        await documents.put_many({"a": b"1", "b": b"1", "c": b"1"})
        async with store.transaction(immediate=True):
            await documents.put("d", b"2")
            await documents.delete("a")
            assert await documents.items() == [("b", b"1"), ("c", b"1"), ("d", b"2")]
            assert await documents.items("a", 1) == [("b", b"1")]
            assert await store.cache.add("k", b"1", 100) and not await store.cache.add("k", b"2", 100)
            assert await store.locks.acquire("k", 100, "me")
            assert await store.locks.renew("k", 100, "me")
        assert await store.cache.get("k") == b"1"
        assert not await store.locks.acquire("k", 100, "other")


async def test_an_immediate_transaction_in_which_a_savepoint_failed_is_not_planned_anew(
    nats_server: NatsServer,
) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):

        async def fail() -> None:
            await transact(store, lambda: fold(store, 1))
            raise ZeroDivisionError

        failed = refused(lambda: transact(store, fail), ZeroDivisionError)
        await transact(store, failed, lambda: fold(store, 1), immediate=True)
        late = rival(store, lambda: fold(other, 2))
        with pytest.raises(ReadConflict):
            await transact(store, failed, lambda: fold(store, 1), late, immediate=True)
        assert await total(store) == b"3"


@both
async def test_it_has_no_sql(nats_server: NatsServer, immediate: bool) -> None:
    # NA-30
    async with open_store(nats_server) as store, store.transaction(immediate=immediate) as tx:
        for call in (tx.execute("SELECT 1"), tx.execute_many("SELECT 1", []), tx.fetch("SELECT 1")):
            with pytest.raises(SqlNotSupported, match="NatsStore, which has no SQL"):
                await call


async def test_calls_that_cannot_be_deferred_are_refused(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        transaction: Any = store.transaction()
        with pytest.raises(NotEntered):
            await transaction.__aexit__(None, None, None)
        async with store.transaction():
            with pytest.raises(ResultNeeded):
                store.transaction(immediate=True)
            with pytest.raises(ResultNeeded, match="test"):
                await store.access("test").write_for_result("test", fold)
            assert await store.locks.acquire("k", 100, "me")  # at once, outside of it

            async def other() -> None:
                with pytest.raises(TransactionInUse):
                    await store.inbox.has("a")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other)


async def test_an_immediate_transaction_has_limited_time(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        put = lambda: store.documents("d").put("k", b"1")  # noqa: E731
        with pytest.raises(TransactionTimeout):
            await transact(store, put, anyio.sleep_forever, immediate=True, max_seconds=0.05)
        assert await store.documents("d").get("k") is None


async def test_a_commit_that_has_no_answer_when_the_time_is_over_has_an_unknown_outcome(
    nats_server: NatsServer,
) -> None:
    # NA-30
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as cut,
    ):

        async def put(seconds: float) -> None:
            proxy.to_client = lambda data: data
            async with cut.transaction(immediate=True, max_seconds=seconds):
                await cut.queue("orders").put(Item(b"1", id="1"))
                proxy.to_client = lambda data: b""

        await cut.queue("orders").put(Item(b"0", id="0"))
        outcome = await outcome_of(put)
        proxy.to_client = lambda data: data
        assert outcome.ids == ("1",)
        assert (await store.queue("orders").stats()).ready == 2


async def test_a_commit_that_was_refused_and_is_to_be_tried_again_is_rolled_back_when_the_time_is_over(
    nats_server: NatsServer,
) -> None:
    # NA-30
    async def try_again(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Have the turn of a commit that is tried again."""
        async with store._open_committer()._turns:
            task_status.started()
            await anyio.sleep_forever()

    async with two_stores(nats_server) as (store, other):
        async with anyio.create_task_group() as tasks:
            await tasks.start(try_again)
            with pytest.raises(TransactionTimeout):  # noqa: PT012  # the end of the block may raise
                async with store.transaction(immediate=True, max_seconds=0.5):
                    await fold(store, 1)
                    await fold(other, 2)
            tasks.cancel_scope.cancel()
        assert await total(store) == b"2"


async def test_an_operation_that_is_always_too_late_ends(nats_server: NatsServer) -> None:
    # NA-30
    async with two_stores(nats_server) as (store, other):
        store.stream.requests.timeout = 0.2

        async def count(overlay: Overlay) -> None:
            await overlay.last(subject)
            overlay.write(Write(subject, {}))
            await other.stream.commit([Write(subject, {})])

        subject = f"{store.subjects.prefix}z.a"
        with pytest.raises(StoreBusy, match="faster"):
            await store.access("test").write(count)


async def test_work_after_a_commit_is_told_the_sequences(nats_server: NatsServer) -> None:
    # NA-30
    told: list[Mapping[str, int]] = []

    async def write(overlay: Overlay) -> None:
        for name in "ab":
            overlay.write(Write(prefix + name, {}))
        overlay.after_commit(told.append)

    async with open_store(nats_server) as store:
        prefix = f"{store.subjects.prefix}z."
        await store.access("test").write(write)
        records = await store.stream.page(f"{prefix}*")
        assert told == [{record.subject: record.sequence for record in records}]


async def test_an_immediate_transaction_keeps_no_other_writers_off_and_loses_no_update(nats_server: NatsServer) -> None:
    """Two tests of the suite, which the slow tests run whole."""
    suite = test_records.TestNatsStorage()
    suite.server = nats_server
    await suite.test_other_writers_wait_for_an_immediate_transaction_or_it_is_a_conflict()
    await suite.test_no_update_is_lost()
