"""Leases are renewed every third of their length, retried while the store fails, and lost with their work."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import anyio
import pytest

from modd.concurrency.lease import LeaseKeeper
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

LOG = logging.getLogger("leases")


class Lease:
    """A lease of a store that answers as told: True, False, an error, or None for no answer; True when told nothing."""

    name = "the lease of p"

    def __init__(self, *answers: bool | Exception | None, until: float = 30) -> None:
        self._answers: Iterator[bool | Exception | None] = iter(answers)
        self._start = anyio.current_time()
        self.until = self._start + until
        self.active = True
        self.renewals: list[float] = []
        self.lost_at: float | None = None

    async def renew(self) -> bool:
        self.renewals.append(round(anyio.current_time() - self._start, 3))
        answer = next(self._answers, True)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await anyio.sleep_forever()
        return bool(answer)

    def lose(self) -> None:
        self.active = False
        self.lost_at = round(anyio.current_time() - self._start, 3)


async def keep(lease: Lease, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await LeaseKeeper(30, LOG).keep(lease)


async def keep_all(*leases: Lease, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await LeaseKeeper(30, LOG, shortest_pause=0.1).keep_all(lambda: leases)


async def test_a_lease_is_renewed_every_third_of_its_length() -> None:
    lease = Lease()
    await keep(lease, 95)
    assert (lease.renewals, lease.lost_at) == ([10, 20, 30, 40, 50, 60, 70, 80, 90], None)


async def test_a_lease_that_another_holder_has_is_lost_at_once() -> None:
    lease = Lease(True, False)
    await keep(lease, 95)
    assert (lease.renewals, lease.lost_at) == ([10, 20], 20)


async def test_a_failed_renewal_is_retried_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    lease = Lease(OSError("no connection"))
    await keep(lease, 45)
    assert (lease.renewals, lease.lost_at) == ([10, 20, 30, 40], None)
    assert "the lease of p cannot be renewed; next try in 10 s" in caplog.text


async def test_a_lease_ends_when_the_store_fails_or_does_not_answer() -> None:
    failing = Lease(*[OSError()] * 9)
    await keep(failing, 95)
    silent = Lease(True, None)
    await keep(silent, 95)
    assert (failing.lost_at, silent.lost_at) == (30, 40)


async def test_of_many_leases_those_are_renewed_that_would_not_last() -> None:
    short, long, settled = Lease(), Lease(until=55), Lease()
    settled.active = False
    await keep_all(short, long, settled, seconds=45)
    assert (short.renewals, long.renewals, settled.renewals) == ([10, 20, 30, 40], [40], [])


async def test_while_there_are_no_leases_no_time_is_counted_and_new_ones_are_renewed_in_time() -> None:
    # TK-4
    keeper, leases = LeaseKeeper(30, LOG), list[Lease]()
    keeper.begin()  # nothing waits for it yet
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper.keep_all, lambda: leases)
        await anyio.sleep(1004)
        leases.append(Lease())
        keeper.begin()
        await anyio.sleep(25)
        tasks.cancel_scope.cancel()
    assert leases[0].renewals == [10, 20]


async def test_one_of_many_is_retried_after_pauses_that_double_and_no_second_time_meanwhile() -> None:
    failing, stuck, lost = Lease(*[OSError()] * 3), Lease(None), Lease(False)
    await keep_all(failing, stuck, lost, seconds=25)
    assert failing.renewals == [10, 10.1, 10.3, 10.7]
    assert (stuck.renewals, stuck.lost_at) == ([10], None)
    assert (lost.renewals, lost.lost_at) == ([10], 10)
