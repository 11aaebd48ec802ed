"""How the database does the statements of events and documents: by an index, however many there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from modd.ports import Item, QueryConflict, RevisionConflict, Tagged
from modd.stores import PostgresStore
from modd.testing.conformance.documents import add_up, encode_number
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_store

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CONFIG = """
session_preload_libraries = 'auto_explain'
auto_explain.log_min_duration = 0
"""

FILL = """
INSERT INTO {0}.events SELECT n, CASE WHEN n % 2 = 0 THEN 'large' ELSE 's' || n % 5000 END::bytea,
    CASE WHEN n % 2 = 0 THEN n / 2 ELSE n / 5000 + 1 END, 0, NULL, 'body' FROM generate_series(1, 200000) AS n;
INSERT INTO {0}.event_tags SELECT 'all', n, 'T' FROM generate_series(1, 200000) AS n;
INSERT INTO {0}.event_tags SELECT ('tag' || n)::bytea, n, 'T' FROM generate_series(1, 200000) AS n;
INSERT INTO {0}.snapshots SELECT ('s' || n)::bytea, 1, 0, NULL, 'body' FROM generate_series(1, 20000) AS n;
INSERT INTO {0}.documents SELECT 'space', ('k' || n)::bytea, '1' FROM generate_series(1, 200000) AS n;
"""

SCAN = re.compile(r"Seq Scan on (events|event_tags|snapshots|documents)\b")


@pytest.fixture
def explaining_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server whose log has the plan of each statement."""
    with PostgresServer(tmp_path / "postgres", CONFIG, durable=False) as server:
        yield server


async def do_all(store: PostgresStore, number: int) -> None:
    """Call each method, at the beginning, in the middle and at the end of what there is."""
    events, documents, stream = store.events, store.documents("space"), f"new {number}"
    await events.append(stream, [Item(b"", {"type": "U"}, tags=("all", stream))] * 2, 0)
    with pytest.raises(RevisionConflict):
        await events.append("large", [b""], 0)
    last = await events.append_where(stream, [b""], Tagged("all", types=["U"]), await events.last())
    assert last is not None
    with pytest.raises(QueryConflict):
        await events.append_where(stream, [b""], Tagged("all", stream), last - 5)
    for after in (0, 100_000, last - 3):
        await anext(events.read("large", after), None)
        await anext(events.read_all(after))
        await anext(events.pages("large", after // 2), None)
        await events.page(after, 3_000)
        await events.page(after, 10, headers=False)
    assert [body async for _, body in events.pages("s7")] == [[b"body"] * 40]
    for query in (Tagged("all"), Tagged("all", "tag7"), Tagged("tag9", types=["T"]) | Tagged("all", types=["T", "V"])):
        await anext(events.read_where(query))
    await events.wait(last, 0.001)
    await events.save_snapshot("s1", number + 2, b"")
    await events.snapshot("s7")
    await documents.put(stream, b"1")
    assert len(await documents.get_many([f"k{n}" for n in range(1, 300)])) == 299
    await documents.get("k7")
    await documents.items("k5", 100)
    await documents.fold([("k8", 1), (f"{stream} fold", 1)], add_up, int, encode_number)
    await documents.swap(stream, b"2", b"1")
    await documents.put_many({stream: None, f"{stream} fold": None, "k9": b"3"})


@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_statement_goes_through_all_events_or_documents(
    explaining_server: PostgresServer, analyzed: bool
) -> None:
    # PG-61
    async with new_store(explaining_server) as store:
        name = store.schema.name
        explaining_server.execute(*FILL.format(name).split(";\n")[:-1], *["ANALYZE"] * analyzed)
        begin = len(explaining_server.log)
        for number in range(8):  # from the sixth time on the plan of a prepared statement knows no values
            await do_all(store, number)
        async with store.transaction():
            await do_all_reads(store)
            await store.documents("space").put("k1", b"")
    log = explaining_server.log[begin:]
    assert len(re.findall("Index (?:Only )?Scan", log)) > 200
    assert [line for line in log.splitlines() if SCAN.search(line)] == []


async def do_all_reads(store: PostgresStore) -> None:
    """Read in a deferred transaction, whose commit looks at the versions."""
    for after in (0, 100_000):
        await anext(store.events.read("large", after // 2))
        await anext(store.events.read_all(after))
        await anext(store.events.pages("large", after // 2))
        await store.events.page(after, 100)
        await anext(store.events.read_where(Tagged("all", "tag150000"), after))
