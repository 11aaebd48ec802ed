"""Files of stores with items in them, and a shell that runs commands on them."""

from __future__ import annotations

import io
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from modd.cli.main import main
from modd.ports import Item
from modd.stores.sqlite.store import SqliteStore
from tests.cli.messages import SECRET, commands, envelope

READ_ONLY = (["stats"], ["dead", "orders"], ["show", "orders", "dead-1"], ["doctor"])
"""All commands that only read."""


class Terminal(io.StringIO):
    """A stream of a terminal."""

    def isatty(self) -> bool:
        return True


class Shell:
    """Runs commands of a tool on one file, in this process."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str], tool: str = "queue") -> None:
        self.path, self.capsys, self._tool = path, capsys, tool

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr of ``TOOL PATH ...``."""
        code = main([self._tool, str(self.path), *argv])
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def text(self, *argv: str) -> str:
        """Return the output of a command that succeeds."""
        code, out, err = self.run(*argv)
        assert (code, err) == (0, "")
        return out

    def json(self, *argv: str) -> Any:
        """Return the JSON output of a command that succeeds, decoded."""
        return msgspec.json.decode(self.text(*argv, "--json"))

    def error(self, *argv: str) -> tuple[int, str]:
        """Return exit code and message of a command that fails, with one line on stderr and an empty stdout."""
        code, out, err = self.run(*argv)
        assert out == "" and err.startswith("modd: ") and err.count("\n") == 1
        return code, err

    def fill(self, work: Callable[[SqliteStore], Coroutine[Any, Any, None]]) -> None:
        """Open the store and call a function with it."""

        async def filled() -> None:
            async with SqliteStore(self.path) as store:
                await work(store)

        anyio.run(filled)


async def stock(store: SqliteStore) -> None:
    """Put one item of each kind into the queue "orders", with two dead letters, and one item into the outbox."""
    orders = store.queue("orders")
    await bury(store, "dead-1", "dead-2")
    await orders.put(Item(b"leased", id="leased-1"))
    await orders.claim(1, 60)
    await orders.put(
        Item(b"ready", id="ready-1"),
        Item(b"late", id="late-1", delay=60),
        Item(b"first", id="first-1", key="ada"),
        Item(b"second", {"modd-handler": "notify", "who": SECRET}, id="second-1", key="ada"),
    )
    await store.outbox.put(b"out")
    await store.queue("mails").put(b"one")


async def bury(store: SqliteStore, *ids: str, body: bytes | None = None) -> None:
    """Put dead letters into the queue "orders"."""
    orders = store.queue("orders")
    content = commands.codec.encode(envelope()) if body is None else body
    await orders.put(*(Item(content, id=id) for id in ids))
    for claim in await orders.claim(len(ids), 60):
        await orders.bury(claim, f"Refused: {SECRET} at\nthe bank")
