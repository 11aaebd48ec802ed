"""Reading page by page, while rows are added."""

from __future__ import annotations

import pytest

from modd.stores.paging import PagedReader

pytestmark = pytest.mark.anyio


class Rows:
    """Numbers from 1, read three at a time."""

    def __init__(self, count: int) -> None:
        self.rows = list(range(1, count + 1))
        self.pages = list[int]()

    async def read_page(self, after: int) -> list[int]:
        self.pages.append(after)
        return [row for row in self.rows if row > after][:3]

    def reader(self, after: int = 0) -> PagedReader[int]:
        return PagedReader(self.read_page, lambda row: row, after)


async def test_each_page_begins_after_the_last_row_of_the_one_before() -> None:
    rows = Rows(7)
    assert [row async for row in rows.reader(after=1)] == [2, 3, 4, 5, 6, 7]
    assert rows.pages == [1, 4, 7]


async def test_rows_that_are_added_before_the_end_are_read_and_later_ones_are_not() -> None:
    rows = Rows(1)
    reader = rows.reader()
    assert await anext(reader) == 1
    rows.rows.append(2)
    assert [row async for row in reader] == [2]
    rows.rows.append(3)
    assert [row async for row in reader] == []
