"""A projection that cannot work is an error when it is made, or at the event that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from modd import InvalidOption, Message, Value
from modd.aggregate import WrongState
from modd.cqrs import Codec, Unencodable
from modd.projection import Projection, Rows, UndecodableState, UnknownTable
from modd.projection.content import Changes
from modd.projection.states import space_of
from modd.projection.tables import TableContent
from modd.stores import MemoryStore
from tests.projection.shop import SALES, Moved, Ordered, Returned, Sold, add, count, sales, totals

pytestmark = pytest.mark.anyio


class Loose(Value, frozen=True):
    """A state that does not come back as it was."""

    pairs: Any = ()


async def count_later(event: Ordered, rows: Rows) -> None: ...


def count_slowly(event: Ordered, rows: Rows) -> Iterator[None]:
    yield


class Handler:
    """Not a function, but called like one."""

    async def __call__(self, state: Sold, event: Ordered) -> Sold:
        return state


def count_moves(event: Moved, rows: Rows) -> None: ...


def count_rows_first(rows: Rows, event: Ordered) -> None: ...


def count_in_list(event: Ordered, rows: list[Any]) -> None: ...


def add_moves(state: Sold, event: Moved) -> Sold:
    return state


def add_loose(state: Loose, event: Ordered) -> Loose:
    return state


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "give either tables, or a state and a key"),
    ({"tables": {"sales": SALES}, "state": Sold}, "give either tables"),
    ({"tables": {"sales": SALES}, "key": "sku"}, "a key is for a state"),
    ({"state": Sold}, "give the field of the events"),
    ({"state": Sold, "key": "sky"}, "Ordered has no such field"),
    ({"state": Sold, "key": 3}, "the name of a field, or a function"),
    ({"state": dict, "key": "sku"}, "it must not change in place"),
    ({"state": Handler, "key": "sku"}, "stored as JSON"),
    ({"tables": {}}, "give the columns of each table"),
    ({"tables": "sales"}, "give the columns of each table"),
    ({"tables": {"sales": ""}}, "give the columns of each table"),
    ({"tables": {"my sales": SALES}}, "letters, digits and _"),
    ({"tables": {"modd_sales": SALES}}, "not with modd_"),
    ({"tables": {3: SALES}}, "letters, digits and _"),
    ({"tables": {"sales": SALES, "Sales": SALES}}, "capitals"),
    ({"tables": {"sales": SALES}, "events": {}}, r"\(event, rows\)"),
    ({"tables": {"sales": SALES}, "events": count}, "a list of functions"),
    ({"tables": {"sales": SALES}, "events": {Ordered: None}}, r"\(event, rows\) for Ordered"),
    ({"tables": {"sales": SALES}, "events": {Ordered: count_later}}, "neither async"),
    ({"tables": {"sales": SALES}, "events": {Ordered: count_slowly}}, "neither async"),
    ({"tables": {"sales": SALES}, "events": {Ordered: lambda event: None}}, r"\(event, rows\)"),
    ({"tables": {"sales": SALES}, "events": [lambda event, rows: None]}, "annotate its first parameter"),
    ({"state": Sold, "key": "sku", "events": {Ordered: Handler()}}, "neither async"),
    ({"state": Sold, "key": "sku", "events": {int: add}}, "each type of event"),
    ({"state": Sold, "key": "sku", "events": [add, add]}, "it has a function already"),
    ({"tables": {"sales": SALES}, "events": {Ordered: count_moves}}, "first .* with Moved, and gets Ordered"),
    ({"tables": {"sales": SALES}, "events": {Ordered: count_rows_first}}, "first .* with Rows, and gets Ordered"),
    ({"tables": {"sales": SALES}, "events": {Ordered: count_in_list}}, "second .* with list, and gets Rows"),
    ({"state": Sold, "key": "sku", "events": {Ordered: add_moves}}, "second .* with Moved, and gets Ordered"),
    ({"state": Sold, "key": "sku", "events": {Ordered: add_loose}}, "first .* with Loose, and gets Sold"),
    ({"state": Sold, "key": "sku", "version": 0}, "at least 1"),
    ({"state": Sold, "key": "sku", "name": "a b"}, "letters, digits, - and _"),
    ({"state": Sold, "key": "sku", "name": 3}, "letters, digits, - and _"),
    ({"state": Sold, "key": "sku", "codec": Codec([Moved])}, "it has no Ordered"),
    ({"state": Sold, "key": "sku", "codec": "json"}, "give a modd.cqrs.Codec"),
]


@pytest.mark.parametrize(("options", "text"), WRONG)
def test_options_that_cannot_work_are_errors_that_say_so(options: dict[str, Any], text: str) -> None:
    # WM-59
    values: dict[str, Any] = {"name": "sales", "events": {Ordered: count if "tables" in options else add}} | options
    with pytest.raises(InvalidOption, match=text):
        Projection(values.pop("name"), **values)


def count_any(event, rows): ...  # type: ignore[no-untyped-def]


def count_more(event: Ordered | Moved, rows: Any) -> None: ...


def count_bases(event: Message, rows: "Rows | None") -> None: ...  # noqa: UP037


@pytest.mark.parametrize("function", [count_any, count_more, count_bases])
def test_annotations_that_are_wider_are_taken(function: Any) -> None:
    # WM-96
    assert sales(events={Ordered: function}).events == {Ordered: function}


def test_functions_may_be_a_list_by_their_annotations() -> None:
    # WM-59
    assert sales(events=[count]).events == {Ordered: count}
    assert totals(events=[add]).events == {Ordered: add}
    assert repr(totals(version=3)) == "<Projection totals, version 3>"


def test_tables_are_read_by_sql_and_not_by_key() -> None:
    # WM-61
    with pytest.raises(InvalidOption, match="SQL"):
        sales().of(MemoryStore())


@pytest.mark.parametrize("key", [None, True, b"rope"])
async def test_a_state_is_read_by_a_text_or_a_number(key: Any) -> None:
    # WM-61
    with pytest.raises(InvalidOption, match="key"):
        await totals().of(MemoryStore()).get(key)


STATEMENTS: list[tuple[Any, Any, type[Exception], str]] = [
    ("INSERT INTO {sale} VALUES (1)", (), UnknownTable, r"\{sale\} is no table of the projection sales"),
    (b"DELETE FROM {sales}", (), InvalidOption, "sql"),
    ("DELETE FROM {sales} WHERE sku = ?", "rope", InvalidOption, "tuple of values"),
    ("DELETE FROM {sales} WHERE sku = ?", 3, InvalidOption, "tuple of values"),
]


@pytest.mark.parametrize(("sql", "parameters", "kind", "text"), STATEMENTS)
async def test_statements_that_cannot_work_fail_their_event(sql: Any, parameters: Any, kind: Any, text: str) -> None:
    # WM-59
    def wrong(event: Moved, rows: Rows) -> None:
        rows.execute("DELETE FROM {sales}")
        rows.execute(sql, parameters)

    changes = await decide(sales(events={Ordered: count, Moved: wrong}), Ordered("1"), Moved(), Ordered("2"))
    assert changes.failed is not None and changes.failed.position == 2
    assert isinstance(changes.failed.error, kind)
    assert re.search(text, str(changes.failed.error))


async def decide(projection: Projection[Any], *events: Message, store: Any = None) -> Changes:
    """Return the writes for events that are at the positions from 1 on."""
    return await projection.content.decide(store or MemoryStore(), 1, enumerate(events, 1), {})


async def test_braces_that_are_no_name_and_parameters_stay_as_they_are() -> None:
    # WM-59
    values = ["rope"]

    def note(event: Moved, rows: Rows) -> None:
        rows.execute("""INSERT INTO {sales} VALUES (json('{"a": {}}'), ?)""", values)
        values.append("changed")

    content = sales(events={Moved: note}).content
    assert isinstance(content, TableContent)
    [(sql, parameters)] = content.collect(7, [(1, Moved())]).statements
    assert (sql, parameters) == ("""INSERT INTO "sales__7" VALUES (json('{"a": {}}'), ?)""", ("rope",))


async def test_statements_with_values_in_their_text_do_not_fill_the_memory() -> None:
    # WM-59
    rows = Rows("sales", {"sales": "x"})
    for number in range(2_500):
        rows.execute(f"DELETE FROM {{sales}} WHERE pieces = {number}")
    assert rows.statements[-1] == ("DELETE FROM x WHERE pieces = 2499", ())
    assert len(vars(rows)["_texts"]) <= 1_000


def to_no_state(state: Any, event: Any) -> Any:
    return event


def to_loose(state: Loose, event: Ordered | Returned) -> Loose:
    return Loose(pairs=(1, 2))


FAULTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"events": {Ordered: add, Returned: to_no_state}}, WrongState, "to_no_state returned Returned"),
    ({"events": {Ordered: to_loose, Returned: to_loose}, "state": Loose}, Unencodable, "Loose.pairs"),
    ({"key": lambda event: 1.5 if type(event) is Returned else "rope"}, InvalidOption, "the key of Returned"),
    ({"key": lambda event: "" if type(event) is Returned else "rope"}, InvalidOption, "not empty"),
    ({"key": lambda event: "\ud800" if type(event) is Returned else "rope"}, InvalidOption, "half characters"),
    ({"key": lambda event: {Ordered: "rope"}[type(event)]}, KeyError, "Returned"),
]


@pytest.mark.parametrize(("options", "kind", "text"), FAULTS)
async def test_an_event_that_cannot_be_folded_is_found_among_many(options: Any, kind: Any, text: str) -> None:
    # WM-59 WM-64
    first: list[Message] = [] if options.get("state") is Loose else [Ordered("1"), Ordered("2", pieces=2)]
    changes = await decide(totals(**options), *first, Returned("rope"), Ordered("3"))
    assert changes.failed is not None and changes.failed.position == len(first) + 1
    with pytest.raises(kind, match=text):
        raise changes.failed.error
    assert changes.is_empty is not bool(first)


async def test_a_state_that_cannot_be_read_is_an_error_that_tells_no_values(store: Any) -> None:
    # WM-61 WM-64
    documents, projection = store.documents(space_of("totals", 1)), totals()
    await documents.put("rope", b'{"pieces":"secret"}')
    changes = await decide(projection, Ordered("1", "lamp"), Ordered("2"), store=store)
    assert changes.failed is not None and changes.failed.position == 2
    assert isinstance(changes.failed.error, UndecodableState)
    assert "secret" not in str(changes.failed.error) and "at $.pieces" in str(changes.failed.error)


async def test_keys_may_be_numbers_and_none_is_no_key(store: Any) -> None:
    # WM-59
    projection = totals(key=lambda event: {"none": None, "seven": 7}[event.sku], events={Ordered: add})
    changes = await decide(projection, Ordered("1", "none"), Ordered("2", "seven"), store=store)
    async with store.transaction() as tx:
        await changes.write(tx)
    assert await store.documents(space_of("totals", 1)).items() == [("7", b'{"pieces":1,"orders":1}')]
    assert (await decide(projection, Ordered("1", "none"), store=store)).is_empty
