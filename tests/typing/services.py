"""What users write of services, and the types it has: both checkers must accept it, and it runs (test_typing.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from modd import Bus, Message, Value
from modd.cqrs import Command, Event, Query
from modd.ports import Transaction
from modd.service import DomainError, Entropy, Handler, ServerError, Service, pure
from modd.stores import MemoryStore
from modd.testing import given
from modd.testing.service_scenario import GivenService


class Room(Value, frozen=True):
    players: tuple[str, ...] = ()


class Join(Command[None]):
    room: str
    player: str


class Leave(Command[None]):
    room: str


class Look(Query[int]):
    room: str


class Joined(Event):
    player: str


class Left(Event):
    pass


class Asked(Message):
    room: str


class Told(Message):
    text: str


class RoomFull(DomainError):
    pass


class RoomGone(RoomFull):
    pass


def execute(command: Join | Leave, room: Room, dice: Entropy[int]) -> list[Joined | Left] | RoomFull:
    (seat,), rest = dice.take(1)
    assert_type(seat, int)
    assert_type(rest, Entropy[int])
    if isinstance(command, Leave):
        return RoomGone("gone")
    return [Joined(f"{command.player} in {seat}")] if len(room.players) < seat else RoomFull(command.room)


def join_alone(command: Join) -> Joined | None:
    return Joined(command.player)


def step_by_step(command: Join) -> Iterator[Joined | RoomFull]:
    yield Joined(command.player)


def interpret(message: Asked) -> list[Join | Look]:
    return [Join(message.room, "ada"), Look(message.room)]


async def load(command: Join | Leave, tx: Transaction) -> tuple[Room, Entropy[int]]:
    return Room(), Entropy([3])


async def store(event: Joined | Left, tx: Transaction) -> None: ...


def look(query: Look) -> Told:
    return Told(f"{query.room} is open")


async def outbound(event: Joined | Left) -> AsyncIterator[Told]:
    yield Told(type(event).__name__)


def is_full(error: RoomFull, command: Join) -> Told:
    return Told(f"{command.room}: {error}")


service = Service(execute)
by_position: Service[Join | Leave, [Room, Entropy[int]]] = service
assert_type(Service(join_alone, guarded=True), Service[Join, []])
assert_type(Service(step_by_step).execute(Join("7", "ada")), tuple[Message, ...])
assert_type(service.execute(Join("7", "ada"), Room(), Entropy([3])), tuple[Message, ...])

handler = Handler(
    service,
    interpret=interpret,
    load=load,
    query=look,
    store=store,
    outbound=outbound,
    errors={RoomFull: is_full},
    transaction=MemoryStore(),
    name="rooms",
)
assert_type(handler, Handler[Asked])
assert_type(pure(join_alone)(Join("7", "ada")), Joined | None)


def use_services() -> None:
    assert_type(given(service, Room(), Entropy([3])), GivenService[Join | Leave])
    given(service, Room(), Entropy([3])).when(Join("7", "ada")).then(Joined("ada in 3"))
    assert_type(given(service, Room(), dice=Entropy([0])).when(Join("7", "ada")).then_error(RoomFull), RoomFull)
    assert_type(given(service, Room(), Entropy([3])).when(Leave("7")).then_error(RoomGone), RoomGone)
    assert_type(ServerError("no").reason, str)


async def use_handlers() -> None:
    async with MemoryStore() as opened:
        kept = Handler(service, interpret=interpret, load=load, query=look, store=store, transaction=opened)
        assert_type(await kept(Asked("7")), tuple[Message, ...])
        await Bus([kept])(Asked("7"))
