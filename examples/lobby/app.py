"""The app: a file, a bus with the handler and a screen, and an evening in the lobby.

Run it: ``python examples/lobby/app.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from examples.lobby.handler import Notice, Typed, lobby_handler
from modd import Bus, Component
from modd.service import ServerError
from modd.stores import SqliteStore

EVENING = """
Ada and Bob want a game for two:
    ada: play 2
    bob: rooms
    bob: play 2
Eve plays with friends, and her connection is bad:
    eve: play with friends 3
    eve: wait
    eve: offline
    eve: join LUSI
Kim comes with a few wishes at once:
    kim: play 7
    kim: join NOWHERE
    kim: join LUSI, dance
    kim: offline
Kim comes back, and at the same moment Lou and Max want the last seat:
"""
"""Lines that are typed one after another, with titles."""


DICE = random.Random(5977)
"""Dice whose first rooms are NALE and LUSI; throw ``random.SystemRandom()`` in a lobby for strangers."""


def screen(show: Callable[[str], None]) -> Component:
    """Return a component that shows each notice below the line that caused it."""

    def show_notice(message: Notice | ServerError) -> None:
        if isinstance(message, Notice):
            show(f"        to {message.player}: {message.text}")
        else:
            show("        the lobby is out of order, please try again")

    return show_notice


async def main(path: Path, show: Callable[[str], None] = print, dice: random.Random = DICE) -> None:
    """Spend an evening in the lobby of a file."""
    async with SqliteStore(path) as store:
        lobby = Bus([lobby_handler(store, dice), screen(show)], name="lobby", exclusive=False)
        for line in EVENING.strip().splitlines():
            show(line)
            player, is_typed, typed = line.strip().partition(": ")
            if is_typed:
                await lobby(Typed(player, typed))
        async with anyio.create_task_group() as tasks:
            for player in ("kim", "lou", "max"):
                tasks.start_soon(lobby, Typed(player, "join LUSI"))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        anyio.run(main, Path(folder) / "lobby.db")
