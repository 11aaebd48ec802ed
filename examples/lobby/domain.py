"""The domain: rooms, their rules, and the events and errors that come of these. Values and pure functions, no more."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import TypeAlias

from msgspec.structs import replace

from modd import Value
from modd.cqrs import Event
from modd.service import DomainError, Entropy

FEWEST, MOST = 2, 4
"""The numbers of players that a game is made for."""


class Room(Value, frozen=True):
    """A room with a seat for each player of a game.

    is_global: True if anybody may be sent into it, False for friends, who know its name.
    offline: the players whose connection is lost, and whose seats are held.
    waits: True if the room waits for players who are offline.
    """

    id: str
    seats: int
    is_global: bool = False
    players: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    waits: bool = False

    @property
    def is_full(self) -> bool:
        return len(self.players) == self.seats


class Lobby(Value, frozen=True):
    """All rooms."""

    rooms: tuple[Room, ...] = ()

    def room(self, id: str) -> Room | None:
        return next((room for room in self.rooms if room.id == id), None)

    def room_of(self, player: str) -> Room | None:
        return next((room for room in self.rooms if player in room.players), None)

    def free_room(self, seats: int) -> Room | None:
        """Return the first global room of this size with a free seat."""
        rooms = (room for room in self.rooms if room.is_global and room.seats == seats)
        return next((room for room in rooms if not room.is_full), None)


class RoomOpened(Event):
    room: str
    seats: int
    is_global: bool


class PlayerJoined(Event):
    room: str
    player: str
    others: tuple[str, ...]
    free: int


class RoomFilledUp(Event):
    room: str
    players: tuple[str, ...]


class PlayerLeft(Event):
    room: str
    player: str
    others: tuple[str, ...]


class RoomClosed(Event):
    room: str


class WaitModeChanged(Event):
    room: str
    waits: bool
    players: tuple[str, ...]


class PlayerWentOffline(Event):
    room: str
    player: str
    others: tuple[str, ...]


class PlayerCameBack(Event):
    room: str
    player: str
    others: tuple[str, ...]


RoomEvent: TypeAlias = (
    RoomOpened
    | PlayerJoined
    | RoomFilledUp
    | PlayerLeft
    | RoomClosed
    | WaitModeChanged
    | PlayerWentOffline
    | PlayerCameBack
)


class LobbyError(DomainError):
    """The base of the errors of this domain."""


class RoomFull(LobbyError):
    pass


class BadNumberOfPlayers(LobbyError):
    pass


class RoomDoesNotExist(LobbyError):
    pass


class SitsElsewhere(LobbyError):
    pass


class HasNoSeat(LobbyError):
    pass


Decision: TypeAlias = Sequence[RoomEvent] | LobbyError


def open_room(lobby: Lobby, player: str, seats: int, dice: Entropy[int], *, is_global: bool) -> Decision:
    """Open a room, and seat its first player.

    dice: with 26 sides, four for the name of the room, and four more for each name that is taken.
    """
    current = lobby.room_of(player)
    if current is not None:
        return SitsElsewhere(f"in room {current.id} already")
    if not FEWEST <= seats <= MOST:
        return BadNumberOfPlayers(f"a game has {FEWEST} to {MOST} players, not {seats}")
    letters, rest = dice.take(4)
    name = "".join(ascii_uppercase[letter] for letter in letters)
    if lobby.room(name) is not None:
        return open_room(lobby, player, seats, rest, is_global=is_global)
    return [RoomOpened(name, seats, is_global), *seat(Room(name, seats, is_global), player)]


def sit_down(lobby: Lobby, room: Room | None, player: str) -> Decision:
    """Seat a player, or have one back whose seat was held."""
    if room is None:
        return RoomDoesNotExist("there is no such room")
    if player in room.offline:
        return [PlayerCameBack(room.id, player, without(room.players, player))]
    current = lobby.room_of(player)
    if current is not None:
        return SitsElsewhere(f"in room {current.id} already")
    return RoomFull(f"room {room.id} is full") if room.is_full else seat(room, player)


def seat(room: Room, player: str) -> Sequence[RoomEvent]:
    """Give a free seat to a player, which may be the last one."""
    players = (*room.players, player)
    joined = PlayerJoined(room.id, player, room.players, room.seats - len(players))
    return [joined] if joined.free else [joined, RoomFilledUp(room.id, players)]


def leave(room: Room, player: str) -> Sequence[RoomEvent]:
    """Free a seat; a room without players is closed."""
    left = PlayerLeft(room.id, player, without(room.players, player))
    return [left] if left.others else [left, RoomClosed(room.id)]


def change_wait_mode(room: Room, waits: bool) -> Sequence[RoomEvent]:
    """Have the room wait for players who are offline, or not; nothing happens if it is so already."""
    return [] if room.waits == waits else [WaitModeChanged(room.id, waits, room.players)]


def go_offline(room: Room, player: str) -> Sequence[RoomEvent]:
    """Hold the seat of a player whose connection is lost, if the room waits; else free it."""
    return [PlayerWentOffline(room.id, player, without(room.players, player))] if room.waits else leave(room, player)


def evolve(room: Room | None, event: RoomEvent) -> Room | None:
    """Return the room after an event; None after its end."""
    if isinstance(event, RoomOpened):
        return Room(event.room, event.seats, event.is_global)
    if room is None or isinstance(event, RoomClosed):
        return None
    match event:
        case PlayerJoined():
            return replace(room, players=(*room.players, event.player))
        case PlayerLeft():
            return replace(room, players=event.others, offline=without(room.offline, event.player))
        case PlayerWentOffline():
            return replace(room, offline=(*room.offline, event.player))
        case PlayerCameBack():
            return replace(room, offline=without(room.offline, event.player))
        case WaitModeChanged():
            return replace(room, waits=event.waits)
        case RoomFilledUp():
            return room


def without(players: tuple[str, ...], player: str) -> tuple[str, ...]:
    return tuple(each for each in players if each != player)
