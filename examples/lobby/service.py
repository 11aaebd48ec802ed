"""The service: which rule of the domain a command is decided by. It is pure, and needs neither a loop nor a store."""

from __future__ import annotations

from typing import TypeAlias

from examples.lobby import domain
from examples.lobby.domain import Decision, HasNoSeat, Lobby, Room
from modd.cqrs import Command
from modd.service import Entropy, Service


class JoinFriendsRoom(Command[None]):
    """Open a room for friends, who join it by its name."""

    player: str
    seats: int


class JoinGlobalRoom(Command[None]):
    """Sit down with anybody who wants a game of this size."""

    player: str
    seats: int


class JoinExistingRoom(Command[None]):
    player: str
    room: str


class LeaveRoom(Command[None]):
    player: str


class ChangeWaitMode(Command[None]):
    player: str
    waits: bool


class GoOffline(Command[None]):
    player: str


LobbyCommand: TypeAlias = JoinFriendsRoom | JoinGlobalRoom | JoinExistingRoom | LeaveRoom | ChangeWaitMode | GoOffline


def execute(command: LobbyCommand, lobby: Lobby, dice: Entropy[int]) -> Decision:
    """Decide about a command. dice: for the name of a room, see `domain.open_room`."""
    player = command.player
    match command:
        case JoinFriendsRoom():
            return domain.open_room(lobby, player, command.seats, dice, is_global=False)
        case JoinGlobalRoom():
            free = lobby.free_room(command.seats)
            if free is None:
                return domain.open_room(lobby, player, command.seats, dice, is_global=True)
            return domain.sit_down(lobby, free, player)
        case JoinExistingRoom():
            return domain.sit_down(lobby, lobby.room(command.room), player)
        case _:
            return in_own_room(command, lobby.room_of(player))


def in_own_room(command: LeaveRoom | ChangeWaitMode | GoOffline, room: Room | None) -> Decision:
    if room is None:
        return HasNoSeat("in no room")
    match command:
        case LeaveRoom():
            return domain.leave(room, command.player)
        case ChangeWaitMode():
            return domain.change_wait_mode(room, command.waits)
        case GoOffline():
            return domain.go_offline(room, command.player)


lobby_service = Service(execute)
