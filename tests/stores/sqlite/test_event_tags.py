"""Events in a file by their tags: the cost of a query, its one state of the file, and the commits of appends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modd.ports import Item, QueryConflict, Tagged
from modd.stores.paging import PAGE
from modd.stores.sqlite.event_appends import EventAppends, EventRows
from modd.stores.sqlite.event_tags import TaggedEvents, TaggedPositions
from modd.stores.sqlite.opening import connect_file
from modd.stores.sqlite.schema import migrate
from modd.stores.sqlite.sql import Refused
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import Do, open_store
from tests.stores.sqlite.program import append_seats, start, wait_for_end
from tests.stores.sqlite.test_group_commit import together

pytestmark = pytest.mark.anyio

APPENDS = EventAppends(lambda: None)


@pytest.fixture
def file(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect_file(str(path))) as connection:
        migrate(str(path), connection)
        yield connection


def append(file: sqlite3.Connection, stream: str, expected: int, items: list[Item]) -> None:
    file.execute("BEGIN")
    assert APPENDS.append(file, [(stream, expected, 0.0, EventRows(items))]) == [None]
    file.execute("COMMIT")


def fill(file: sqlite3.Connection, frequent: int, revision: int) -> None:
    """Many events with a tag and a type, of which three have a second tag."""
    items = [Item(b"", {"type": "T"}, tags=("frequent", f"only:{number}")) for number in range(frequent)]
    append(file, "a", revision, items)
    append(file, "b", revision and 3, [Item(b"", {"type": "T"}, tags=("rare", "frequent"))] * (0 if revision else 3))


def steps(file: sqlite3.Connection, work: Callable[[sqlite3.Connection], object]) -> int:
    """The number of instructions that SQLite takes for it."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    file.set_progress_handler(step, 1)
    work(file)
    file.set_progress_handler(None, 0)
    return count


def try_append(query: Tagged, after: int, file: sqlite3.Connection) -> None:
    APPENDS.append_where(file, [("c", query, after, 0.0, EventRows([]))])


QUERIES = [
    Tagged("rare", "frequent"),
    Tagged("frequent", "rare", types=["T"]),
    Tagged("frequent", "only:5", "rare"),
    Tagged("frequent", "never"),
    Tagged("rare", types=["other"]) | Tagged("frequent", "only:7", types=["T", "U"]),
]


@pytest.mark.costly
@pytest.mark.parametrize("query", QUERIES, ids=repr)
def test_the_cost_of_a_query_follows_its_rarest_tag(file: sqlite3.Connection, query: Tagged) -> None:
    # WM-2
    works: list[Callable[[sqlite3.Connection], object]] = [
        partial(try_append, query, 0),
        TaggedEvents(query, 0, PAGE),
        TaggedPositions(query, 0, PAGE),
    ]
    fill(file, 300, 0)
    few = [steps(file, work) for work in works]
    fill(file, 9_000, 300)
    many = [steps(file, work) for work in works]
    assert all(later <= before * 1.2 for before, later in zip(few, many, strict=True))


@pytest.mark.parametrize("analyzed", [False, True])
def test_each_statement_of_a_query_goes_through_its_rarest_tag_alone(
    path: Path, file: sqlite3.Connection, analyzed: bool
) -> None:
    # WM-2
    fill(file, 1_000, 0)
    if analyzed:
        file.execute("ANALYZE")
    statements: list[str] = []
    file.set_trace_callback(statements.append)
    for query in QUERIES:
        TaggedEvents(query, 0, PAGE)(file)
    file.set_trace_callback(None)
    plans = {each: plan(file, each) for each in statements if "modd_" in each}
    assert len(plans) > 10
    assert {each: lines for each, lines in plans.items() if not all(map(is_by_index, lines))} == {}


