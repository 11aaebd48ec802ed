"""The arguments of the command line, and the output on a terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

from modd.cli.arguments import Arguments, parse_arguments
from modd.cli.main import main
from modd.cli.rendering import render
from modd.ports import Item
from modd.stores.sqlite.store import SqliteStore
from tests.cli.shell import Shell, bury

WITHOUT = """
import sys
sys.modules["rich"] = None
from modd.cli.main import main
sys.exit(main())
"""


@pytest.mark.costly
@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "TOOL"),
        (["queues"], "invalid choice: 'queues'"),
        (["queue"], "PATH"),
        (["queue", "x", "stat"], "invalid choice: 'stat'"),
        (["queue", "x", "dead"], "NAME"),
        (["queue", "x", "dead", "orders", "--limit", "0"], "--limit 0"),
        (["queue", "x", "dead", "orders", "--raw", "--types", "y"], "not allowed with"),
        (["queue", "x", "show", "orders"], "ID"),
        (["queue", "x", "redrive", "orders"], "either ids or --all"),
        (["queue", "x", "discard", "orders", "1", "--all"], "either ids or --all"),
        (["queue", "x", "doctor", "--all"], "--all"),
        (["queue", "x", "dead", "ord\udc80"], r"ord\udc80: give names and ids in UTF-8"),
        (["queue", "x", "redrive", "orders", "1\udc80"], r"1\udc80: give names and ids in UTF-8"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and told in err


def test_json_is_asked_for_before_or_after_the_command() -> None:
    assert parse_arguments(["queue", "x", "--json", "stats"]) == parse_arguments(["queue", "x", "stats", "--json"])
    with_json, without = parse_arguments(["queue", "x", "--json"]), parse_arguments(["queue", "x"])
    assert isinstance(with_json, Arguments) and isinstance(without, Arguments)
    assert with_json.json and not without.json


def test_help_is_had_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["queue", "--help"], ["queue", "x", "redrive", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert end.value.code == 0
    assert "--yes" in capsys.readouterr().out


@pytest.mark.slow
def test_without_rich_there_is_json_and_else_an_error_says_what_to_install(orders: Shell) -> None:
    argv = [sys.executable, "-c", WITHOUT, "queue", str(orders.path)]
    told = subprocess.run([*argv, "--json"], capture_output=True, text=True, check=True)
    assert told.stdout == orders.text("--json")
    told = subprocess.run([*argv, "redrive", "orders", "--all", "--yes"], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.count("\n") == 1 and "pip install modd[cli]" in told.stderr
    assert orders.json()["queues"][1]["dead"] == 2


def test_what_is_missing_is_told_before_anything_is_done(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        there.setitem(sys.modules, "modd.cli.rendering", None)
        code, err = orders.error("discard", "orders", "--all", "--yes")
    assert code == 2 and "pip install modd[cli]" in err
    assert orders.json()["queues"][1]["dead"] == 2


def test_what_comes_from_a_file_can_neither_style_nor_steer_a_terminal(shell: Shell) -> None:
    async def put(store: SqliteStore) -> None:
        await store.queue("orders").put(Item(b"\x1b[2Jtext", {"[red]h": "\x1b]0;x\x07"}, id="[bold]\x1b[1mid"))
        await bury(store, "dead-1", body=b"\x1b[2J")

    shell.fill(put)
    for argv in (["show", "orders", "[bold]\x1b[1mid", "--raw"], ["dead", "orders", "--raw"], []):
        assert "\x1b" not in shell.text(*argv)
    assert "[bold]\\x1b[1mid" in shell.text("show", "orders", "[bold]\x1b[1mid")


def test_what_is_no_report_is_not_rendered() -> None:
    with pytest.raises(NotImplementedError):
        render(object())


def test_a_missing_folder_for_a_file_is_an_error_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queue", "/no/such/folder/store.db"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
