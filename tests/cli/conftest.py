"""Files for the command line, and a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import Shell, stock


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for a file that is not there yet."""
    return Shell(tmp_path / "store.db", capsys)


@pytest.fixture
def orders(shell: Shell) -> Shell:
    """A shell for a file with something of each kind in the queue "orders"."""
    shell.fill(stock)
    return shell