def plan(file: sqlite3.Connection, statement: str) -> list[str]:
    return [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {statement}")]


def is_by_index(line: str) -> bool:
    """Whether this step of a plan looks at no more rows than it has to; the JSON has the positions."""
    return "B-TREE" not in line and not (line.startswith("SCAN") and "json_each" not in line and "(" not in line)


class Meddled(sqlite3.Connection):
    """A connection beside which something happens after each statement about tags."""

    meddle: Callable[[], None] = staticmethod(lambda: None)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        rows = super().execute(sql, parameters)
        if "modd_event_tags" in sql:
            self.meddle()
        return rows


def test_the_alternatives_of_a_query_see_one_state_of_the_file(path: Path, file: sqlite3.Connection) -> None:
    # WM-2
    """Else an event of the second one would hide an earlier event of the first one from who goes on behind it."""
    revision = 0

    def append_two() -> None:
        nonlocal revision
        append(file, "a", revision, [Item(b"", tags=("a",)), Item(b"", tags=("b",))])
        revision += 2

    file.execute("PRAGMA journal_mode = WAL")
    append_two()
    with closing(sqlite3.connect(path, isolation_level=None, factory=Meddled)) as reader:
        reader.meddle = append_two
        found = [row[2] for row in TaggedEvents(Tagged("a") | Tagged("b"), 0, PAGE)(reader)]
        assert revision >= 6
    assert found == [1, 2]


def test_rows_and_version_of_a_read_are_of_one_state_of_the_file(path: Path, file: sqlite3.Connection) -> None:
    # DR-20
    """Else a commit between the two would be in the digest and not in the rows, and never be found out."""

    def append_once() -> None:
        reader.meddle = lambda: None
        append(file, "a", 0, [Item(b"", tags=("a",))])

    file.execute("PRAGMA journal_mode = WAL")
    query = TaggedEvents(Tagged("a"), 0, PAGE)
    with closing(sqlite3.connect(path, isolation_level=None, factory=Meddled)) as reader:
        reader.meddle = append_once
        rows, digest = query.with_digest(reader)
    assert rows == []
    assert query.digest(file) != digest


def test_an_append_of_a_commit_sees_the_events_of_those_before_it(file: sqlite3.Connection) -> None:
    # WM-2
    append(file, "c", 0, [Item(b"0", tags=("c",))])
    calls: list[tuple[str, Tagged, int, list[Item]]] = [
        ("c", Tagged("c", types=["T"]), 0, [Item(b"1", {"type": "T"}, tags=("c", "c"))]),
        ("c", Tagged("c", types=["T"]), 0, [Item(b"2")]),
        ("d", Tagged("d") | Tagged("c"), 0, [Item(b"2")]),
        ("d", Tagged("d"), 0, [Item(b"3"), Item(b"4", tags=("d",))]),
        ("e", Tagged("d", types=["T"]), 0, [Item(b"5", tags=("e", "d"))]),
        ("e", Tagged("d") | Tagged("e"), 0, [Item(b"6")]),
        ("e", Tagged("e", "d"), 4, [Item(b"6")]),
        ("e", Tagged("d"), 5, [Item(b"7")]),
    ]
    file.execute("BEGIN")
    results = APPENDS.append_where(file, [(*rest, 0.0, EventRows(items)) for *rest, items in calls])
    assert list(map(told, results)) == [2, "2 after 0", "1 after 0", 4, 5, "4 after 0", "5 after 4", 6]
    rows = file.execute("SELECT stream, revision, body FROM modd_events ORDER BY position").fetchall()
    assert rows == [("c", 1, b"0"), ("c", 2, b"1"), ("d", 1, b"3"), ("d", 2, b"4"), ("e", 1, b"5"), ("e", 2, b"7")]


def told(result: Any) -> object:
    """The last position, or where the conflict is."""
    error = result.error if isinstance(result, Refused) else None
    return f"{error.position} after {error.after}" if isinstance(error, QueryConflict) else result


async def test_a_condition_that_fails_costs_the_others_of_its_commit_nothing(path: Path) -> None:
    # WM-2
    async def fail(call: Do) -> None:
        with pytest.raises(QueryConflict):
            await call()

    watch = Watch()
    async with open_store(path, watch) as store:
        events, course = store.events, Tagged("c")
        await events.append("c", [Item(b"0", tags=("c",))], 0)
        before = watch.done["SAVEPOINT modd"]
        commits = await together(
            watch,
            partial(store.inbox.add, "first"),
            partial(fail, partial(events.append_where, "c", [b"1"], course, 0)),
            partial(events.append_where, "c", [b"2"], course, 1),
            partial(events.append_where, "d", [b"3"], Tagged("d"), 0),
        )
        assert (commits, watch.done["SAVEPOINT modd"]) == (2, before)
        assert sorted([event.body async for event in events.read_all()]) == [b"0", b"2", b"3"]


@pytest.mark.slow
async def test_two_processes_give_each_seat_once(path: Path, anyio_backend: str) -> None:
    # WM-2
    processes = [start(append_seats, path, anyio_backend) for _ in range(2)]
    told = [json.loads(wait_for_end(process)) for process in processes]
    seats = sorted(seat for one in told for seat in one["seats"])
    assert seats == list(range(1, 101))
