"""The handler: the lines that players type become commands, rooms are documents of a store, events become notices.

It knows a store by its port, and neither the file nor the program around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from examples.lobby.domain import (
    Lobby,
    LobbyError,
    PlayerCameBack,
    PlayerJoined,
    PlayerLeft,
    PlayerWentOffline,
    Room,
    RoomEvent,
    RoomFilledUp,
    WaitModeChanged,
    evolve,
)
from examples.lobby.service import (
    ChangeWaitMode,
    GoOffline,
    JoinExistingRoom,
    JoinFriendsRoom,
    JoinGlobalRoom,
    LeaveRoom,
    LobbyCommand,
    lobby_service,
)
from modd import Message
from modd.cqrs import Query
from modd.ports import Documents, Storage
from modd.service import Entropy, Handler


class Typed(Message):
    """An inbound message: a line of a player, such as ``play 2`` or ``leave, join KQXB``."""

    player: str
    line: str


class Notice(Message):
    """An outbound message: a text for one player."""

    player: str
    text: str


class ListRooms(Query[None]):
    player: str


def interpret(typed: Typed) -> Iterator[LobbyCommand | ListRooms | Notice]:
    """Yield the commands and queries of a line, and a notice for each part that makes no sense."""
    for part in typed.line.split(","):
        match part.split():
            case ["play", "with", "friends", seats] if seats.isdecimal():
                yield JoinFriendsRoom(typed.player, int(seats))
            case ["play", seats] if seats.isdecimal():
                yield JoinGlobalRoom(typed.player, int(seats))
            case ["join", room]:
                yield JoinExistingRoom(typed.player, room)
            case ["leave"]:
                yield LeaveRoom(typed.player)
            case ["wait"] | ["do", "not", "wait"]:
                yield ChangeWaitMode(typed.player, part.split() == ["wait"])
            case ["offline"]:
                yield GoOffline(typed.player)
            case ["rooms"]:
                yield ListRooms(typed.player)
            case _:
                yield Notice(typed.player, f"you cannot {part.strip()!r} here")


class Rooms:
    """The adapter to the store: a document for each room."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def lobby(self) -> Lobby:
        """Return all rooms. A lobby of thousands would read those that a command needs."""
        return Lobby(tuple(decode(body) for _, body in await self._documents.items(limit=1000)))

    async def load(self, command: LobbyCommand, dice: Random) -> tuple[Lobby, Entropy[int]]:
        """Return the model of a decision, and the dice for it."""
        return await self.lobby(), Entropy([dice.randrange(26) for _ in range(12)])

    async def store(self, event: RoomEvent) -> None:
        """Fold an event into the document of its room."""
        await self._documents.fold([(event.room, event)], evolve, decode, msgspec.json.encode)

    async def list_rooms(self, query: ListRooms) -> Notice:
        """Return the answer to a query: the rooms that anybody may join."""
        rooms = [room for room in (await self.lobby()).rooms if room.is_global]
        lines = [f"{room.id} {len(room.players)}/{room.seats}" for room in rooms]
        return Notice(query.player, f"rooms: {', '.join(lines) or 'none'}")


def decode(body: bytes) -> Room:
    return msgspec.json.decode(body, type=Room)


def tell(event: RoomEvent) -> Iterator[Notice]:
    """Yield the notices about an event: several, one or none."""
    match event:
        case PlayerJoined():
            seats = "no seat is" if not event.free else f"{event.free} seat{'s are' if event.free > 1 else ' is'}"
            yield Notice(event.player, f"you sit in room {event.room}, {seats} free")
            yield from (Notice(each, f"{event.player} sits down") for each in event.others)
        case RoomFilledUp():
            yield from (Notice(each, f"the game begins: {', '.join(event.players)}") for each in event.players)
        case PlayerLeft():
            yield Notice(event.player, f"you have left room {event.room}")
            yield from (Notice(each, f"{event.player} has left") for each in event.others)
        case WaitModeChanged():
            text = "holds" if event.waits else "does not hold"
            yield from (Notice(each, f"the room {text} seats of players who are offline") for each in event.players)
        case PlayerWentOffline():
            yield from (Notice(each, f"{event.player} is offline, we wait") for each in event.others)
        case PlayerCameBack():
            yield Notice(event.player, f"welcome back to room {event.room}")
            yield from (Notice(each, f"{event.player} is back") for each in event.others)


def refuse(error: LobbyError, command: LobbyCommand) -> Notice:
    """Return the notice about an error of the domain."""
    return Notice(command.player, f"sorry: {error}")


def lobby_handler(store: Storage, dice: Random) -> Handler[Typed]:
    """Return the handler of a lobby whose rooms are in a store."""
    rooms = Rooms(store.documents("rooms"))
    return Handler(
        lobby_service,
        interpret=interpret,
        load=rooms.load,
        query=rooms.list_rooms,
        store=rooms.store,
        outbound=tell,
        errors={LobbyError: refuse},
        resources={Random: dice},
        transaction=store,
        name="lobby",
    )
