"""The suites of ports, for an implementation without the optional features."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modd.ports import Outbox
from modd.stores import MemoryOutbox
from modd.testing.conformance import OutboxConformance

pytestmark = pytest.mark.anyio


class Bare:
    """An outbox with the methods of the port and no others."""

    def __init__(self) -> None:
        outbox = MemoryOutbox()
        self.put: Any = outbox.put
        self.claim, self.ack, self.release = outbox.claim, outbox.ack, outbox.release


class OfBare(OutboxConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        yield Bare()


async def test_optional_features_are_skipped_without_them() -> None:
    suite = OfBare()
    for test, reason in (
        (suite.test_a_put_ends_the_wait, "it has no method wait"),
        (suite.test_a_transaction_that_ends_keeps_all_that_was_put, "it has no transactions"),
    ):
        with pytest.raises(pytest.skip.Exception, match=reason):
            await test()
    await suite.test_an_empty_outbox_gives_nothing()
