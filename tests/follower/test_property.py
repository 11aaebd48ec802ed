"""Random work from several tasks of two processes on one file: log, flow and projections are what a plain model allows.

``MODD_PROFILE=long`` runs many more histories.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.stores import SqliteStore
from tests.follower.partner import Driver, Partner, Step, partner
from tests.proofs.fulfilment import Shop, account_of, at_work
from tests.proofs.ledger import SEATS, Subscribe

pytestmark = pytest.mark.slow

EXAMPLES = 150 if os.environ.get("MODD_PROFILE") == "long" else 6


actions = st.sampled_from(["place", "place", "place", "pay", "pay", "subscribe", "rebuild", "catch up"])
steps = st.builds(Step, st.booleans(), actions, st.integers(0, 5), st.booleans())
histories = st.lists(st.lists(steps, min_size=1, max_size=5), min_size=2, max_size=5)


async def run(partner: Partner, history: list[list[Step]]) -> None:
    """Do the rounds of a history in this process and in its partner, and look at the store at the end."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "shop.db"
        async with SqliteStore(path, timeout=60) as store:
            assert await partner.ask(str(path)) == "ready"
            driver, theirs = Driver(Shop(store)), list[str]()
            async with at_work(driver.shop):
                for each in history:
                    theirs = await do_round(driver, partner, each)
                assert await partner.ask([]) == "closed"
                done = driver.done + theirs
                await driver.shop.finish([int(name[1:]) for name in done if name.startswith("o")])
            await check(driver, done)


async def do_round(driver: Driver, partner: Partner, steps: list[Step]) -> list[str]:
    """Do a round in both processes; return the work of the partner that has taken effect until now."""
    answers: list[list[str]] = []

    async def ask() -> None:
        answers.append(await partner.ask([step for step in steps if step.partner] or [NOTHING]))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(driver.round, [step for step in steps if not step.partner])
    return answers[0]


NOTHING = Step(True, "catch up", 0, False)


async def check(driver: Driver, done: list[str]) -> None:
    """Compare the store with the outcomes of the commands."""
    events = [event async for event in driver.shop.store.events.read_all()]
    assert [event.position for event in events] == [*range(1, len(events) + 1)]
    assert {*Counter(event.headers["id"] for event in events).values()} <= {1}
    for stream in {event.stream for event in events}:
        revisions = [event.revision for event in events if event.stream == stream]
        assert revisions == [*range(1, len(revisions) + 1)]
    students = (await driver.course.read(Subscribe("s0"))).state.students
    assert sorted(students) == sorted(name for name in done if name.startswith("s"))
    assert len(students) <= SEATS
    orders = [name for name in done if name.startswith("o")]
    assert (await account_of(driver.shop)).problems(orders) == []


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def other(backend: str) -> Iterator[Partner]:
    with partner(backend) as process:
        yield process


@settings(max_examples=EXAMPLES)
@given(history=histories)
def test_two_processes_leave_log_flow_and_projections_as_the_outcomes_say(
    backend: str, other: Partner, history: list[list[Step]]
) -> None:
    # WM-54, WM-60, WM-62, WM-78
    anyio.run(run, other, history, backend=backend)
