"""The lobby in its layers: domain and service without loop and store, the handler on a file, the app as a program."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random

import anyio
import pytest

from examples.lobby import domain
from examples.lobby.domain import (
    BadNumberOfPlayers,
    HasNoSeat,
    Lobby,
    PlayerCameBack,
    PlayerJoined,
    PlayerLeft,
    PlayerWentOffline,
    Room,
    RoomClosed,
    RoomDoesNotExist,
    RoomEvent,
    RoomFilledUp,
    RoomFull,
    RoomOpened,
    SitsElsewhere,
    WaitModeChanged,
    evolve,
)
from examples.lobby.handler import ListRooms, Notice, Typed, interpret, lobby_handler, tell
from examples.lobby.service import (
    ChangeWaitMode,
    GoOffline,
    JoinExistingRoom,
    JoinFriendsRoom,
    JoinGlobalRoom,
    LeaveRoom,
    lobby_service,
)
from modd.service import DomainError, Entropy, TooFewValues, pure
from modd.stores import SqliteStore
from modd.testing import given
from tests.test_examples import printed

ROOT = Path(__file__).parents[1]

ABCD, NEXT = Entropy([0, 1, 2, 3]), Entropy([0, 1, 2, 3, 4, 5, 6, 7])

NONE, ONE = Lobby(), Lobby((Room("ABCD", 2, True, ("ada",)),))

FULL = Lobby((Room("ABCD", 2, True, ("ada", "bob")),))

WAITING = Lobby((Room("ABCD", 3, False, ("ada", "bob"), ("bob",), waits=True),))


def test_a_room_is_opened_and_its_name_is_made_of_dice() -> None:
    # RS-9 WM-75
    opened = [RoomOpened("ABCD", 3, False), PlayerJoined("ABCD", "ada", (), 2)]
    assert pure(domain.open_room)(NONE, "ada", 3, ABCD, is_global=False) == opened
    named_anew = pure(domain.open_room)(ONE, "eve", 3, NEXT, is_global=True)
    assert named_anew == [RoomOpened("EFGH", 3, True), PlayerJoined("EFGH", "eve", (), 2)]
    with pytest.raises(TooFewValues):
        domain.open_room(ONE, "eve", 3, ABCD, is_global=True)


@pytest.mark.parametrize("seats", [0, 1, 5])
def test_a_game_has_two_to_four_players(seats: int) -> None:
    # RS-9
    given(lobby_service, NONE, ABCD).when(JoinFriendsRoom("ada", seats)).then_error(BadNumberOfPlayers)
    given(lobby_service, NONE, ABCD).when(JoinGlobalRoom("ada", seats)).then_error(BadNumberOfPlayers)


def test_the_last_player_fills_a_global_room_up_and_the_next_one_opens_another() -> None:
    # RS-8 WM-75
    joined = PlayerJoined("ABCD", "bob", ("ada",), 0)
    given(lobby_service, ONE, ABCD).when(JoinGlobalRoom("bob", 2)).then(joined, RoomFilledUp("ABCD", ("ada", "bob")))
    given(lobby_service, FULL, NEXT).when(JoinGlobalRoom("eve", 2)).then(
        RoomOpened("EFGH", 2, True), PlayerJoined("EFGH", "eve", (), 1)
    )
    given(lobby_service, ONE, NEXT).when(JoinGlobalRoom("bob", 4)).then(
        RoomOpened("EFGH", 4, True), PlayerJoined("EFGH", "bob", (), 3)
    )


def test_nobody_is_sent_into_a_room_of_friends() -> None:
    # RS-8
    friends = Lobby((Room("ABCD", 2, False, ("ada",)),))
    events = [RoomOpened("EFGH", 2, True), PlayerJoined("EFGH", "bob", (), 1)]
    given(lobby_service, friends, NEXT).when(JoinGlobalRoom("bob", 2)).then(*events)


def test_an_existing_room_is_joined_by_its_name() -> None:
    # RS-8
    given(lobby_service, ONE, ABCD).when(JoinExistingRoom("bob", "ABCD")).then(
        PlayerJoined("ABCD", "bob", ("ada",), 0), RoomFilledUp("ABCD", ("ada", "bob"))
    )
    given(lobby_service, FULL, ABCD).when(JoinExistingRoom("eve", "ABCD")).then_error(RoomFull)
    given(lobby_service, ONE, ABCD).when(JoinExistingRoom("bob", "WXYZ")).then_error(RoomDoesNotExist)


def test_a_player_sits_in_one_room_at_a_time() -> None:
    # RS-8
    for command in (JoinExistingRoom("ada", "ABCD"), JoinGlobalRoom("ada", 3), JoinFriendsRoom("ada", 3)):
        assert "ABCD" in str(given(lobby_service, ONE, ABCD).when(command).then_error(SitsElsewhere))


def test_a_room_without_players_is_closed() -> None:
    # RS-8
    given(lobby_service, FULL, ABCD).when(LeaveRoom("ada")).then(PlayerLeft("ABCD", "ada", ("bob",)))
    given(lobby_service, ONE, ABCD).when(LeaveRoom("ada")).then(PlayerLeft("ABCD", "ada", ()), RoomClosed("ABCD"))
    given(lobby_service, ONE, ABCD).when(LeaveRoom("bob")).then_error(HasNoSeat)


def test_a_room_that_waits_holds_the_seat_of_a_player_who_is_offline() -> None:
    # RS-8
    given(lobby_service, ONE, ABCD).when(ChangeWaitMode("ada", True)).then(WaitModeChanged("ABCD", True, ("ada",)))
    given(lobby_service, ONE, ABCD).when(ChangeWaitMode("ada", False)).then_nothing()
    given(lobby_service, WAITING, ABCD).when(GoOffline("ada")).then(PlayerWentOffline("ABCD", "ada", ("bob",)))
    given(lobby_service, FULL, ABCD).when(GoOffline("ada")).then(PlayerLeft("ABCD", "ada", ("bob",)))
    given(lobby_service, WAITING, ABCD).when(JoinExistingRoom("bob", "ABCD")).then(
        PlayerCameBack("ABCD", "bob", ("ada",))
    )


def test_the_state_of_a_room_follows_from_its_events() -> None:
    # RS-9
    events: list[RoomEvent] = [
        RoomOpened("ABCD", 2, True),
        PlayerJoined("ABCD", "ada", (), 1),
        PlayerJoined("ABCD", "bob", ("ada",), 0),
        RoomFilledUp("ABCD", ("ada", "bob")),
        WaitModeChanged("ABCD", True, ("ada", "bob")),
        PlayerWentOffline("ABCD", "bob", ("ada",)),
    ]
    room: Room | None = None
    for event in events:
        room = pure(evolve)(room, event)
    assert room == Room("ABCD", 2, True, ("ada", "bob"), ("bob",), waits=True)
    assert evolve(room, PlayerCameBack("ABCD", "bob", ("ada",))) == Room("ABCD", 2, True, ("ada", "bob"), waits=True)
    assert evolve(evolve(room, PlayerLeft("ABCD", "bob", ("ada",))), RoomClosed("ABCD")) is None


def test_a_line_becomes_commands_queries_and_notices() -> None:
    # RS-5
    line = "play 2, play with friends 3, join ABCD, leave, wait, do not wait, offline, rooms, play much, dance"
    assert [*pure(interpret)(Typed("ada", line))] == [
        JoinGlobalRoom("ada", 2),
        JoinFriendsRoom("ada", 3),
        JoinExistingRoom("ada", "ABCD"),
        LeaveRoom("ada"),
        ChangeWaitMode("ada", True),
        ChangeWaitMode("ada", False),
        GoOffline("ada"),
        ListRooms("ada"),
        Notice("ada", "you cannot 'play much' here"),
        Notice("ada", "you cannot 'dance' here"),
    ]


def test_an_event_becomes_several_notices_one_or_none() -> None:
    # RS-6
    assert [*tell(PlayerJoined("ABCD", "bob", ("ada",), 0))] == [
        Notice("bob", "you sit in room ABCD, no seat is free"),
        Notice("ada", "bob sits down"),
    ]
    assert [*tell(PlayerLeft("ABCD", "ada", ()))] == [Notice("ada", "you have left room ABCD")]
    assert [*tell(RoomClosed("ABCD"))] == []


@pytest.mark.anyio
async def test_two_players_for_one_seat_at_once_get_it_once(tmp_path: Path) -> None:
    # WM-75 RS-10
    async with SqliteStore(tmp_path / "lobby.db") as here, SqliteStore(tmp_path / "lobby.db") as there:
        handlers = [lobby_handler(store, Random(seed)) for seed, store in enumerate((here, there))]
        told: list[Notice] = []

        async def type_line(handler: int, player: str, line: str) -> None:
            told.extend(each for each in await handlers[handler](Typed(player, line)) if isinstance(each, Notice))

        for game in range(5):
            host = f"host{game}"
            await type_line(0, host, "play with friends 2")
            room = told[-1].text.split()[4].rstrip(",")
            told.clear()
            async with anyio.create_task_group() as tasks:
                for at, player in enumerate((f"eve{game}", f"kim{game}")):
                    tasks.start_soon(type_line, at, player, f"join {room}")
            begun = [each.player for each in told if each.text.startswith("the game begins: ")]
            refused = [each.player for each in told if each.text == f"sorry: room {room} is full"]
            assert sorted([*begun, *refused]) == sorted([host, f"eve{game}", f"kim{game}"])
            assert len(refused) == 1


@pytest.mark.anyio
async def test_strangers_who_come_at_once_share_rooms_and_no_seat_is_given_twice(tmp_path: Path) -> None:
    # WM-75
    async with SqliteStore(tmp_path / "lobby.db") as store:
        handler = lobby_handler(store, Random(3))
        await handler(Typed("ada", "play 2"))
        async with anyio.create_task_group() as tasks:
            for player in ("bob", "eve", "kim"):
                tasks.start_soon(handler, Typed(player, "play 2"))
        (notice,) = await handler(Typed("ada", "rooms"))
        assert isinstance(notice, Notice)
        taken = [int(each.split()[1].partition("/")[0]) for each in notice.text.removeprefix("rooms: ").split(", ")]
        assert sum(taken) == 4
        assert max(taken) == 2


@pytest.mark.anyio
async def test_a_line_of_several_wishes_is_answered_in_order(tmp_path: Path) -> None:
    # WM-75 RS-4
    async with SqliteStore(tmp_path / "lobby.db") as store:
        told = await lobby_handler(store, Random(3))(Typed("ada", "play 7, dance, rooms, play 2, leave"))
    texts = [each.text for each in told if isinstance(each, Notice)]
    assert [text.split()[0] for text in texts] == ["sorry:", "you", "rooms:", "you", "you"]
    assert texts[2] == "rooms: none"
    assert texts[4].startswith("you have left room ")


def test_dependencies_point_inwards() -> None:
    # RS-10
    inwards = ["domain", "service", "handler", "app"]
    for at, layer in enumerate(inwards):
        imported = imports_of(ROOT / "examples" / "lobby" / f"{layer}.py")
        ours = {each.rpartition(".")[2] for each in imported if each.startswith("examples.lobby")}
        assert ours <= {*inwards[:at], "lobby"}, layer
        if layer in ("domain", "service"):
            assert not {each.partition(".")[0] for each in imported} & {"anyio", "random", "os", "time", "sqlite3"}
            assert not {"modd.stores", "modd.ports"} & imported


def imports_of(path: Path) -> set[str]:
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_every_error_of_the_lobby_is_one_of_the_domain() -> None:
    # RS-7
    errors = [BadNumberOfPlayers, HasNoSeat, RoomDoesNotExist, RoomFull, SitsElsewhere]
    assert all(issubclass(each, DomainError) for each in errors)


@pytest.mark.costly
def test_the_app_shows_an_evening_in_the_lobby() -> None:
    # WM-75
    lines = [line.strip() for line in printed("examples/lobby/app.py")]
    assert lines[:9] == [
        "Ada and Bob want a game for two:",
        "ada: play 2",
        "to ada: you sit in room NALE, 1 seat is free",
        "bob: rooms",
        "to bob: rooms: NALE 1/2",
        "bob: play 2",
        "to bob: you sit in room NALE, no seat is free",
        "to ada: bob sits down",
        "to ada: the game begins: ada, bob",
    ]
    assert "to eve: welcome back to room LUSI" in lines
    assert "to kim: sorry: a game has 2 to 4 players, not 7" in lines
    assert sorted(line for line in lines if line.endswith("LUSI is full")) in [
        ["to lou: sorry: room LUSI is full"],
        ["to max: sorry: room LUSI is full"],
    ]
    assert sum("the game begins: eve, kim, " in line for line in lines) == 3
