"""The heap of names in memory."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modd.stores.timers import SPARE, IndexedHeap

names, ranks = st.sampled_from("abcde"), st.integers(0, 9)


@pytest.mark.unmeasured
@pytest.mark.costly
@given(st.lists(st.tuples(names, st.none() | ranks), max_size=60), ranks)
def test_the_first_is_the_one_with_the_lowest_rank(moves: list[tuple[str, int | None]], until: int) -> None:
    heap, plain = IndexedHeap(), dict[str, int]()
    for name, rank in moves:
        if rank is None:
            heap.remove(name)
            plain.pop(name, None)
        else:
            heap.put(name, rank)
            plain[name] = rank
        lowest = min(plain, key=lambda each: (plain[each], each), default=None)
        assert heap.first() == lowest
        assert heap.first(until) == (lowest if lowest and plain[lowest] <= until else None)
        assert [each in heap for each in "abcde"] == [each in plain for each in "abcde"]
        assert len(heap) == len(plain)
    in_order = sorted(plain, key=lambda each: (plain[each], each))
    assert heap.first_rank() == (plain[in_order[0]] if in_order else inf)
    due = [each for each in in_order if plain[each] <= until]
    assert list(heap.pop_all(until)) == due
    assert [heap.pop() for _ in range(len(in_order) - len(due) + 1)] == [*in_order[len(due) :], None]


def test_names_that_are_moved_or_removed_leave_little_behind() -> None:
    heap = IndexedHeap()
    heap.put("first", 0)  # nothing below it comes to the top
    for number in range(10_000):
        heap.put("moved", number)
        heap.put(str(number), number)
        heap.remove(str(number))
        assert len(heap._heap) <= 2 * len(heap) + SPARE
