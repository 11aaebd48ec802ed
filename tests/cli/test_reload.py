"""``run --reload``: which files count, and what becomes of the process of the app."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from signal import SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGTERM, Handlers, Signals, signal

import anyio
import pytest
from anyio.abc import TaskStatus

from modd.cli.reload import EventStream, Supervisor, ending_signals, is_source, run_reloading
from modd.errors import MissingExtra
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


class Child:
    """A process that ends so many seconds after SIGTERM with an exit code."""

    def __init__(self, seconds: float = 0.0, code: int = 0) -> None:
        self.seconds, self.code = seconds, code
        self.log = list[tuple[str, float]]()
        self.returncode: int | None = None
        self._told, self._ended = anyio.Event(), anyio.Event()

    def terminate(self) -> None:
        self.log.append(("SIGTERM", anyio.current_time()))
        self._told.set()

    def kill(self) -> None:
        self.log.append(("SIGKILL", anyio.current_time()))
        self.end(-9)

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    async def wait(self) -> int:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_when_told)
            await self._ended.wait()
            tasks.cancel_scope.cancel()
        assert self.returncode is not None
        return self.returncode

    async def _end_when_told(self) -> None:
        await self._told.wait()
        await anyio.sleep(self.seconds)
        self.end(self.code)


Script = Callable[[EventStream], Awaitable[None]]


async def supervise(children: list[Child], script: Script) -> tuple[int, list[Child]]:
    """Run a supervisor with these children and events; return its exit code and the children that were started."""
    started, left = list[Child](), iter(children)

    async def start() -> Child:
        started.append(next(left))
        return started[-1]

    async def source(send: EventStream, *, task_status: TaskStatus[None]) -> None:
        assert not started
        task_status.started()
        await script(send)

    with anyio.fail_after(1000):
        return await Supervisor(start).run(source), started


async def test_a_change_ends_the_child_and_starts_a_new_one(capfd: pytest.CaptureFixture[str]) -> None:
    # AP-45
    async def script(send: EventStream) -> None:
        await send.send("shop/main.py")
        await send.send("shop/main.py")
        await send.send(SIGTERM)

    code, started = await supervise([Child(), Child(1.0), Child()], script)
    assert code == 0
    assert [[name for name, _ in child.log] for child in started] == [["SIGTERM"]] * 3
    assert "shop/main.py has changed" in capfd.readouterr().err


async def test_a_child_that_does_not_end_within_five_seconds_is_killed() -> None:
    # AP-45
    async def script(send: EventStream) -> None:
        await send.send("main.py")
        await send.send(SIGTERM)

    code, started = await supervise([Child(60), Child(60)], script)
    assert code == 1
    for child in started:
        (first, told), (second, killed) = child.log
        assert (first, second, killed - told) == ("SIGTERM", "SIGKILL", 5)


async def test_a_child_that_fails_waits_for_the_next_change(capfd: pytest.CaptureFixture[str]) -> None:
    # AP-45
    children = [Child(), Child()]

    async def script(send: EventStream) -> None:
        await anyio.sleep(1)
        children[0].end(1)
        await anyio.sleep(100)
        await send.send("main.py")
        await anyio.sleep(1)
        await send.send(SIGTERM)

    code, started = await supervise(children, script)
    assert (code, len(started)) == (0, 2)
    assert children[0].log == []
    assert "ended with code 1" in capfd.readouterr().err


@pytest.mark.parametrize("told", [SIGINT, SIGTERM])
async def test_a_signal_after_the_child_has_failed_ends_the_supervisor_without_failure(told: Signals) -> None:
    # AP-45
    child = Child()

    async def script(send: EventStream) -> None:
        await anyio.sleep(1)
        child.end(1)
        await anyio.sleep(1)
        await send.send(told)

    assert await supervise([child], script) == (0, [child])
    assert child.log == []


@pytest.mark.parametrize("code", [0, 1, -SIGTERM])
async def test_the_exit_code_does_not_depend_on_how_a_child_ends_after_a_signal(code: int) -> None:
    # AP-45
    async def script(send: EventStream) -> None:
        await anyio.sleep(1)
        await send.send(SIGTERM)

    assert (await supervise([Child(code=code)], script))[0] == 0


async def test_after_ctrl_c_which_the_child_gets_too_no_second_signal_is_sent() -> None:
    # AP-45
    child = Child()

    async def script(send: EventStream) -> None:
        await anyio.sleep(1)
        await send.send(SIGINT)
        await anyio.sleep(3)
        child.end(130)

    assert await supervise([child], script) == (0, [child])
    assert child.log == []


async def test_a_sigint_of_which_the_child_does_not_know_ends_it_all_the_same() -> None:
    # AP-45
    child = Child()

    async def script(send: EventStream) -> None:
        await send.send(SIGINT)

    assert await supervise([child], script) == (0, [child])
    assert [name for name, _ in child.log] == ["SIGTERM"]


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("main.py", True),
        ("shop/deep/er.py", True),
        ("shop/main.pyc", False),
        ("notes.md", False),
        ("shop/__pycache__/main.py", False),
        (".venv/lib/thing.py", False),
        (".git/hooks/x.py", False),
        ("shop/.#main.py", False),
        ("shop/flycheck_main.py", False),
    ],
)
def test_python_files_count_but_not_those_of_other_programs(path: str, counts: bool) -> None:
    # AP-45
    assert is_source(Path(path)) == counts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder below one that would be ignored, which is the current folder."""
    folder = tmp_path / ".venv" / "shop"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def hears_hangups() -> Iterator[None]:
    """SIGHUP has its usual effect, also if nohup runs the tests."""
    before = signal(SIGHUP, SIG_DFL)
    yield
    signal(SIGHUP, before)


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_a_change_of_a_file_is_noticed_and_a_signal_ends_both(
    name: str, folder: Path, hears_hangups: None, capfd: pytest.CaptureFixture[str]
) -> None:
    # AP-45
    began = folder / "began.txt"  # the first child changes a file, the second one stops its supervisor
    script = f"if [ -e {began} ]; then kill -{name} $PPID; else touch {began} notes.md main.py; fi; exec sleep 60"
    assert run_reloading(["sh", "-c", script]) == 0
    assert capfd.readouterr().err == "modd run: main.py has changed: the app starts anew\n"


@pytest.mark.parametrize(("action", "hears"), [(SIG_DFL, True), (SIG_IGN, False)])
def test_a_closed_terminal_ends_both_unless_nohup_has_it_ignored(action: Handlers, hears: bool) -> None:
    # AP-45
    before = signal(SIGHUP, action)
    try:
        assert ending_signals() == {SIGINT, SIGTERM} | ({SIGHUP} if hears else set())
    finally:
        signal(SIGHUP, before)


def test_without_its_extra_it_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.delitem(sys.modules, "modd.cli.reload")
    with pytest.raises(MissingExtra, match=r"--reload .*pip install modd\[reload\]"):
        import_module("modd.cli.reload")
