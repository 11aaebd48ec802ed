"""The last attempt to settle claims."""

from __future__ import annotations

import logging

import anyio
import pytest

from modd.ports import Claim, LeaseLost
from modd.ports.settlement import SETTLE_TIMEOUT, settle_shielded

pytestmark = pytest.mark.anyio

LOG = logging.getLogger("modd.test")
CLAIMS = [Claim(id, b"", {}, None, 1, "token") for id in ("a", "b", "c")]


class Store:
    """A store that takes its time to settle, and may fail."""

    def __init__(self, seconds: float = 0.5, error: Exception | None = None) -> None:
        self.seconds, self.error, self.settled = seconds, error, list[object]()

    async def retry(self, *args: object) -> None:
        await anyio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.settled += args


async def test_claims_are_settled_although_the_task_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await settle_shielded(store.retry, CLAIMS[:1], 5.0, log=LOG)
    assert (store.settled, caplog.messages) == ([CLAIMS[0], 5.0], [])


async def test_a_store_that_does_not_answer_in_time_is_left(caplog: pytest.LogCaptureFixture) -> None:
    store, start = Store(seconds=60), anyio.current_time()
    await settle_shielded(store.retry, CLAIMS, log=LOG)
    assert anyio.current_time() - start == SETTLE_TIMEOUT
    assert caplog.messages == ["a and 2 more could not be settled within 1 s; free when the lease ends"]


async def test_an_error_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    await settle_shielded(Store(error=ValueError("full")).retry, CLAIMS[:1], log=LOG)
    assert caplog.messages == ["a could not be settled; free when the lease ends"]
    assert "ValueError: full" in caplog.text


async def test_a_lost_lease_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    await settle_shielded(Store(error=LeaseLost(["a"])).retry, CLAIMS[:1], log=LOG)
    assert caplog.messages == []
