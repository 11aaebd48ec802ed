"""Catching up: the wait until every event, and everything that followed from it, is done."""

from __future__ import annotations

from contextlib import nullcontext

from modd.follower.command_worker import CommandWorker
from modd.follower.engine import Engine
from modd.follower.errors import PartStopped
from modd.follower.loop import EngineLoop
from modd.ports.storage import Storage

LOOK_AGAIN = 0.05
"""Most seconds between two looks, for commands in a second task and tracks in a second process."""


class CatchUp:
    """Waits until the parts of a follower have caught up, or does their work.

    store: the store. engine, loop: those of the follower. commands: its worker, or None.
    """

    def __init__(self, store: Storage, engine: Engine, loop: EngineLoop, commands: CommandWorker | None) -> None:
        self._store, self._engine, self._loop, self._commands = store, engine, loop, commands

    async def watch(self) -> bool:
        """Wait until the loop, which runs in a second task, and the commands are done; False if the loop has ended."""
        while await self._loop.pass_end():
            if await self._is_done():
                return True
            await self._store.events.wait(await self._store.events.last(), LOOK_AGAIN)
        return False

    async def work(self) -> None:
        """Do what there is to do."""
        bus = nullcontext() if self._commands is None else self._commands.worker.open_bus()
        async with bus, self._engine.session():
            while True:
                while await self._engine.advance():
                    pass
                if self._commands is not None and await self._commands.work():
                    continue
                if await self._is_done():
                    return
                await self._engine.wait(LOOK_AGAIN)

    async def _is_done(self) -> bool:
        """True if no part is behind, and then no command is left and no event has come. Raises `PartStopped`.

        In this order, because a part that does its last event leaves commands. The loop in a second task may change the
        tracks meanwhile: a build of a projection takes the place of another.
        """
        last, runs = await self._store.events.last(), {**self._engine.runs}
        if self._engine.is_paused:
            return False
        standings = [(run.track.part, await self._engine.standing(key)) for key, run in runs.items()]
        if self._commands is not None and not await self._commands.is_idle(last):
            return False
        if await self._store.events.last() != last or self._engine.runs != runs:
            return False
        for part, cursor in standings:
            if cursor is not None and cursor.failure is not None:
                raise PartStopped(part, cursor.failure.position, cursor.failure.reason)
        for opening in self._engine.parts.values():
            if opening.error is not None:
                raise PartStopped(opening.name, 0, opening.reason)
        return all(cursor is not None and cursor.position >= last for _, cursor in standings)
