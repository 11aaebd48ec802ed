"""Reading rows page by page, while more are added."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


PAGE = 256
"""Rows that are read at once, before other tasks get a turn."""


class PagedReader(Generic[T]):
    """An async iterator over rows in the order of their numbers, rows included that are added before it ends.

    No connection is in use between two pages. It is a class and not a generator, so that a caller who has read enough
    leaves the loop and has nothing to close.

    read_page: returns the first `PAGE` rows after a number, or fewer. number_of: returns the number of a row. after:
    the number after which to begin. ends_short: True if a page with fewer rows is the last one, which saves a read;
    False to go on until a page is empty.
    """

    def __init__(
        self,
        read_page: Callable[[int], Awaitable[list[T]]],
        number_of: Callable[[T], int],
        after: int,
        *,
        ends_short: bool = False,
    ) -> None:
        self._read_page, self._number_of, self._last = read_page, number_of, after
        self._least = PAGE if ends_short else 1
        """Rows of a page after which there may be another one."""
        self._is_last_page = False
        self._page: list[T] = []
        """Rows that were read and not returned yet, the next one at the end."""

    def __aiter__(self) -> PagedReader[T]:
        return self

    async def __anext__(self) -> T:
        if not self._page and not self._is_last_page:
            self._page = (await self._read_page(self._last))[::-1]
            self._is_last_page = len(self._page) < self._least
        if not self._page:
            raise StopAsyncIteration
        row = self._page.pop()
        self._last = self._number_of(row)
        return row


LARGEST_PAGE = 4_096
"""Most rows of a page of `GrowingPages`."""


class GrowingPages(Generic[T]):
    """An async iterator over pages of rows that are numbered without gaps: the number of the first row, and the rows.

    A page has up to `PAGE` rows, each further one up to 4 times as many, at most `LARGEST_PAGE`: a short stream is read
    at once, and a long one in few steps. A page with fewer rows is the last one.

    read_page: returns the first rows after a number, up to a limit. after: the number after which to begin.
    """

    def __init__(self, read_page: Callable[[int, int], Awaitable[list[T]]], after: int) -> None:
        self._read_page, self._last = read_page, after
        self._limit, self._has_ended = PAGE, False

    def __aiter__(self) -> GrowingPages[T]:
        return self

    async def __anext__(self) -> tuple[int, list[T]]:
        rows = [] if self._has_ended else await self._read_page(self._last, self._limit)
        self._has_ended = len(rows) < self._limit
        if not rows:
            raise StopAsyncIteration
        first = self._last + 1
        self._last += len(rows)
        self._limit = min(self._limit * 4, LARGEST_PAGE)
        return first, rows
