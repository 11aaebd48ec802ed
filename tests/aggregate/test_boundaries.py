"""Boundaries: decisions that rest on the events of a query."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from modd import InvalidOption, Value
from modd.aggregate import Aggregate, CommandRejected, Instance
from modd.cqrs import Codec, Command, Duplicate, Envelope, Event
from modd.ports import Conflict, QueryConflict, Tagged
from modd.stores import MemoryStore
from tests.aggregate.billing import Invoice, Issue, Issued, invoices, recorded
from tests.aggregate.undone import undone

pytestmark = pytest.mark.anyio


class Course(Value, frozen=True):
    """What a subscription depends on: the free seats of the course, and the courses of the student."""

    seats: int = 0
    courses: int = 0


class Offer(Command[None]):
    course: str
    seats: int


class Subscribe(Command[int]):
    course: str
    student: str


class Offered(Event):
    course: str
    seats: int


class Subscribed(Event):
    course: str
    student: str


def offer(course: Instance[Course], command: Offer) -> Offered:
    if course.exists():
        raise CommandRejected("Course exists.")
    return Offered(command.course, command.seats)


async def subscribe(course: Instance[Course], command: Subscribe) -> Subscribed:
    await anyio.lowlevel.checkpoint()
    if not course.state.seats:
        raise CommandRejected("No seat is free.")
    return Subscribed(command.course, command.student)


def offered(course: Course, event: Offered) -> Course:
    return msgspec.structs.replace(course, seats=course.seats + event.seats)


def subscribed(course: Course, event: Subscribed) -> Course:
    return Course(course.seats - 1, course.courses + 1)


def boundary_of(command: Any) -> Tagged:
    return Tagged(f"course:{command.course}")


def tags_of(event: Any) -> list[str]:
    return [f"{name}:{getattr(event, name)}" for name in ("course", "student") if hasattr(event, name)]


def enrolment(store: Any, **options: Any) -> Aggregate[Course]:
    usual: dict[str, Any] = {
        "state": Course,
        "boundary": boundary_of,
        "tags": tags_of,
        "commands": {Offer: offer, Subscribe: subscribe},
        "events": {Offered: offered, Subscribed: subscribed},
        "attempts": 100,
    }
    return Aggregate("enrolment", store=store, **usual | options)


async def test_the_state_is_folded_from_the_events_that_match(store: Any) -> None:
    # WM-40
    aggregate = enrolment(store, boundary=lambda c: boundary_of(c) | Tagged(f"student:{c.student}", types=[Subscribed]))
    by_course = enrolment(store)
    for course in ("a", "b"):
        await by_course.dispatch(Offer(course, 5))
    await aggregate.dispatch(Subscribe("a", "ada"))
    await aggregate.dispatch(Subscribe("b", "bob"))
    found = await aggregate.read(Subscribe("a", "bob"))
    assert (found.state, found.revision) == (Course(3, 2), 3)
    assert (await aggregate.read(Subscribe("c", "ada"))).state == Course(-1, 1)
    assert {event.stream async for event in store.events.read_all()} == {"enrolment"}


async def test_a_boundary_exists_if_any_event_matches(store: Any) -> None:
    # WM-41
    aggregate = enrolment(store)
    assert not (await aggregate.read(Offer("a", 1))).exists()
    await aggregate.dispatch(Offer("a", 1))
    assert (await aggregate.read(Offer("a", 1))).exists()
    assert not (await aggregate.read(Offer("b", 1))).exists()
    with pytest.raises(CommandRejected, match=r"Course exists\."):
        await aggregate.dispatch(Offer("a", 1))


async def test_the_last_seat_goes_once_whoever_tries_at_once(stores: Any) -> None:
    # WM-41
    aggregates = [enrolment(store) for store in stores]
    await aggregates[0].dispatch(Offer("a", 3))
    refused = list[str]()

    async def tries(number: int) -> None:
        try:
            await aggregates[number % 2].dispatch(Subscribe("a", str(number)))
        except CommandRejected as rejection:
            refused.append(rejection.reason)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(tries, number)
    assert refused == ["No seat is free."] * 7
    assert await recorded(aggregates[1]) == 4


class Meddling:
    """A command before whose recording others are faster, for so many times."""

    def __init__(self, other: Aggregate[Course], command: Any, times: int) -> None:
        self.other, self.command, self.times = other, command, times
        self.seen = list[int]()

    async def __call__(self, course: Instance[Course], command: Subscribe) -> Subscribed:
        self.seen.append(course.state.seats)
        if len(self.seen) <= self.times:
            await self.other.dispatch(self.command)
        return Subscribed(command.course, command.student)


async def test_a_decision_is_made_anew_if_an_event_that_matches_has_come(stores: Any) -> None:
    # WM-40
    other = enrolment(stores[1])
    await other.dispatch(Offer("a", 9))
    meddling = Meddling(other, Subscribe("a", "eve"), 2)
    aggregate = enrolment(stores[0], commands={Offer: offer, Subscribe: meddling})
    await aggregate.dispatch(Subscribe("a", "ada"))
    assert meddling.seen == [9, 8, 7]
    meddling.times, few = 99, aggregate.stored(stores[0], attempts=2)
    with pytest.raises(QueryConflict):
        await few.dispatch(Subscribe("a", "bob"))
    assert meddling.seen == [9, 8, 7, 6, 5]


async def test_commands_whose_boundaries_do_not_meet_do_not_conflict(stores: Any) -> None:
    # WM-41
    other = enrolment(stores[1])
    for course in ("a", "b"):
        await other.dispatch(Offer(course, 9))
    meddling = Meddling(other, Subscribe("b", "eve"), 9)
    aggregate = enrolment(stores[0], commands={Offer: offer, Subscribe: meddling})
    await aggregate.dispatch(Subscribe("a", "ada"))
    assert meddling.seen == [9]


@pytest.mark.parametrize("immediate", [False, True])
async def test_decisions_of_one_transaction_rest_on_each_other_or_conflict(immediate: bool, store: Any) -> None:
    # WM-40
    aggregate = enrolment(store)
    await aggregate.dispatch(Offer("a", 1))

    async def both() -> None:
        async with store.transaction(immediate=immediate):
            for student in ("ada", "bob"):
                await aggregate.dispatch(Subscribe("a", student))

    with pytest.raises(CommandRejected if immediate else Conflict):
        await both()
    assert await recorded(aggregate) == 1
    async with undone(store.transaction(immediate=immediate)):
        await aggregate.dispatch(Subscribe("a", "ada"))
    await aggregate.dispatch(Subscribe("a", "bob"))
    assert await recorded(aggregate) == 2


async def test_a_command_id_takes_effect_once_also_with_a_boundary(store: Any) -> None:
    # WM-40, WM-33
    aggregate = enrolment(store)
    for duplicate in (False, True):
        dispatched = await aggregate.dispatch(Envelope(Offer("a", 1), id="c-1"))
        assert dispatched.envelope.has(Duplicate) is duplicate
    assert (await aggregate.read(Offer("a", 1))).state.seats == 1


async def test_aggregates_of_streams_may_be_tagged_and_are_seen_by_boundaries(store: Any) -> None:
    # WM-42
    def issue(invoice: Instance[Invoice], command: Issue) -> list[Event]:
        invoice.transfer_ownership("ada")
        return [Issued(command.invoice_id), Offered(command.invoice_id, 4)]

    both = Codec([Issued, Offered])
    events = {Issued: lambda state, event: state, Offered: lambda state, event: state}
    billing = invoices(store=store, codec=both, commands={Issue: issue}, events=events, tags=lambda event: ["course:a"])
    await billing.dispatch(Issue("a"))
    known = enrolment(store)
    assert (await known.read(Offer("a", 1))).state == Course(4)
    every = enrolment(store, codec=Codec([Issued, Offered, Subscribed]))
    found = await every.read(Offer("a", 1))
    assert (found.state, found.revision) == (Course(4), 2)
    assert (await billing.get("a")).revision == 3


def test_a_boundary_without_tags_is_an_error_when_the_aggregate_is_made() -> None:
    # WM-42
    for options in ({"tags": None}, {"tags": ["a"]}, {"boundary": Tagged("a")}, {"identity": "course"}):
        with pytest.raises(InvalidOption, match=r"tags|boundary|identity"):
            enrolment(MemoryStore(), **options)


@pytest.mark.parametrize("tags", ["course:a", None, 7, [7], [""], [None]])
async def test_tags_that_are_no_texts_are_an_error_and_nothing_is_recorded(tags: Any, store: Any) -> None:
    # WM-42
    aggregate = enrolment(store, tags=lambda event: tags)
    with pytest.raises(InvalidOption, match="tags"):
        await aggregate.dispatch(Offer("a", 1))
    assert await recorded(aggregate) == 0


@pytest.mark.parametrize("query", [None, "course:a", ["course:a"], ()])
async def test_an_empty_query_is_an_error_that_names_the_command(query: Any, store: Any) -> None:
    # WM-42
    aggregate = enrolment(store, boundary=lambda command: query)
    with pytest.raises(InvalidOption, match="boundary of Offer"):
        await aggregate.dispatch(Offer("a", 1))
    with pytest.raises(InvalidOption, match="tags"):
        await enrolment(store, boundary=lambda command: Tagged()).dispatch(Offer("a", 1))


async def test_the_key_of_a_command_with_a_boundary_is_its_query() -> None:
    # WM-41
    aggregate = enrolment(MemoryStore())
    assert aggregate.key(Envelope(Offer("a", 1))) == "enrolment/Tagged('course:a')"
