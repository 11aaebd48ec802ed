"""The view of a queue, and what its claims are compared with, for records in an order that a test chooses."""

from __future__ import annotations

import gc
import json
import tracemalloc
from typing import cast

import anyio
import pytest

from modd.nats.message import NatsMessage
from modd.ports import Item
from modd.stores import StoreBusy
from modd.stores.nats.access import NatsParts
from modd.stores.nats.consumer import StreamPlace, read_delivery
from modd.stores.nats.errors import WrongSequence
from modd.stores.nats.queue_lanes import LaneEnds
from modd.stores.nats.queue_picks import Pick
from modd.stores.nats.queue_records import QueueSubjects, item_name, lane_of
from modd.stores.nats.queue_view import QueueView
from modd.stores.nats.record import META, Record
from modd.stores.nats.store import NatsStore
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio

ITEMS = 2_000


class Script:
    """A view of the queue "orders" that sees the records of the server when the test wants it to."""

    def __init__(self, store: NatsStore) -> None:
        self.store, self.queue = store, store.queue("orders")
        self.subjects = QueueSubjects(store.subjects, "orders")
        self.view = QueueView(store, self.subjects)
        self.number = 0

    async def records(self) -> list[Record]:
        """Return what the server has."""
        return await self.store.stream.page(self.subjects.items)

    def begin(self) -> None:
        """Begin the view anew."""
        self.view.begin(self.store.clock())
        self.number = 0

    def show(self, *records: Record) -> None:
        """Have the view see records."""
        for record in records:
            self.number += 1
            message = NatsMessage(record.subject, record.body, {META: json.dumps(record.meta)})
            self.view.receive(message, StreamPlace(record.sequence, self.number, record.at))

    async def show_all(self) -> None:
        """Have the view, begun anew, see all that the server has."""
        self.begin()
        self.show(*await self.records())
        self.view.complete()

    def pick(self, limit: int = 1) -> list[Pick]:
        """Pick items for a claim."""
        return self.view.pick("claim", limit, (60.0, "last"))

    async def commit(self, pick: Pick) -> int:
        """Store the write of a pick."""
        return await self.store.stream.commit([pick.write])

    async def is_refused(self, pick: Pick) -> bool:
        """True if the server refuses the write of a pick."""
        with pytest.raises(WrongSequence):
            await self.commit(pick)
        return True


async def test_a_claim_is_compared_with_the_state_of_the_moment_in_which_it_was_picked(
    nats_server: NatsServer,
) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        script = Script(store)
        await script.queue.put(Item(b"1", id="1"), Item(b"2", id="2", key="k"))
        await script.show_all()
        picks = script.pick(2)
        for claim in await store.queue("orders").claim(2, 60):
            await script.queue.release(claim)
        script.show(*await script.records())  # the view knows the sequences now, and the picks do not
        assert [await script.is_refused(pick) for pick in picks] == [True, True]
        assert [pick.claim.body for pick in script.pick(2)] == [b"1", b"2"]


async def test_a_put_of_this_process_does_not_move_the_end_of_a_lane(nats_server: NatsServer) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        script = Script(store)
        await script.queue.put(Item(b"1", key="k"))
        await script.show_all()
        [claim] = await script.queue.claim(1, 60)  # by another process: the view has not seen it
        await script.queue.put(Item(b"2", key="k"))  # by this one
        [pick] = script.pick()
        assert pick.claim.body == b"1" and await script.is_refused(pick)
        await script.queue.ack(claim)
        claimed, put = [record for record in await script.records() if record.body in (b"", b"2")]
        script.show(*sorted((claimed, put), key=lambda record: record.sequence))
        [pick] = script.pick()
        assert pick.claim.body == b"2"
        assert await script.commit(pick) > put.sequence


async def test_of_one_key_one_item_is_claimed_also_by_views_that_have_seen_different_records(
    nats_server: NatsServer,
) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        here, there = Script(store), Script(store)
        await here.queue.put(*[Item(b"%d" % number, key="k") for number in range(3)])
        await here.show_all()
        await there.show_all()
        [first], [second] = here.pick(9), there.pick(9)
        here.view.picks.confirm(first, await here.commit(first))
        assert await there.is_refused(second)
        await here.queue.ack(first.claim)
        assert here.pick(9) == []  # the lane is free when the record comes by
        here.show(*[record for record in await here.records() if record.is_gone])
        [first] = here.pick(9)
        here.view.picks.confirm(first, await here.commit(first))
        assert first.claim.body == b"1"


async def test_an_item_that_is_gone_stays_gone_when_an_older_record_comes_later(nats_server: NatsServer) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        script = Script(store)
        await script.queue.put(Item(b"1", id="1"))
        old = await script.records()
        await script.queue.cancel("1")
        await script.show_all()
        script.show(*old)
        assert script.pick() == [] and script.view.stats().ready == 0


