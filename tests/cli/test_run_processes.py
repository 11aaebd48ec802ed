"""``run`` in processes: signals, the log, and the modules that it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from tests.cli.run_targets import SECRET

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HERE = "tests.cli.run_targets"
LIMIT = 60.0
"""Seconds; a guard against a process that hangs."""

SHOP = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
from modd import Sensitive
from modd.app import App, Settings


class ShopConfig(Settings, prefix="SHOP_"):
    clings: bool = False
    key: Annotated[str, Sensitive]


class Part:
    def __init__(self, clings: bool) -> None:
        self._clings = clings
        self._stopped = anyio.Event()

    async def run(self) -> None:
        await (anyio.sleep_forever() if self._clings else self._stopped.wait())

    def stop(self) -> None:
        self._stopped.set()


@asynccontextmanager
async def shop(config: ShopConfig) -> AsyncIterator[App]:
    yield App("shop", Part(config.clings), drain=0.1)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a program."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


@contextmanager
def started(folder: Path, target: str, *options: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a folder; kill it if it is there at the end."""
    argv = [sys.executable, "-m", "modd", "run", target, *options]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SHOP_KEY": SECRET, **environ}
    with subprocess.Popen(
        argv, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_ready(process: subprocess.Popen[str], words: str = "ready in") -> None:
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if words in line:
            return
    raise AssertionError(told)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("signal", [SIGTERM, SIGINT])
def test_a_signal_ends_a_process_with_exit_code_0(folder: Path, loop: str, signal: int) -> None:
    # AP-41
    with started(folder, "shop:shop", "--loop", loop) as process:
        wait_until_ready(process)
        process.send_signal(signal)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, "")
    messages = [json.loads(line)["message"] for line in err.splitlines()]
    assert messages[-1] == "shop: closing"
    assert messages[0] == f"shop: stopping ({'SIGTERM' if signal == SIGTERM else 'SIGINT'})"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_does_not_end_in_time_is_exit_code_1(folder: Path, loop: str) -> None:
    # AP-41
    with started(folder, "shop:shop", "--loop", loop, SHOP_CLINGS="yes") as process:
        wait_until_ready(process)
        process.send_signal(SIGTERM)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 1


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_second_interrupt_is_exit_code_130(folder: Path, loop: str) -> None:
    # AP-41
    with started(folder, "shop:shop", "--loop", loop, SHOP_CLINGS="yes") as process:
        wait_until_ready(process)
        process.send_signal(SIGINT)
        assert process.stderr is not None and "stopping (SIGINT)" in process.stderr.readline()
        process.send_signal(SIGINT)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 130


def test_stderr_has_the_traceback_as_json_without_sensitive_settings(folder: Path) -> None:
    # AP-41, AP-44
    with started(ROOT, f"{HERE}:shop", RUN_MODE="fail", RUN_KEY=SECRET) as process:
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (1, "") and SECRET not in err
    last = json.loads(err.splitlines()[-1])
    assert (last["level"], last["logger"], last["type"]) == ("ERROR", "modd.app", "AppFailed")
    assert "ValueError: bad key ***" in last["traceback"]


def test_variables_of_a_file_choose_the_log(folder: Path) -> None:
    # AP-42, AP-44
    (folder / ".env").write_text('MODD_LOG="text"\nMODD_LOG_LEVEL=WARNING\nRUN_MODE=fail\n')
    with started(ROOT, f"{HERE}:shop", "--env-file", str(folder / ".env")) as process:
        _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert f" ERROR modd.app: {HERE}:shop failed: ValueError: bad key ***\n" in err and "starting" not in err


def test_a_process_that_was_killed_has_printed_no_secret(folder: Path) -> None:
    with started(folder, "shop:shop", MODD_LOG_LEVEL="DEBUG") as process:
        wait_until_ready(process)
        process.send_signal(SIGKILL)
        out, err = process.communicate(timeout=LIMIT)
    assert SECRET not in out + err


def test_with_reload_a_changed_file_starts_the_app_anew(folder: Path) -> None:
    # AP-45
    with started(folder, "shop:shop", "--reload", "--loop", "trio") as process:
        wait_until_ready(process)
        (folder / "shop.py").write_text(SHOP.replace('App("shop"', 'App("shop-two"'))
        wait_until_ready(process, "shop-two: ready in")
        process.send_signal(SIGTERM)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 0


IMPORTED = """
import sys
sys.argv = ["modd", "run", "shop:shop", "--check"]
from runpy import run_module
try:
    run_module("modd", run_name="__main__")
except SystemExit as end:
    assert end.code == 0
print([name for name in ("rich", "modd.catalog", "modd.cli.commands", "hypercorn") if name in sys.modules])
"""


def test_a_server_imports_neither_the_catalog_nor_rich(folder: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "SHOP_KEY": SECRET}
    argv = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=LIMIT)
    assert done.stdout.splitlines() == ["shop: 1 part and 0 timers; nothing was run", "  part", "[]"], done.stderr
