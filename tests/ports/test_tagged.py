"""Queries for events by tags and types."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from modd import InvalidOption, Message
from modd.ports import Alternative, Item, Tagged
from tests.names import A, N


class Renamed(Message, tag="old-name"): ...


def test_an_item_matches_with_all_tags_and_one_of_the_types() -> None:
    # WM-2
    item = Item(b"", {"type": "Subscribed"}, tags=("course:1", "student:2"))
    assert Tagged("course:1").matches(item)
    assert Tagged("student:2", "course:1", types=["Left", "Subscribed"]).matches(item)
    assert (Tagged("course:3") | Tagged("student:2")).matches(item)
    assert not Tagged("course:1", "course:3").matches(item)
    assert not Tagged("course:1", types=["Left"]).matches(item)
    assert not Tagged("course:1", types=["Left"]).matches(Item(b"", tags=("course:1",)))
    assert not Tagged("course:1").matches(Item(b""))


def test_message_types_count_by_their_names_on_the_wire() -> None:
    # WM-2
    assert Tagged("a", types=[N, Renamed, "Text"]) == Tagged("a", types=["N", "old-name", "Text"])
    assert Tagged("a", types={A}).alternatives == (Alternative(("a",), ("A",)),)


def test_equal_queries_are_one_and_are_shown_as_they_were_made() -> None:
    either = Tagged("a", "b", "a") | Tagged("c", types=[N, N]) | Tagged("a", "b")
    assert repr(either) == "Tagged('a', 'b') | Tagged('c', types=['N'])"
    assert either == Tagged("a", "b") | Tagged("c", types=["N"])
    assert len({either, Tagged("a", "b") | Tagged("c", types=["N"]), Tagged("a")}) == 2
    assert either != Tagged("a", "b") and Tagged("a") != ("a",)
    assert either == copy.deepcopy(either) == pickle.loads(pickle.dumps(either))


@pytest.mark.parametrize("tags", [(), ("",), ("a", 1), (None,), (["a"],), tuple(map(str, range(51)))])
def test_tags_of_a_query_are_1_to_50_texts(tags: Any) -> None:
    # WM-2
    with pytest.raises(InvalidOption, match=r"^tags="):
        Tagged(*tags)
    assert len(Tagged(*map(str, range(50))).alternatives[0].tags) == 50


@pytest.mark.parametrize("types", ["N", b"N", N, None, 5, [5], [None], [int], list(map(str, range(51)))])
def test_types_of_a_query_are_a_list_of_message_types_or_names(types: Any) -> None:
    # WM-2
    with pytest.raises(InvalidOption, match=r"^types=.*: give a list of message types or of their names"):
        Tagged("a", types=types)


def test_a_query_is_joined_with_queries_only() -> None:
    # WM-2
    wrong: Any = "b"
    with pytest.raises(TypeError):
        _ = Tagged("a") | wrong
