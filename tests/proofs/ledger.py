"""What is worked on when processes with aggregates are killed: deposits, transfers in one transaction, last seats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd import Value
from modd.aggregate import Aggregate, CommandRejected, Instance, Rejected
from modd.cqrs import Command, Envelope, Event
from modd.ports import Tagged
from modd.stores import SqliteStore
from tests.proofs.kills import Killer
from tests.proofs.zygote import Outside

ACCOUNTS = ("a", "b", "c")
ROUNDS = 4
SEATS = 2
STUDENTS = 4


class Deposit(Command[None]):
    account: str
    amount: int


class Deposited(Event):
    account: str
    amount: int


class Subscribe(Command[None]):
    student: str


class Subscribed(Event):
    student: str


class Account(Value, frozen=True):
    """The state of an account: its balance, and how many deposits there were."""

    balance: int = 0
    deposits: int = 0


class Course(Value, frozen=True):
    """The state of the one course: who has a seat."""

    students: tuple[str, ...] = ()


def deposit(account: Instance[Account], command: Deposit) -> Deposited:
    return Deposited(command.account, command.amount)


def deposited(state: Account, event: Deposited) -> Account:
    return Account(state.balance + event.amount, state.deposits + 1)


def subscribe(course: Instance[Course], command: Subscribe) -> Subscribed | Rejected:
    return Rejected("Course is full.") if len(course.state.students) == SEATS else Subscribed(command.student)


def subscribed(state: Course, event: Subscribed) -> Course:
    return Course((*state.students, event.student))


def accounts(store: Any, **options: Any) -> Aggregate[Account]:
    """Accounts, with a snapshot at every third event."""
    commands, events = {Deposit: deposit}, {Deposited: deposited}
    usual: dict[str, Any] = {"snapshots": 3, "store": store}
    return Aggregate("account", identity="account", state=Account, commands=commands, events=events, **usual | options)


def courses(store: Any) -> Aggregate[Course]:
    """A course whose seats are a boundary."""
    return Aggregate(
        "course",
        boundary=lambda command: Tagged("course"),
        tags=lambda event: ["course", f"student:{event.student}"],
        state=Course,
        commands={Subscribe: subscribe},
        events={Subscribed: subscribed},
        store=store,
    )


async def do_all(store: SqliteStore, outside: Outside) -> None:
    """Give all commands, each under an id of its own, and tell of each that was recorded."""
    bank, school = accounts(store), courses(store)
    for number in range(ROUNDS):
        for account in ACCOUNTS:
            await bank.dispatch(Envelope(Deposit(account, 10), id=f"{account}-{number}"))
            outside.tell(done=f"{account}-{number}")
        async with store.transaction():
            for account, amount in (("a", -1), ("b", 1)):
                await bank.dispatch(Envelope(Deposit(account, amount), id=f"transfer-{number}-{account}"))
        outside.tell(done=f"transfer-{number}-a")
        outside.tell(done=f"transfer-{number}-b")
    for number in range(STUDENTS):
        try:
            await school.dispatch(Envelope(Subscribe(f"s{number}"), id=f"seat-{number}"))
        except CommandRejected:
            continue
        outside.tell(done=f"seat-{number}")


async def work(outside: Outside, path: str, kill_at: int | str) -> None:
    """Do all, and be killed at a point of the store."""
    killer = Killer(kill_at, outside.tell)
    async with SqliteStore(path, connect=killer) as store:
        await do_all(store, outside)
    outside.tell(points=killer.points)


async def recover(outside: Outside, path: str) -> None:
    """Tell which commands are recorded, do all again, and tell what there is then."""
    async with SqliteStore(path) as store:
        before = [event.headers["causation"] async for event in store.events.read_all()]
        outside.tell(before=before)
        await do_all(store, outside)
        events = [(event.stream, event.revision, event.position) async for event in store.events.read_all()]
        ids = [event.headers["id"] async for event in store.events.read_all()]
        bank = accounts(store)
        states = [(await bank.get(each)).state for each in ACCOUNTS]
        replayed = [(await accounts(store, snapshots=0).get(each)).state for each in ACCOUNTS]
        seats = (await courses(store).read(Subscribe("s0"))).state.students
        outside.tell(events=events, ids=ids, states=states, replayed=replayed, seats=seats)


def problems_of(done: Sequence[str], before: Sequence[str], end: dict[str, Any]) -> list[str]:
    """Return what is wrong at the end: commands that were lost or doubled, gaps, and states that do not add up."""
    problems = [f"{each} was recorded, and is lost" for each in done if each not in before]
    if len({*end["ids"]}) < len(end["ids"]) or len(end["ids"]) != ROUNDS * (len(ACCOUNTS) + 2) + SEATS:
        problems.append(f"there are {len(end['ids'])} events, {len({*end['ids']})} of them different")
    if [position for _, _, position in end["events"]] != [*range(1, len(end["events"]) + 1)]:
        problems.append("the positions have a gap")
    for name in {stream for stream, _, _ in end["events"]}:
        revisions = [revision for stream, revision, _ in end["events"] if stream == name]
        if revisions != [*range(1, len(revisions) + 1)]:
            problems.append(f"the revisions of {name} have a gap")
    wanted = [{"balance": 10 * ROUNDS + extra, "deposits": ROUNDS * n} for extra, n in ((-4, 2), (4, 2), (0, 1))]
    problems += [f"the {which} are {end[which]}" for which in ("states", "replayed") if end[which] != wanted]
    if len(end["seats"]) != SEATS:
        problems.append(f"{len(end['seats'])} seats are taken")
    return problems
