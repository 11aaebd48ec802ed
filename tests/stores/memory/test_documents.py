"""The documents in memory: the promises of the port, and what is their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from modd.ports import DocumentConflict, Documents
from modd.stores import MemoryDocuments, MemoryStore
from modd.testing.conformance import DocumentsConformance

pytestmark = pytest.mark.anyio


class TestMemoryDocuments(DocumentsConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Documents]:
        yield MemoryDocuments()


async def test_a_conflict_says_what_to_do() -> None:
    documents = MemoryDocuments("sales")
    with pytest.raises(DocumentConflict, match=r"^the document 'a' of 'sales' is not as expected.* get it anew"):
        await documents.swap("a", b"1", b"2")


@pytest.mark.parametrize("immediate", [False, True])
async def test_two_that_fold_into_one_document_in_transactions_lose_nothing(immediate: bool) -> None:
    # WM-4
    store = MemoryStore()
    sums = store.documents("sums")
    for fails in (False, True, False):
        with suppress(ZeroDivisionError):
            async with store.transaction(immediate=immediate):
                await sums.fold([("a", 1)], lambda state, value: (state or 0) + value, int, lambda state: b"%d" % state)
                assert await sums.get("b") is None
                if fails:
                    raise ZeroDivisionError
    assert await sums.items() == [("a", b"2")]
    assert repr(sums) == "<MemberDocuments sums in <MemoryStore>>"
