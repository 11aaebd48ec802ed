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
    the number after which to begin.
    """

    def __init__(
        self, read_page: Callable[[int], Awaitable[list[T]]], number_of: Callable[[T], int], after: int
    ) -> None:
        self._read_page, self._number_of, self._last = read_page, number_of, after
        self._page: list[T] = []
        """Rows that were read and not returned yet, the next one at the end."""
        self._has_ended = False

    def __aiter__(self) -> PagedReader[T]:
        return self

    async def __anext__(self) -> T:
        if not self._page and not self._has_ended:
            self._page = (await self._read_page(self._last))[::-1]
            self._has_ended = not self._page
        if self._has_ended:
            raise StopAsyncIteration
        row = self._page.pop()
        self._last = self._number_of(row)
        return row
