"""Given, then for projections."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

import pytest

from modd import InvalidOption, Sensitive
from modd.cqrs import Actor, Event, Unencodable
from modd.projection import Rows, UnknownTable
from modd.testing import given
from tests.projection.shop import Moved, Ordered, Returned, Sold, add, sales, totals
from tests.projection.test_options import Loose, to_loose


def test_the_states_after_events_are_expected_by_key() -> None:
    # WM-70
    scenario = given(totals(), Ordered("1"), Moved(), Ordered("2", "lamp", 2), Returned("rope"))
    scenario.then_state("lamp", Sold(2, 1))
    scenario.then_state("rope", None)
    with pytest.raises(AssertionError, match=r"(?s)'lamp' differs.*- Sold\(pieces=3.*\+ Sold\(pieces=2"):
        scenario.then_state("lamp", Sold(3, 1))
    with pytest.raises(AssertionError, match=r"'rope' has no state.*the keys with one: lamp"):
        scenario.then_state("rope", Sold(1, 1))
    with pytest.raises(AssertionError, match="the keys with one: none"):
        given(totals()).then_state("rope", Sold(1, 1))
    given(totals(key=lambda event: None), Ordered("1")).then_state("rope", None)
    given(totals(key=lambda event: 7), Ordered("1")).then_state(7, Sold(1, 1))


def test_the_rows_after_events_are_expected_by_sql() -> None:
    # WM-70
    scenario = given(sales(), Ordered("1"), Moved(), Ordered("2", "lamp", 2), Ordered("3"), Returned("lamp", 2))
    scenario.then_rows("SELECT sku, pieces FROM sales", [("rope", 2)])
    scenario.then_rows("SELECT count(*) FROM sales", [[1]])
    with pytest.raises(AssertionError, match=r"(?s)- \('rope', 3\).*\+ \('rope', 2\)"):
        scenario.then_rows("SELECT sku, pieces FROM sales", [("rope", 3)])


def raises(event: Ordered, rows: Rows) -> None:
    rows.execute("DELETE FROM {shop}")


def test_errors_of_its_functions_are_raised_as_they_are() -> None:
    # WM-70
    with pytest.raises(UnknownTable):
        given(sales(events={Ordered: raises}), Ordered("1")).then_rows("SELECT 1", [])
    loose: Any = given(totals(state=Loose, events={Returned: to_loose}), Returned("rope"))
    with pytest.raises(Unencodable):
        loose.then_state("rope", Loose())


class Paid(Event):
    sku: str
    card: Annotated[str, Sensitive]


def unfit(event: Ordered, rows: Rows) -> None:
    rows.execute("INSERT INTO {sales} (color) VALUES (?)", (event.sku,))


def leaks(event: Paid, rows: Rows) -> None:
    rows.execute(f"INSERT INTO {{sales}} (sku, color) VALUES ('{event.sku}', '{event.card}')")


def notes_of(scenario: Any, kind: type[Exception]) -> list[str]:
    """Return the notes of the error of a scenario."""
    with pytest.raises(kind) as caught:
        scenario.then_rows("SELECT 1", [])
    return caught.value.__notes__


def test_a_statement_that_fails_is_an_error_with_a_note_of_its_function_its_event_and_itself() -> None:
    # WM-151
    [note] = notes_of(given(sales(events={Ordered: unfit}), Ordered("1")), sqlite3.OperationalError)
    text = 'INSERT INTO "sales__1" (color) VALUES (?)'
    assert note == f"raised by a statement of unfit of the projection sales when given Ordered: {text}"
    [note] = notes_of(given(sales(events={Ordered: raises}), Ordered("1")), UnknownTable)
    assert note == "raised by raises of the projection sales when given Ordered"


def test_the_note_of_a_statement_has_no_sensitive_value_of_its_event() -> None:
    # WM-151
    [note] = notes_of(given(sales(events={Paid: leaks}), Paid("rope", "4711-0815")), sqlite3.OperationalError)
    assert note.endswith("""(sku, color) VALUES ('rope', '***')""")


def test_expectations_that_do_not_fit_the_projection_are_errors() -> None:
    # WM-70
    with pytest.raises(InvalidOption, match="then_rows"):
        given(sales(), Ordered("1")).then_state("rope", None)
    with pytest.raises(InvalidOption, match="then_state"):
        given(totals(events={Ordered: add})).then_rows("SELECT 1", [])
    options: Any = {"by": Actor("ada")}
    with pytest.raises(InvalidOption, match="of a projection see no stamps"):
        given(totals(), **options)
    wrong: Any = "Ordered"
    with pytest.raises(InvalidOption, match="give events"):
        given(totals(), wrong)


def test_states_that_look_alike_and_differ_are_explained() -> None:
    # WM-70
    alike: Any = Shown()
    with pytest.raises(AssertionError, match="They look alike"):
        given(totals(events={Ordered: add}), Ordered("1")).then_state("rope", alike)


class Shown:
    """Looks like a state."""

    def __repr__(self) -> str:
        return "Sold(pieces=1, orders=1)"
