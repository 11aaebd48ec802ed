"""Files for the command line, and a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.accounts import record
from tests.cli.shell import Shell, stock


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell for a file that does not exist yet."""
    return Shell(tmp_path / "store.db", capsys)


@pytest.fixture
def orders(shell: Shell) -> Shell:
    """Return a shell for a file with an item of each kind in the queue "orders"."""
    shell.fill(stock)
    return shell


@pytest.fixture
def log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell of ``events`` for a file with the events of accounts."""
    shell = Shell(tmp_path / "store.db", capsys, "events")
    shell.fill(record)
    return shell
