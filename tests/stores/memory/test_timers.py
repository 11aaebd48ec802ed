"""Names in the order of a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modd.stores.memory.timers import SPARE, Ranked

names, ranks = st.sampled_from("abcde"), st.integers(0, 9)


@given(st.lists(st.tuples(names, st.none() | ranks), max_size=60), ranks)
def test_the_first_is_the_one_with_the_lowest_rank(moves: list[tuple[str, int | None]], until: int) -> None:
    ranked, plain = Ranked(), dict[str, int]()
    for name, rank in moves:
        if rank is None:
            ranked.remove(name)
            plain.pop(name, None)
        else:
            ranked.put(name, rank)
            plain[name] = rank
        lowest = min(plain, key=lambda each: (plain[each], each), default=None)
        assert ranked.first() == lowest
        assert ranked.first(until) == (lowest if lowest and plain[lowest] <= until else None)
        assert [each in ranked for each in "abcde"] == [each in plain for each in "abcde"]
        assert len(ranked) == len(plain)
    assert [ranked.pop() for _ in range(len(plain) + 1)] == [
        *sorted(plain, key=lambda each: (plain[each], each)),
        None,
    ]


def test_names_that_are_moved_or_removed_leave_little_behind() -> None:
    ranked = Ranked()
    ranked.put("first", 0)  # nothing below it comes to the top
    for number in range(10_000):
        ranked.put("moved", number)
        ranked.put(str(number), number)
        ranked.remove(str(number))
        assert len(ranked._heap) <= 2 * len(ranked) + SPARE
