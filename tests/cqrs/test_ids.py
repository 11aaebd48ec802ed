"""Ids that cost almost nothing until somebody reads them."""

from __future__ import annotations

import os
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modd.cqrs import Envelope
from modd.cqrs.ids import Ids, escape, item_id, qualify
from tests.cqrs.shop import Create


@given(st.integers(0, 2**32 - 1), st.floats(0, 2**38))
def test_every_id_is_a_uuid_of_version_7_with_its_time(number: int, at: float) -> None:
    # MI-9
    parsed = UUID(Ids().text(number, at))
    assert parsed.version == 7 and parsed.variant == "specified in RFC 4122"
    assert parsed.int >> 80 == int(at * 1000)


@given(st.lists(st.integers(0, 2**32 - 2), unique=True, min_size=2, max_size=20))
def test_ids_of_one_moment_are_ordered_by_number_and_none_is_there_twice(numbers: list[int]) -> None:
    # MI-9
    ids, other = Ids(), Ids()
    texts = [ids.text(number, 1.0) for number in sorted(numbers)]
    assert all(one < next_one for one, next_one in pairwise(texts))
    assert not {*texts} & {other.text(number, 1.0) for number in numbers}


@pytest.mark.costly
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 2**38)), min_size=2, max_size=9))
def test_an_id_of_a_source_does_not_depend_on_those_before(drawn: list[tuple[int, float]]) -> None:
    # MI-9
    ids = Ids()
    texts = [ids.text(number, at) for number, at in drawn]
    assert [UUID(text).int >> 80 for text in texts] == [int(at * 1000) for _, at in drawn]
    assert [ids.text(number, at) for number, at in reversed(drawn)] == texts[::-1]


def test_numbers_go_up_by_one() -> None:
    # MI-9
    ids = Ids()
    assert [ids.next() for _ in range(3)] == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_makes_no_id_twice() -> None:
    # MI-9
    ids = Ids()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, ids.text(7, 1.0).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    text = os.read(read, 100).decode()
    os.close(read)
    assert UUID(text) and text != ids.text(7, 1.0)


def test_two_envelopes_made_at_once_have_two_ids() -> None:
    # MI-9
    assert len({Envelope(Create()).id for _ in range(1_000)}) == 1_000


TEXTS = st.text("a%:/2F", max_size=6)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_different_names_and_texts_are_different_keys_and_ids(bus: str, text: str, bus_2: str, text_2: str) -> None:
    # DF-12
    for join in (qualify, item_id):
        assert (join(bus, text) == join(bus_2, text_2)) == ((bus, text) == (bus_2, text_2))
    assert (escape(text, "/#") == escape(text_2, "/#")) == (text == text_2)


@pytest.mark.parametrize(
    ("bus", "id", "expected"),
    [("commands", "import-7", "commands:import-7"), ("a:b/%", "x:y/z%", "a%3Ab%2F%25:x:y%2Fz%25")],
)
def test_the_id_of_an_item_has_the_name_of_the_bus_in_front_and_no_slash(bus: str, id: str, expected: str) -> None:
    # DF-12
    assert item_id(bus, id) == expected
