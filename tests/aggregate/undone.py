"""Blocks that are undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any


class Undone(Exception):
    """Ends a block that is not to be kept."""


@asynccontextmanager
async def undone(block: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
    """Enter a transaction or a savepoint, and have it fail at its end."""
    try:
        async with block as entered:
            yield entered
            raise Undone
    except Undone:
        pass
