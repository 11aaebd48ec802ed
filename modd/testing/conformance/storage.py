"""The conformance suite for stores that have all ports: atomicity and isolation of their transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import anyio
import pytest

from modd.concurrency.blocks import async_block
from modd.errors import ModdError
from modd.ports.errors import AlreadyHandled, Conflict, DocumentConflict, LeaseLost, ReadConflict, RevisionConflict
from modd.ports.feed import Feed
from modd.ports.items import HANDLER, Claim, Item, Subscription
from modd.ports.queue import Queue
from modd.ports.storage import Storage
from modd.testing.conformance.base import Suite, bodies
from modd.testing.conformance.documents import add_up, encode_number

both = pytest.mark.parametrize("immediate", [False, True])

LOST = Claim("gone", b"", {}, None, 1, "1.1")

ALL = ["events", "snapshot", "document", "documents", "folded", "inbox", "feed", "outbox", "queue"]
"""The parts in which `write_everywhere` writes."""

Fail: TypeAlias = Callable[[Storage], Awaitable[object]]


async def append_wrongly(store: Storage) -> None:
    """Append to a stream at a revision that it is not at."""
    await store.events.append("before", [b"1"], 7)


async def handle_again(store: Storage) -> None:
    """Note an id that was noted before."""
    await store.inbox.add("before")


async def settle_wrongly(store: Storage) -> None:
    """Settle a claim that is lost."""
    await store.queue("orders").ack(LOST)


async def break_off(store: Storage) -> None:
    """Raise an error of the block."""
    raise ZeroDivisionError


failures = pytest.mark.parametrize(
    ("fail", "error"),
    [
        (break_off, ZeroDivisionError),
        (append_wrongly, RevisionConflict),
        (handle_again, AlreadyHandled),
        (settle_wrongly, LeaseLost),
    ],
)


class StorageConformance(Suite[Storage]):
    """The promises of `modd.ports.Storage`; those of each part are in the suite of its port."""

    holds_writers_off: bool = True
    """True if other writers wait for an immediate transaction, so that it never ends with `Conflict`. False for a store
    that cannot keep them off, such as one on a server: such a transaction is a conflict if what it has read changed."""

    @both
    async def test_all_that_a_transaction_writes_is_committed_together(self, immediate: bool) -> None:
        """Nothing is there before the end of the block, for others, and everything after it."""
        async with self.create() as store, outside() as do:
            async with store.transaction(immediate=immediate):
                await write_everywhere(store, "a")
                assert await do(written, store, "a") == []
            assert await written(store, "a") == ALL

    @both
    @failures
    async def test_if_one_thing_fails_nothing_is_written(self, fail: Fail, error: Any, immediate: bool) -> None:
        """The block fails with its error; what was there stays, and the same can be written afterwards."""
        async with self.create() as store:
            await write_everywhere(store, "before")
            await transact(store, "before-too", immediate=immediate)
            with pytest.raises(error):
                await transact(store, "a", fail, immediate=immediate)
            assert await written(store, "a") == []
            assert await written(store, "before") == await written(store, "before-too") == ALL
            await transact(store, "a", immediate=immediate)
            assert await written(store, "a") == ALL

    @both
    async def test_a_savepoint_that_fails_drops_its_own_writes(self, immediate: bool) -> None:
        """A block within a block is a savepoint, too."""
        async with self.create() as store:
            async with store.transaction(immediate=immediate) as tx:
                await write_everywhere(store, "a")
                with suppress(ZeroDivisionError):
                    async with tx.savepoint():
                        await transact(store, "b")
                        await transact(store, "c", break_off)
                with suppress(ZeroDivisionError):
                    await transact(store, "d", break_off)
                await transact(store, "e")
            assert [await written(store, name) for name in "abcde"] == [ALL, [], [], [], ALL]

    @both
    async def test_a_block_that_is_cancelled_writes_nothing(self, immediate: bool) -> None:
        """And the next one goes on."""
        async with self.create() as store:
            with anyio.CancelScope() as scope:
                async with store.transaction(immediate=immediate):
                    await write_everywhere(store, "a")
                    scope.cancel()
                    await anyio.sleep_forever()
            await transact(store, "b", immediate=immediate)
            assert [await written(store, name) for name in "ab"] == [[], ALL]

    async def test_an_immediate_transaction_reads_its_own_writes(self) -> None:
        """And a deferred one does not; calls that need a result work in the immediate one."""
        async with self.create() as store:
            async with store.transaction():
                await write_everywhere(store, "a")
                assert await written(store, "a", settle=False) == []
            async with store.transaction(immediate=True):
                await write_everywhere(store, "b")
                assert await written(store, "b", settle=False) == ALL[:-2]
                claims = await store.queue("orders").claim(9, 100 * self.tick)
                assert [claim.id for claim in claims] == ["a", "b"]
                assert [claim.id for claim in await store.outbox.claim(9, 100 * self.tick)] == ["a", "b"]

    async def test_claims_are_undone_with_an_immediate_transaction(self) -> None:
        """Their items can be claimed again, in their order, with their attempts and keys as they were."""
        async with self.create() as store:
            queue = store.queue("orders")
            await queue.put(Item(b"1", key="k", id="1"), Item(b"2", key="k", id="2"), Item(b"3", id="3"))
            await store.outbox.put(b"1", b"2")
            with suppress(ZeroDivisionError):
                async with store.transaction(immediate=True):
                    first, third = await queue.claim(9, 100 * self.tick)
                    await queue.ack(first)
                    await queue.bury(third, "broken")
                    await queue.claim(9, 100 * self.tick)
                    await store.outbox.ack(*await store.outbox.claim(9, 100 * self.tick))
                    raise ZeroDivisionError
            claims = await queue.claim(9, 100 * self.tick)
            assert [(claim.id, claim.attempt) for claim in claims] == [("1", 1), ("3", 1)]
            assert await queue.dead() == []
            assert [claim.body for claim in await store.outbox.claim(9, 100 * self.tick)] == [b"1", b"2"]

    async def test_all_that_is_done_to_a_queue_is_undone(self) -> None:
        """Claims, delays, dead letters in their order, items that were left, announced handlers."""
        handler = Subscription("bus", "Placed", "send")
        async with self.create() as store:
            queue = store.queue("orders")
            await queue.put(*[Item(b"1", {HANDLER: "send"}, id=id) for id in "abcdef"], Item(b"1", id="x", delay=9))
            claims = {claim.id: claim for claim in await queue.claim(5, 100 * self.tick)}
            await queue.bury(claims["a"], "first")
            await queue.bury(claims["b"], "second")
            assert await queue.leave(claims["c"], "Placed", 100 * self.tick)
            await queue.announce(handler, retention=100 * self.tick)
            before = await self._state_of(queue)
            with suppress(ZeroDivisionError):
                async with store.transaction(immediate=True):
                    await self._change(queue, claims["d"], claims["e"])
                    raise ZeroDivisionError
            assert await self._state_of(queue) == before
            await queue.ack(claims["d"], claims["e"])
            assert [claim.id for claim in await queue.claim(9, 100 * self.tick)] == ["f"]
            assert [claim.id for claim in await queue.claim_left(["Placed"], 9, 100 * self.tick)] == ["c"]

    async def _change(self, queue: Queue, first: Claim, second: Claim) -> None:
        assert await queue.redrive("a") == ["a"] and await queue.discard("b") == ["b"]
        assert await queue.cancel("x") == ["x"]
        [left] = await queue.claim_left(["Placed"], 9, 100 * self.tick)
        await queue.bury(left, "third")
        await queue.extend(first, 200 * self.tick)
        await queue.retry(first, 50 * self.tick)
        assert await queue.fan_out(second, ["Placed"], lambda handlers: [Item(b"2")] * len(handlers)) == 1
        assert [claim.id for claim in await queue.claim(1, 100 * self.tick)] == ["f"]
        await queue.announce(Subscription("bus", "Paid", "send"), retention=100 * self.tick)
        assert await queue.forget("send") > 0
        assert await queue.clear() > 0

    async def _state_of(self, queue: Queue) -> object:
        handlers = [(each.bus, each.type, each.handler) for each in await queue.subscriptions()]
        return await queue.stats(), await queue.dead(), handlers

    async def test_an_answer_to_a_cancel_that_is_not_true_at_the_commit_is_a_conflict(self) -> None:
        """In a deferred transaction: as for an item that the block itself has put before."""
        async with self.create() as store:
            queue = store.queue("timers")
            await queue.put(Item(b"1", id="a"))
            async with store.transaction():
                assert await queue.cancel("a", "b") == ["a"]
            with pytest.raises(ReadConflict):
                await self._put_and_cancel(store, queue)
            assert (await queue.stats()).ready == 0

    async def _put_and_cancel(self, store: Storage, queue: Queue) -> None:
        async with store.transaction():
            await queue.put(Item(b"1", id="b"))
            assert await queue.cancel("b") == []

    async def test_locks_and_the_cache_take_part_in_an_immediate_transaction_only(self) -> None:
        """In a deferred one their writes are visible at once, and stay if it fails."""
        async with self.create() as store, outside() as do:
            for immediate, expected in ((False, b"1"), (True, None)):
                with suppress(ZeroDivisionError):
                    async with store.transaction(immediate=immediate):
                        await store.cache.set("k", b"1", 100 * self.tick)
                        assert await store.locks.acquire("k", 100 * self.tick, "me")
                        assert await do(store.cache.get, "k") == expected
                        raise ZeroDivisionError
                assert await store.cache.get("k") == expected
                assert await store.locks.renew("k", 100 * self.tick, "me") is (expected is not None)
                await store.cache.delete("k")
                await store.locks.release("k", "me")

    async def test_a_transaction_that_has_read_a_stream_that_grew_is_a_conflict(self) -> None:
        """Nothing of it is written."""
        async with self.create() as store, outside() as do:
            with pytest.raises(ReadConflict):
                await self._decide(store, do)
            assert (await store.queue("mails").stats()).ready == 0

    async def _decide(self, store: Storage, do: Any) -> None:
        async with store.transaction():
            assert await bodies(store.events.read("cart")) == []
            await do(store.events.append, "cart", [b"added"], 0)
            await store.queue("mails").put(b"the cart is empty")

    async def test_a_read_of_anything_that_has_changed_is_a_conflict(self) -> None:
        """All events, a snapshot, an id of the inbox, documents, a feed, the numbers of a queue, its dead letters."""
        reads: list[Callable[[Storage], Awaitable[object]]] = [
            lambda store: bodies(store.events.read_all()),
            lambda store: store.events.snapshot("a"),
            lambda store: store.inbox.has("a"),
            lambda store: store.documents("states").get("a"),
            lambda store: store.documents("states").get_many(["b", "a"]),
            lambda store: store.documents("states").items(),
            lambda store: store.feed("public").span(),
            lambda store: store.queue("orders").stats(),
            lambda store: store.queue("dead").dead(),
        ]
        for read in reads:
            async with self.create() as store, outside() as do:
                await store.queue("dead").put(b"1")
                with pytest.raises(Conflict):
                    await self._read_beside(store, do, read)
                assert await bodies(store.events.read("other")) == []

    async def _read_beside(self, store: Storage, do: Any, read: Callable[[Storage], Awaitable[object]]) -> None:
        async with store.transaction():
            await read(store)
            await do(self._change_all, store)
            await store.events.append("other", [b"1"], 0)

    async def _change_all(self, store: Storage) -> None:
        await write_everywhere(store, "a")
        [claim] = await store.queue("dead").claim(1, 100 * self.tick)
        await store.queue("dead").bury(claim, "broken")

    async def test_other_streams_and_ids_are_no_conflict(self) -> None:
        """Of all that was read nothing has changed."""
        async with self.create() as store, outside() as do:
            async with store.transaction():
                assert await bodies(store.events.read("cart")) == []
                assert await store.events.snapshot("cart") is None
                assert not await store.inbox.has("cart")
                assert await store.documents("states").get("cart") is None
                await do(write_everywhere, store, "order")
                await store.events.append("cart", [b"added"], 0)
            assert await bodies(store.events.read("cart")) == [b"added"]

    async def test_no_update_is_lost(self) -> None:
        """Ten that read a number and write it one higher, each again after a conflict, count to ten."""

        async def count_up() -> None:
            try:
                await increase(immediate=False)
            except Conflict:
                await increase_at_last()

        async def increase_at_last() -> None:
            while True:
                try:
                    return await increase(immediate=True)
                except Conflict:  # pragma: no cover  # on a server, and by chance
                    assert not self.holds_writers_off

        async def increase(immediate: bool) -> None:
            async with store.transaction(immediate=immediate):
                snapshot = await store.events.snapshot("count")
                number = 0 if snapshot is None else int(snapshot.body)
                await anyio.lowlevel.checkpoint()
                await store.events.save_snapshot("count", 0, b"%d" % (number + 1))

        async with self.create() as store:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(count_up)
            snapshot = await store.events.snapshot("count")
            assert snapshot is not None and snapshot.body == b"10"

    async def test_folds_of_transactions_that_overlap_lose_nothing(self) -> None:
        """And none is a conflict; a swap that comes too late is one, and nothing of its transaction is written."""
        async with self.create() as store, outside() as do:
            sums, states = store.documents("sums"), store.documents("states")
            async with store.transaction():
                await sums.fold([("a", 1)], add_up, int, encode_number)
                await do(sums.fold, [("a", 2)], add_up, int, encode_number)
                assert await sums.get("b") is None
                await sums.fold([("a", 3), ("b", 1)], add_up, int, encode_number)
            assert await sums.items() == [("a", b"6"), ("b", b"1")]

            async def swap_too_late() -> None:
                async with store.transaction():
                    await sums.fold([("a", 10)], add_up, int, encode_number)
                    await states.swap("a", b"1", None)
                    await do(states.put, "a", b"2")

            with pytest.raises(DocumentConflict):
                await swap_too_late()
            assert (await sums.get("a"), await states.get("a")) == (b"6", b"2")

    async def test_bodies_that_are_changed_after_they_were_put_are_stored_as_they_were(self) -> None:
        """Also in a transaction that defers its writes."""
        async with self.create() as store:
            bodies: dict[str, bytes | None] = {"a": b"1"}
            async with store.transaction():
                await store.documents("states").put_many(bodies)
                bodies.update(a=None, b=b"2")
            assert await store.documents("states").items() == [("a", b"1")]

    async def test_spaces_have_documents_of_their_own(self) -> None:
        """Under the same keys."""
        async with self.create() as store:
            await store.documents("a").put("k", b"1")
            await store.documents("b").put("k", b"2")
            assert [await store.documents(space).items() for space in ("a", "b", "c")] == [
                [("k", b"1")],
                [("k", b"2")],
                [],
            ]

    async def test_readers_do_not_wait_for_an_immediate_transaction(self) -> None:
        """They see the state before it."""
        async with self.create() as store, outside() as do:
            await write_everywhere(store, "before")
            async with store.transaction(immediate=True):
                await write_everywhere(store, "a")
                await store.queue("orders").claim(1, 100 * self.tick)
                for _ in range(3):
                    assert await do(written, store, "a", False) == []
                    assert (await do(store.queue("orders").stats)).ready == 1
                    assert await bodies(store.events.read("a")) == [b"1", b"2"]
            assert await written(store, "a", settle=False) == ALL[:-2]

    async def test_other_writers_wait_for_an_immediate_transaction_or_it_is_a_conflict(self) -> None:
        """A writer goes on when it ends. Where none is held off, it writes nothing if its reads have changed."""
        begun, done = anyio.Event(), anyio.Event()

        async def append_beside(store: Storage, revision: int) -> None:
            await begun.wait()
            await store.events.append("a", [b"3"], revision)
            done.set()

        async def append() -> None:
            async with store.transaction(immediate=True):
                await store.events.append("a", [b"1", b"2"], 0)
                begun.set()
                if self.holds_writers_off:
                    await anyio.lowlevel.checkpoint()
                else:
                    await done.wait()

        async with self.create() as store, anyio.create_task_group() as tasks:
            if self.holds_writers_off:
                tasks.start_soon(append_beside, store, 2)
                await append()
                await done.wait()
                assert await bodies(store.events.read("a")) == [b"1", b"2", b"3"]
            else:
                tasks.start_soon(append_beside, store, 0)
                with pytest.raises(Conflict):
                    await append()
                assert await bodies(store.events.read("a")) == [b"3"]

    async def test_a_task_that_waits_is_woken_by_the_commit(self) -> None:
        """At a queue and at the outbox; a rollback leaves it waiting."""

        async def wait(part: Any) -> None:
            await part.wait(100 * self.tick)
            woken.append(part)

        async with self.create() as store:
            for immediate in (False, True):
                woken = list[Any]()
                parts: list[Any] = [store.queue(f"mails {immediate}"), store.outbox]
                with anyio.fail_after(50 * self.tick):
                    async with anyio.create_task_group() as tasks:
                        for part in parts:
                            tasks.start_soon(wait, part)
                        await anyio.lowlevel.checkpoint()
                        async with store.transaction(immediate=immediate):
                            await parts[0].put(b"1")
                            await parts[1].put(b"1")
                            assert woken == []
                assert len(woken) == 2
                await store.outbox.ack(*await store.outbox.claim(9, 100 * self.tick))

    async def test_parts_tell_their_store(self) -> None:
        """So that workers and relays know what is committed together."""
        async with self.create() as store:
            parts = (store.events, store.inbox, store.outbox, store.cache, store.locks)
            for part in (*parts, store.queue("orders"), store.documents("states"), store.feed("public")):
                member: Any = part
                assert member.store is store
                async with member.transaction() as tx, store.transaction() as inner:
                    assert inner is tx
            assert store.queue("orders") is store.queue("orders")
            assert store.documents("states") is store.documents("states")
            assert store.feed("public") is store.feed("public")

    async def test_another_task_inside_the_block_is_an_error(self) -> None:
        """It never hangs, and the block goes on."""

        async def other() -> None:
            for call in (store.events.append("b", [b"1"], 0), store.inbox.has("b"), transact(store, "b")):
                with pytest.raises(ModdError):
                    await call

        async with self.create() as store:
            for immediate in (False, True):
                async with store.transaction(immediate=immediate):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(other)
                    await write_everywhere(store, f"{immediate}")
                assert await written(store, f"{immediate}") == ALL


async def write_everywhere(store: Storage, name: str) -> None:
    """Write something in each part that takes part in every transaction."""
    assert await store.events.append(name, [b"1", b"2"], 0) == 2
    await store.events.save_snapshot(name, 2, b"3")
    await store.documents("states").put(name, b"1")
    await store.documents("many").put_many({name: b"1"})
    await store.documents("sums").fold([(name, 1)], add_up, int, encode_number)
    await store.inbox.add(name)
    await store.feed("public").put(Item(b"1", id=name))
    await store.outbox.put(Item(b"1", id=name))
    await store.queue("orders").put(Item(b"1", id=name))


async def written(store: Storage, name: str, settle: bool = True) -> list[str]:
    """Return the parts that have something of the name; settle: look for items, too, by claims that are undone."""
    found = ["events"] * bool(await bodies(store.events.read(name)))
    found += ["snapshot"] * (await store.events.snapshot(name) is not None)
    found += ["document"] * (await store.documents("states").get(name) is not None)
    found += ["documents"] * (await store.documents("many").get(name) is not None)
    found += ["folded"] * (await store.documents("sums").get(name) is not None)
    found += ["inbox"] * await store.inbox.has(name)
    found += ["feed"] * await is_posted(store.feed("public"), name)
    return found + await items_of(store, name) if settle and found else found


async def is_posted(feed: Feed, id: str) -> bool:
    """Return True if a feed has an item of this id."""
    position, last = await feed.span()
    items, ids = feed.follow(position), list[str]()
    while position < last:
        item = await anext(items)
        position = item.position
        ids.append(item.id)
    return id in ids


async def items_of(store: Storage, name: str) -> list[str]:
    """Return the parts that have an item of the name to claim."""
    found: list[str] = []
    with suppress(ZeroDivisionError):
        async with store.transaction(immediate=True):
            parts: dict[str, Any] = {"outbox": store.outbox, "queue": store.queue("orders")}
            for part, items in parts.items():
                found += [part for claim in await items.claim(99, 100) if claim.id == name]
            raise ZeroDivisionError
    return found


async def transact(store: Storage, name: str, fail: Fail | None = None, **options: Any) -> None:
    """Write everywhere in a transaction, in which something may fail then."""
    async with store.transaction(**options):
        await write_everywhere(store, name)
        if fail is not None:
            await fail(store)


@async_block
async def outside() -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Run calls in a task that is in no transaction, though it is asked from inside of one."""
    send, receive = anyio.create_memory_object_stream[tuple[Any, Any, Any]](1)

    async def run() -> None:
        with receive:
            async for function, arguments, done in receive:
                done.append(await function(*arguments))
                done[0].set()

    async def do(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        done: list[Any] = [anyio.Event()]
        await send.send((function, arguments, done))
        await done[0].wait()
        return done[1]

    async with anyio.create_task_group() as tasks:
        with send:
            tasks.start_soon(run)
            yield do
