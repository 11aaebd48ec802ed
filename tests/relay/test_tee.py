"""A relay with several targets."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption
from modd.ports import Item
from modd.relay import Relay, Tee
from modd.stores import MemoryOutbox, MemoryQueue, MemoryStore
from tests.relay.places import Joined, Refused, Unsteady, bodies

pytestmark = pytest.mark.anyio


async def ids(queue: Any) -> list[str]:
    return [claim.id for claim in await queue.claim(100, 60)]


async def test_each_target_gets_all_items_in_order_with_the_same_ids() -> None:
    # FE-8
    first, second = MemoryQueue(), MemoryQueue()
    given = await Tee(first, second).put(b"1", Item(b"2", id="two", key="k", headers={"type": "Paid"}), b"3")
    assert given[1] == "two" and len(set(given)) == 3
    claims = [await queue.claim(9, 60) for queue in (first, second)]
    assert [[claim.id for claim in each] for each in claims] == [given, given]
    assert [claim.body for claim in claims[1]] == [b"1", b"2", b"3"]
    assert (claims[1][1].key, claims[1][1].headers) == ("k", {"type": "Paid"})


async def test_a_target_that_fails_fails_the_put_and_a_second_try_puts_nothing_twice() -> None:
    # FE-8
    outbox, first, last = MemoryOutbox(), MemoryQueue(), MemoryQueue()
    second = Unsteady(MemoryQueue())
    relay = Relay(outbox, Tee(first, second, last))
    await outbox.put(b"1", b"2")
    second.down = {"put"}
    with pytest.raises(Refused):
        await relay.pass_on()
    assert (await last.stats()).ready == 0
    second.down = set()
    assert await relay.pass_on() == 2
    assert [await bodies(queue) for queue in (first, second.place, last)] == [[b"1", b"2"]] * 3


async def test_targets_of_the_store_of_the_outbox_are_put_into_in_its_transaction() -> None:
    # FE-8
    store, other = Joined(), MemoryStore()
    await store.outbox.put(b"1")
    relay = Relay(store.outbox, Tee(store.queue, other.queue("copies")))
    store.down = True
    with pytest.raises(Refused):
        await relay.pass_on()
    assert await bodies(store.queue) == []
    store.down = False
    assert await relay.pass_on() == 1
    assert await ids(other.queue("copies")) == await ids(store.queue)
    assert store.commits == 1


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ((), "at least one queue or feed"),
        ((MemoryQueue(), object()), "something else with its put"),
        ((MemoryQueue(),) * 2, "it comes twice"),
    ],
)
def test_a_tee_without_a_target_or_with_one_that_cannot_work_is_refused(targets: Any, words: str) -> None:
    # FE-8
    with pytest.raises(InvalidOption, match=words):
        Tee(*targets)


def test_the_outbox_of_a_relay_is_no_target_behind_a_tee_either() -> None:
    # FE-8
    store = MemoryStore()
    for tee in (Tee(store.queue("a"), store.outbox), Tee(Tee(store.outbox))):
        with pytest.raises(InvalidOption, match="it is the outbox itself"):
            Relay(store.outbox, tee)


def test_a_tee_is_shown_with_its_targets() -> None:
    queue = MemoryQueue()
    assert repr(Tee(queue, MemoryQueue())).startswith(f"Tee({queue!r}, ")
