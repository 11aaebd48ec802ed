"""Values beyond the limits of SQLite are refused by an error that names the argument, before anything is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modd import InvalidOption
from modd.ports import Claim, Item, LeaseLost, Tagged
from modd.stores import SqliteStore

pytestmark = pytest.mark.anyio

HALF = "a\ud800"
BIG = 2**63
INSERT = "INSERT INTO modd_inbox (id, at) VALUES (?, ?)"
Call = Callable[[SqliteStore, Any], Awaitable[Any]]

HALF_CHARACTERS: list[tuple[str, Call]] = [
    ("id", lambda store, tx: store.queue("q").put(Item(b"", id=HALF))),
    ("key", lambda store, tx: store.outbox.put(Item(b"", key=HALF))),
    ("headers", lambda store, tx: store.queue("q").put(Item(b"", {"a": HALF}))),
    ("headers", lambda store, tx: store.events.append("s", [Item(b"", {HALF: "a"})], 0)),
    ("name", lambda store, tx: store.queue(HALF).stats()),
    ("id", lambda store, tx: store.queue("q").cancel(HALF)),
    ("id", lambda store, tx: store.queue("q").redrive("a", HALF)),
    ("id", lambda store, tx: store.queue("q").discard(HALF)),
    ("stream", lambda store, tx: store.events.append(HALF, [b"a"], 0)),
    ("stream", lambda store, tx: store.events.read(HALF).__anext__()),
    ("tags", lambda store, tx: store.events.append("s", [Item(b"", tags=("a", HALF))], 0)),
    ("stream", lambda store, tx: store.events.append_where(HALF, [b"a"], Tagged("a"), 0)),
    ("tags", lambda store, tx: store.events.read_where(Tagged(HALF)).__anext__()),
    ("types", lambda store, tx: store.events.read_where(Tagged("a", types=[HALF])).__anext__()),
    ("stream", lambda store, tx: store.events.pages(HALF).__anext__()),
    ("stream", lambda store, tx: store.events.save_snapshot(HALF, 1, b"a")),
    ("stream", lambda store, tx: store.events.snapshot(HALF)),
    ("key", lambda store, tx: store.cache.get(HALF)),
    ("key", lambda store, tx: store.cache.set(HALF, b"", 1)),
    ("key", lambda store, tx: store.cache.add(HALF, b"", 1)),
    ("key", lambda store, tx: store.cache.delete(HALF)),
    ("key", lambda store, tx: store.locks.acquire(HALF, 1, "t")),
    ("token", lambda store, tx: store.locks.acquire("k", 1, HALF)),
    ("key", lambda store, tx: store.locks.renew(HALF, 1, "t")),
    ("token", lambda store, tx: store.locks.release("k", HALF)),
    ("id", lambda store, tx: store.inbox.add(HALF)),
    ("id", lambda store, tx: store.inbox.has(HALF)),
    ("sql", lambda store, tx: tx.execute(f"SELECT '{HALF}'")),
    ("parameters[0]", lambda store, tx: tx.execute(INSERT, (HALF, 1))),
    ("parameters[1]", lambda store, tx: tx.execute_many(INSERT, [("a", 1), (1, HALF)])),
    ("parameters[0]", lambda store, tx: tx.execute_many(INSERT, [[HALF, 1], ("a", 1)])),
    ("parameters['id']", lambda store, tx: tx.fetch("SELECT :id", {"id": HALF})),
]

TOO_LARGE: list[tuple[str, Call]] = [
    ("len(body)", lambda store, tx: store.queue("q").put(bytes(10**9))),
    ("len(body)", lambda store, tx: store.queue("q").put(Item(bytes(10**9)))),
    ("len(body)", lambda store, tx: store.outbox.put(bytes(10**9))),
    ("len(body)", lambda store, tx: store.events.append("s", [bytes(10**9)], 0)),
    ("len(body)", lambda store, tx: store.events.append_where("s", [bytes(10**9)], Tagged("a"), 0)),
    ("len(body)", lambda store, tx: store.events.save_snapshot("s", 1, bytes(10**9))),
    ("len(value)", lambda store, tx: store.cache.set("k", bytes(10**9), 1)),
    ("len(value)", lambda store, tx: store.cache.add("k", bytes(10**9), 1)),
    ("len(parameters[1])", lambda store, tx: tx.execute(INSERT, ("a", bytes(10**9)))),
    ("revision", lambda store, tx: store.events.save_snapshot("s", BIG, b"")),
    ("parameters[1]", lambda store, tx: tx.execute(INSERT, ("a", BIG))),
    ("parameters[0]", lambda store, tx: tx.fetch("SELECT ?", (-BIG - 1,))),
]


# DR-2
@pytest.mark.costly
@pytest.mark.parametrize("immediate", [False, True])
@pytest.mark.parametrize(("option", "call"), [*HALF_CHARACTERS, *TOO_LARGE])
async def test_a_value_beyond_the_limits_is_an_error_that_names_it(
    option: str, call: Call, immediate: bool, tmp_path: Path
) -> None:
    async with SqliteStore(tmp_path / "a.db") as store:
        async with store.transaction(immediate=immediate) as tx:
            with pytest.raises(InvalidOption, match=r"half characters|at most [\d,]+ bytes|at most 64 bits") as caught:
                await call(store, tx)
        assert caught.value.option == option
        assert await store.queue("q").put(b"and it goes on")


# DR-2
async def test_values_at_the_limits_are_taken(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "a.db") as store:
        queue = store.queue("häßlich")
        await queue.put(Item(b"a", {"é": "\U0001f600"}, key="ü", id="\x00"))
        [claim] = await queue.claim(2**70, 10)
        await queue.bury(claim, f"no {HALF}")
        assert [(dead.id, dead.reason) for dead in await queue.dead(2**70)] == [("\x00", "no a\\ud800")]
        assert await store.outbox.claim(2**70, 10) == []
        async with store.transaction() as tx:
            assert await tx.fetch("SELECT ?, ?, ?, ?", (2**63 - 1, -(2**63), b"b", None)) == [
                (2**63 - 1, -(2**63), b"b", None)
            ]


# DR-2
@pytest.mark.parametrize("token", [f"{BIG:x}.1", f"1.{BIG:x}", "no"])
async def test_a_claim_of_another_store_is_lost_whatever_its_token(token: str, tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "a.db") as store:
        with pytest.raises(LeaseLost):
            await store.queue("q").ack(Claim("a", b"", {}, None, 1, token))


# DR-2
async def test_keys_and_values_of_other_types_are_refused(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "a.db") as store:
        with pytest.raises(InvalidOption, match="key=3: give a text"):
            await store.locks.acquire(3, 1, "t")  # type: ignore[arg-type]
        with pytest.raises(InvalidOption, match=r"value=.*give bytes"):
            await store.cache.set("k", "text", 1)  # type: ignore[arg-type]
