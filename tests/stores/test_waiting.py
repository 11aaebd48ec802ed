"""Waiting for items: a look first, one after each notification, and one whenever time alone may have changed them."""

from __future__ import annotations

from math import inf

import anyio
import pytest

from modd.errors import InvalidOption
from modd.stores.waiting import Notifier

pytestmark = pytest.mark.anyio


class Items:
    """Counts the looks; there is something to claim from the look with the number ``claimable_at``."""

    def __init__(self, claimable_at: float) -> None:
        self.looks, self._claimable_at = 0, claimable_at

    async def is_claimable(self) -> bool:
        self.looks += 1
        return self.looks >= self._claimable_at


async def notify_when_waited_for(notifier: Notifier) -> None:
    await anyio.wait_all_tasks_blocked()
    notifier.notify()


@pytest.mark.parametrize(
    ("options", "claimable_at", "looks"),
    [
        ({}, 1, 1),
        ({}, 2, 2),
        ({"is_empty": True}, 1, 1),
        ({"trust_notify": True}, inf, 1),
        ({"is_empty": True, "trust_notify": True}, inf, 0),
    ],
)
async def test_it_looks_no_more_often_than_it_must(options: dict[str, bool], claimable_at: float, looks: int) -> None:
    notifier, items = Notifier(), Items(claimable_at)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notify_when_waited_for, notifier)
        with anyio.fail_after(60):
            await notifier.wait(60, items.is_claimable, lambda: inf, **options)
    assert items.looks == looks


async def test_it_looks_again_at_the_next_check_without_a_notification() -> None:
    items = Items(claimable_at=3)
    with anyio.fail_after(60):
        await Notifier().wait(60, items.is_claimable, lambda: anyio.current_time() + 0.001, trust_notify=True)
    assert items.looks == 3


async def test_it_ends_after_its_time_and_refuses_a_negative_one() -> None:
    items = Items(claimable_at=inf)
    await Notifier().wait(0.001, items.is_claimable, lambda: inf)
    assert items.looks == 1
    with pytest.raises(InvalidOption, match=r"seconds=-1: give seconds, 0 or more"):
        await Notifier().wait(-1, items.is_claimable, lambda: inf)


def test_a_notifier_serves_one_loop_after_another() -> None:
    notifier, items = Notifier(), Items(claimable_at=inf)
    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(notifier.wait, 0.001, items.is_claimable, lambda: inf, backend=backend)
    assert items.looks == 3
