"""The records as an operation sees them: those that are stored, and over them those that it has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from modd.stores.nats.overlay import Overlay, matches
from modd.stores.nats.record import GONE, PENDING, Record, Write

pytestmark = pytest.mark.anyio


class Stored:
    """Records in a list, in place of a server."""

    def __init__(self, *subjects: str) -> None:
        self.records = [Record(subject, place, 0.0, {}, b"%d" % place) for place, subject in enumerate(subjects, 1)]
        self.reads: list[str] = []

    async def last(self, filter: str) -> Record | None:
        self.reads.append(filter)
        return ([None, *await self.page(filter)])[-1]

    async def last_of_many(self, filters: Sequence[str]) -> list[Record | None]:
        return [await self.last(filter) for filter in filters]

    async def last_of_each(self, filter: str) -> list[Record]:
        return [*{record.subject: record for record in await self.page(filter)}.values()]

    async def page(self, filter: str, after: int = 0, limit: int | None = None) -> list[Record]:
        return [each for each in self.records if matches(filter, each.subject) and each.sequence > after][:limit]


def overlay_of(*subjects: str, is_guarded: bool = True) -> Overlay:
    stored: Any = Stored(*subjects)
    return Overlay(stored, lambda: 7.0, is_guarded=is_guarded)


@pytest.mark.parametrize(
    ("filter", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.>", "b.c", False),
        ("a.*.c", "a.b.c", True),
        (">", "a", True),
    ],
)
def test_a_filter_matches_subjects_as_the_server_does(filter: str, subject: str, expected: bool) -> None:
    # NA-30
    assert matches(filter, subject) is expected


async def test_what_is_read_is_guarded_and_read_once() -> None:
    # NA-30
    overlay = overlay_of("a", "b.1", "b.2")
    assert await overlay.get("none") is None
    for _ in range(2):
        record = await overlay.last("b.*")
        assert record is not None and record.sequence == 3
    assert [each and each.sequence for each in await overlay.get_many(["a", "none", "c"])] == [1, None, None]
    assert overlay.guards == {"none": 0, "b.*": 3, "a": 1, "c": 0}
    assert {*overlay.all_guards()} == {("none", 0), ("b.*", 3), ("a", 1), ("c", 0)}
    reads = overlay.stream
    assert isinstance(reads, Stored) and sorted(reads.reads) == ["a", "b.*", "c", "none"]


async def test_written_records_are_read_in_place_of_the_stored_ones() -> None:
    # NA-30
    overlay = overlay_of("a.1", "a.2", "a.3")
    overlay.write(Write("a.2", {"n": 2}, b"new"))
    overlay.remove("a.3")
    overlay.write(Write("a.4", {}, b"four"))
    assert [record.subject for record in await overlay.each("a.*")] == ["a.1", "a.2", "a.4"]
    record = await overlay.get("a.2")
    assert record == Record("a.2", PENDING, 7.0, {"n": 2}, b"new")
    assert await overlay.get("a.3") is None
    last = await overlay.last("a.*")
    assert last is not None and last.subject == "a.4"
    assert [each.sequence for each in await overlay.page("a.*")] == [1, PENDING, PENDING + 1, PENDING + 2]
    assert [each.sequence for each in await overlay.page("a.*", after=1, limit=1)] == [PENDING]
    assert [each.subject for each in await overlay.look("a.*")] == ["a.2", "a.3", "a.4"]
    assert [each.subject for each in await overlay.page("b.*")] == []


async def test_a_record_that_is_written_again_keeps_its_place_and_events_are_added() -> None:
    # NA-30
    overlay = overlay_of("e")
    overlay.write(Write("a", {}, b"1"))
    overlay.write(Write("e", {}, b"1", rollup=False))
    overlay.write(Write("e", {}, b"2", rollup=False))
    overlay.write(Write("a", {}, b"2"))
    assert [(write.subject, write.body) for write in overlay.writes] == [("a", b"2"), ("e", b"1"), ("e", b"2")]
    assert [record.sequence for record in await overlay.page("e")] == [1, PENDING + 1, PENDING + 2]


async def test_a_savepoint_that_fails_drops_writes_hooks_and_ids() -> None:
    # NA-30
    overlay = overlay_of()
    calls: list[Mapping[str, int]] = []
    overlay.write(Write("a", {}, b"1"))
    overlay.after_commit(calls.append)
    overlay.ids.append("1")
    mark = overlay.mark()
    overlay.write(Write("a", {}, b"2"))
    overlay.remove("b", {"gone": True, "token": "t"})
    overlay.after_commit(calls.append)
    overlay.ids.append("2")
    await overlay.last("c")
    assert overlay.writes[1].meta == {**GONE, "token": "t"}
    overlay.undo_to(mark)
    overlay.write(Write("b", {}, b"3"))
    assert [(write.subject, write.body) for write in overlay.writes] == [("a", b"1"), ("b", b"3")]
    assert len(overlay.hooks) == 1 and overlay.ids == ["1"] and overlay.guards == {"c": 0}


async def test_an_overlay_that_is_not_guarded_asks_less() -> None:
    # NA-30
    overlay = overlay_of("a.1", is_guarded=False)
    assert len(await overlay.page("a.*")) == len(await overlay.each("a.*")) == 1
    assert await overlay.look("a.*") == [] and overlay.guards == {}


async def test_an_overlay_takes_over_reads_and_not_writes() -> None:
    # NA-30
    first = overlay_of("a")
    await first.last("a")
    first.write(Write("b", {}))
    second = overlay_of().continues(first)
    assert await second.last("a") == await first.last("a")
    assert second.guards == {"a": 1} and second.writes == []
