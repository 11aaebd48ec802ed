"""``run --reload`` with real processes: a supervisor, its children, and a folder in which files change."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from subprocess import PIPE

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def anyio_backend() -> str:
    """The loop that reads the output. The processes choose their own."""
    return "asyncio"


SUPERVISOR = """
import sys
from modd.cli.reload import run_reloading
sys.exit(run_reloading([sys.executable, "-u", "main.py"]))
"""

CHILD = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("SIGTERM"))
signal.signal(signal.SIGINT, lambda *_: sys.exit("SIGINT"))
print("{word}")
{then}
"""

WAITS, ENDS, STAYS = (
    "signal.pause()",
    "sys.exit(7)",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()",
)


APP = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from modd.app import App, every
from modd.cqrs import Command, CommandBus


class Tell(Command[None]):
    pass


async def tell(command: Tell) -> None:
    print("{word}", flush=True)


@asynccontextmanager
async def shop() -> AsyncIterator[App]:
    yield App("shop", timers=[every(3600, Tell(), to=CommandBus([tell]), at_once=True)])
"""


class Reloaded:
    """A supervisor whose output is read."""

    def __init__(self, folder: Path, process: Process) -> None:
        assert process.stdout is not None and process.stderr is not None
        self.folder, self.process = folder, process
        self._streams = TextReceiveStream(process.stdout), TextReceiveStream(process.stderr)
        self._read = ["", ""]

    def write(self, word: str, then: str = WAITS) -> None:
        """Write the program of the next child."""
        write(self.folder, word, then)

    async def wait_for(self, text: str, *, stderr: bool = False) -> None:
        """Wait for a text in the output."""
        while text not in self._read[stderr]:
            self._read[stderr] += await self._streams[stderr].receive()
        self._read[stderr] = self._read[stderr].partition(text)[2]


def write(folder: Path, word: str, then: str = WAITS) -> None:
    (folder / "main.py").write_text(CHILD.format(word=word, then=then))


@asynccontextmanager
async def reloaded(folder: Path, *command: str) -> AsyncIterator[Reloaded]:
    """A supervisor in a session of its own, as under a terminal."""
    process = await anyio.open_process(
        [sys.executable, *(command or ("-c", SUPERVISOR))],
        cwd=folder,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    async with process:
        with anyio.fail_after(120):
            yield Reloaded(folder, process)


@pytest.mark.parametrize("signal", [SIGINT, SIGTERM])
async def test_a_change_starts_a_new_child_and_a_signal_to_the_terminal_ends_all(
    signal: Signals, tmp_path: Path
) -> None:
    # AP-45
    write(tmp_path, "first")
    async with reloaded(tmp_path) as app:
        await app.wait_for("first")
        app.write("second")
        await app.wait_for("main.py has changed", stderr=True)
        await app.wait_for("SIGTERM", stderr=True)
        await app.wait_for("second")
        os.killpg(app.process.pid, signal)
        assert await app.process.wait() == 0


async def test_a_child_that_fails_waits_for_the_next_change(tmp_path: Path) -> None:
    # AP-45
    write(tmp_path, "first", ENDS)
    async with reloaded(tmp_path) as app:
        await app.wait_for("first")
        await app.wait_for("ended with code 7", stderr=True)
        app.write("second", "x = ")
        await app.wait_for("SyntaxError", stderr=True)
        await app.wait_for("ended with code 1", stderr=True)
        app.write("third")
        await app.wait_for("third")
        app.process.terminate()
        assert await app.process.wait() == 0


async def test_a_child_that_does_not_end_is_killed(tmp_path: Path) -> None:
    # AP-45
    write(tmp_path, "first", STAYS)
    async with reloaded(tmp_path) as app:
        await app.wait_for("first")
        app.write("second")
        await app.wait_for("second")
        app.process.terminate()
        assert await app.process.wait() == 0


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
async def test_an_app_starts_anew_ends_in_time_and_ctrl_c_is_no_failure(loop: str, tmp_path: Path) -> None:
    # AP-45
    main = tmp_path / "main.py"
    main.write_text(APP.format(word="first"))
    async with reloaded(tmp_path, "-m", "modd", "run", "main:shop", "--reload", "--loop", loop) as app:
        await app.wait_for("first")
        main.write_text(APP.format(word="second"))
        await app.wait_for("shop: stopping (SIGTERM)", stderr=True)
        await app.wait_for("shop: ended", stderr=True)
        await app.wait_for("second")
        main.write_text("a mistake")
        await app.wait_for("ended with code 2", stderr=True)
        main.write_text(APP.format(word="third"))
        await app.wait_for("third")
        os.killpg(app.process.pid, SIGINT)
        assert await app.process.wait() == 0
