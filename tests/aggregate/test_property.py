"""Random commands from several tasks and two stores on one file: the log is what a plain model allows.

``MODD_PROFILE=long`` runs many more histories.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd import Value
from modd.aggregate import Aggregate, CommandRejected, Instance, Rejected
from modd.cqrs import Command, Envelope, Event
from modd.ports import Conflict, Tagged
from modd.stores import MemoryStore, SqliteStore
from tests.loops import BACKENDS

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 15
SEATS = 3


class Move(Command[None]):
    """Pay in, or with a negative amount pay out."""

    account: str
    amount: int


class Moved(Event):
    account: str
    amount: int


class Take(Command[None]):
    """Take a seat."""

    student: str


class Taken(Event):
    student: str


class Balance(Value, frozen=True):
    amount: int = 0


class Seats(Value, frozen=True):
    students: tuple[str, ...] = ()


def move(balance: Instance[Balance], command: Move) -> Moved | Rejected:
    if balance.state.amount + command.amount < 0:
        return Rejected("Balance is too low.")
    return Moved(command.account, command.amount)


def moved(state: Balance, event: Moved) -> Balance:
    return Balance(state.amount + event.amount)


def take(seats: Instance[Seats], command: Take) -> Taken | Rejected:
    if len(seats.state.students) == SEATS or command.student in seats.state.students:
        return Rejected("No seat.")
    return Taken(command.student)


def taken(state: Seats, event: Taken) -> Seats:
    return Seats((*state.students, event.student))


class Step(msgspec.Struct, frozen=True):
    """A command that one task gives, alone or in a transaction with the one before it.

    writer: the number of the store. id: that of the command; None for one that modd makes. together: True to be in one
    transaction with a second payment into another account.
    """

    writer: int
    command: Move | Take
    id: str | None
    together: bool


moves = st.builds(Move, st.sampled_from("ab"), st.integers(-3, 4))
takes = st.builds(Take, st.sampled_from("pqrst"))
steps = st.builds(
    Step, st.integers(0, 1), st.one_of(moves, moves, takes), st.sampled_from([None, None, "x", "y"]), st.booleans()
)
histories = st.lists(st.lists(steps, min_size=1, max_size=4), min_size=3, max_size=8)


class Trial:
    """Two writers of one content, and the model: the outcome of each command.

    stores: those of the writers.
    """

    def __init__(self, stores: Sequence[Any]) -> None:
        self._stores = stores
        self._accounts = [accounts(store) for store in stores]
        self._courses = [courses(store) for store in stores]
        self.accepted = Counter[str]()
        """The sum of the amounts of each account, and the number of seats."""
        self.ids: set[str] = set()

    async def run(self, history: list[list[Step]]) -> None:
        """Give the commands of each round side by side, and look at the log after it."""
        for steps in history:
            async with anyio.create_task_group() as tasks:
                for step in steps:
                    tasks.start_soon(self._give, step)
            await self._check()

    async def _give(self, step: Step) -> None:
        aggregate: Any = (self._accounts if isinstance(step.command, Move) else self._courses)[step.writer]
        envelope = Envelope(step.command) if step.id is None else Envelope(step.command, id=self._qualify(step))
        try:
            if not (step.together and isinstance(step.command, Move)):
                self._note((await aggregate.dispatch(envelope)).events)
                return
            async with self._stores[step.writer].transaction():
                first = await aggregate.dispatch(envelope)
                second = await aggregate.dispatch(Move("c", 1))
            self._note((*first.events, *second.events))
        except (CommandRejected, Conflict):
            return

    def _qualify(self, step: Step) -> str:
        return f"{type(step.command).__name__}-{step.id}"

    def _note(self, events: Sequence[Any]) -> None:
        for event in events:
            self.accepted[event.account if isinstance(event, Moved) else "seats"] += getattr(event, "amount", 1)

    async def _check(self) -> None:
        events = [event async for event in self._stores[0].events.read_all()]
        assert [event.position for event in events] == [*range(1, len(events) + 1)]
        ids = Counter(event.headers["id"] for event in events)
        assert set(ids.values()) <= {1}
        causes = Counter(event.headers["causation"] for event in events)
        assert all(number == 1 for cause, number in causes.items() if cause.startswith(("Move-", "Take-")))
        for number, store in enumerate(self._stores):
            for account in "abc":
                amounts = [change.event.amount async for change in self._accounts[number].history(account)]
                assert (await self._accounts[number].get(account)).state == Balance(sum(amounts))
                assert sum(amounts) == self.accepted[account]
                assert all(sum(amounts[:end]) >= 0 for end in range(len(amounts)))
            seats = (await self._courses[number].read(Take("p"))).state.students
            assert len(seats) == self.accepted["seats"] <= SEATS and len({*seats}) == len(seats), store


def accounts(store: Any) -> Aggregate[Balance]:
    commands, events = {Move: move}, {Moved: moved}
    return Aggregate(
        "account", identity="account", state=Balance, commands=commands, events=events, store=store, snapshots=2
    )


def courses(store: Any) -> Aggregate[Seats]:
    return Aggregate(
        "course",
        boundary=lambda command: Tagged("course"),
        tags=lambda event: ["course"],
        state=Seats,
        commands={Take: take},
        events={Taken: taken},
        store=store,
    )


async def run_in_memory(history: list[list[Step]]) -> None:
    store = MemoryStore()
    await Trial([store, store]).run(history)


async def run_in_file(history: list[list[Step]]) -> None:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with AsyncExitStack() as stack:
            path = Path(folder) / "events.db"
            await Trial([await stack.enter_async_context(SqliteStore(path)) for _ in range(2)]).run(history)


@pytest.mark.parametrize("run", [run_in_memory, run_in_file])
@settings(max_examples=EXAMPLES)
@given(history=histories)
def test_the_log_is_what_the_outcomes_of_commands_say(run: Any, history: list[list[Step]]) -> None:
    # WM-29, WM-30, WM-32, WM-33, WM-41
    for backend in BACKENDS:
        anyio.run(run, history, backend=backend)