async def test_a_claim_of_this_process_is_not_undone_by_an_older_record(nats_server: NatsServer) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        script = Script(store)
        await script.queue.put(Item(b"1", key="k"), Item(b"2"))
        await script.show_all()
        [pick, _] = script.pick(2)
        script.view.picks.confirm(pick, await script.commit(pick))
        claimed = (await script.records())[-1]
        await script.queue.extend(pick.claim, 60)
        script.view.note(pick.claim.token, claimed.sequence, claimed.sequence + 1)
        script.show(claimed)
        script.view.note(pick.claim.token, claimed.sequence, 99)  # compared with an older record
        found = script.view.find(pick.claim.token)
        assert found is not None and found[1] == claimed.sequence + 1
        script.view.note("unknown", 1, 2)
        assert script.view.find("unknown") is None


async def test_a_view_that_is_made_anew_claims_nothing(nats_server: NatsServer) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        script = Script(store)
        await script.queue.put(Item(b"1", key="k"), Item(b"2", key="k"))
        await script.show_all()
        [pick] = script.pick()
        script.begin()
        assert script.pick() == []
        script.view.picks.confirm(pick, await script.commit(pick))  # of the view before
        script.view.picks.doubt(pick)
        records = await script.records()
        script.show(*[record for record in records if record.body == b"2"])
        assert script.pick() == []
        script.show(*[record for record in records if record.body == b"1"])
        script.view.complete()
        assert script.pick() == [] and not script.view.picks.doubts
        script.view.fail(WrongSequence())
        assert script.pick() == []


def test_the_end_of_a_lane_goes_back_only_if_it_has_not_moved_since() -> None:
    # NA-5
    ends, name = LaneEnds(), item_name("1", "k")
    ends.correct(name, 0, 1)
    ends.add(name)
    ends.move(name, 7)
    ends.correct(name, 6, 3)
    assert ends.last(lane_of(name)) == 7
    ends.correct(name, 7, 3)
    assert ends.last(lane_of(name)) == 3
    ends.remove(name)
    assert ends.last(lane_of(name)) == 0


@pytest.mark.parametrize(
    "reply",
    ["$JS.ACK.MODD_a.c.1.12.3.1500000000.4", "$JS.ACK.hub.AAA.MODD_a.c.1.12.3.1500000000.4.token"],
)
def test_the_place_of_a_message_is_read_from_its_reply(reply: str) -> None:
    # NA-5
    assert read_delivery(reply) == StreamPlace(12, 3, 1.5, 4)


class Unfollowed:
    """A store without tasks of its own: the test shows the records to a view."""

    def __init__(self, store: NatsStore) -> None:
        self.name, self.stream, self.clock, self.background = store.name, store.stream, store.clock, self

    def start_soon(self, *_: object) -> None:
        """Start nothing."""


async def test_a_view_is_waited_for_as_long_as_records_come(nats_server: NatsServer) -> None:
    # NA-41
    async with open_store(nats_server) as store:
        script, parts = Script(store), Unfollowed(store)
        await script.queue.put(*[b""] * 12)
        records = await script.records()
        script.view, waited = QueueView(cast("NatsParts", parts), script.subjects), anyio.Event()
        store.stream.requests.timeout = 0.5

        async def wait() -> None:
            await script.view.ready()
            waited.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            for record in records:  # more slowly than all of them may take
                await anyio.sleep(0.1)
                script.show(record)
            assert not waited.is_set()
            script.view.complete()
        assert waited.is_set() and len(script.pick(12)) == 12


async def test_a_view_that_is_made_anew_again_and_again_is_not_waited_for(nats_server: NatsServer) -> None:
    # NA-41
    async with open_store(nats_server) as store:
        script, parts = Script(store), Unfollowed(store)
        await script.queue.put(b"1", b"2")
        records = await script.records()
        script.view = QueueView(cast("NatsParts", parts), script.subjects)
        store.stream.requests.timeout = 0.5

        async def show_again_and_again() -> None:
            while True:
                script.begin()
                script.show(*records)
                await anyio.sleep(0.1)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show_again_and_again)
            with anyio.fail_after(60), pytest.raises(StoreBusy, match="longer timeout"):
                await script.view.ready()
            tasks.cancel_scope.cancel()


@pytest.mark.costly
async def test_an_item_takes_little_memory(nats_server: NatsServer) -> None:
    # NA-41
    async with open_store(nats_server) as store:
        script = Script(store)
        await script.queue.put(b"", b"1")
        first, second = await script.records()
        script.begin()
        script.show(first)
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(ITEMS):
                id = f"{number:032x}"
                subject, meta = script.subjects.item(item_name(id, None)), {**second.meta, "id": id}
                script.show(Record(subject, second.sequence + number, second.at, meta))
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert script.view.stats().ready == ITEMS + 1
        assert size / ITEMS <= 600
