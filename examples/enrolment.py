"""Enrolment: the last seat goes once, by a boundary across courses and students.

Run it: ``python examples/enrolment.py``.

A decision about a subscription rests on events of a course and of a student, and neither is the owner of the rule. So
the aggregate has no identity: its state comes from the events with the tags of both.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import msgspec

from modd import Value
from modd.aggregate import Aggregate, CommandRejected, Instance, Rejected
from modd.cqrs import Command, Event
from modd.ports import Tagged

MOST_COURSES = 2
"""Courses that a student may take."""


class Opened(Event):
    course: str
    seats: int


class Subscribed(Event):
    course: str
    student: str


class Open(Command[None]):
    course: str
    seats: int


class Subscribe(Command[None]):
    course: str
    student: str


class Enrolment(Value, frozen=True):
    """The facts that a decision needs: the seats of the course, who has one, and the courses of the student."""

    seats: int = 0
    taken: tuple[tuple[str, str], ...] = ()


def tags_of(event: Opened | Subscribed) -> Iterable[str]:
    student = [f"student:{event.student}"] if isinstance(event, Subscribed) else []
    return [f"course:{event.course}", *student]


def boundary_of(command: Open | Subscribe) -> Tagged:
    course = Tagged(f"course:{command.course}")
    if isinstance(command, Open):
        return course
    return course | Tagged(f"student:{command.student}", types=[Subscribed])


def open_course(enrolment: Instance[Enrolment], command: Open) -> Opened | Rejected:
    return Rejected("Course exists already.") if enrolment.exists() else Opened(command.course, command.seats)


def subscribe(enrolment: Instance[Enrolment], command: Subscribe) -> Subscribed | Rejected:
    taken = enrolment.state.taken
    if (command.course, command.student) in taken:
        return Rejected("Student has a seat already.")
    if sum(course == command.course for course, _ in taken) >= enrolment.state.seats:
        return Rejected("Course is full.")
    if sum(student == command.student for _, student in taken) >= MOST_COURSES:
        return Rejected(f"Student takes {MOST_COURSES} courses already.")
    return Subscribed(command.course, command.student)


def opened(state: Enrolment, event: Opened) -> Enrolment:
    return msgspec.structs.replace(state, seats=event.seats)


def subscribed(state: Enrolment, event: Subscribed) -> Enrolment:
    return msgspec.structs.replace(state, taken=(*state.taken, (event.course, event.student)))


enrolment = Aggregate(
    "enrolment",
    boundary=boundary_of,
    tags=tags_of,
    state=Enrolment,
    commands={Open: open_course, Subscribe: subscribe},
    events=[opened, subscribed],
)


async def main() -> None:
    await enrolment.dispatch(Open("logic", 1))
    async with anyio.create_task_group() as tasks:
        for student in ("ada", "bob", "eve"):
            tasks.start_soon(try_to_subscribe, student)


async def try_to_subscribe(student: str) -> None:
    try:
        await enrolment.dispatch(Subscribe("logic", student))
    except CommandRejected as rejection:
        print(f"{student}: {rejection.reason}")
    else:
        print(f"{student} has a seat")


if __name__ == "__main__":
    anyio.run(main)
