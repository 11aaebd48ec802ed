"""The layout of reports on a terminal: what the user copies is never broken over lines."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from modd.cli.layout import NARROWEST, Block, Pairs, Rows, lay_out
from tests.cli.shell import Shell, Terminal, bury

LONG_ID = "shop.billing.commands:01a22446-c3bf-7163-8000-0000372efcf5"


def lines(block: Block, width: int) -> list[str]:
    """Return the lines that a terminal of this width gets, without spaces at their ends."""
    out = io.StringIO()
    console = Console(file=out, width=width)
    for part in lay_out(block, width):
        console.print(part, crop=False)
    return [line.rstrip() for line in out.getvalue().splitlines()]


TABLE = Rows(("id", "dead", "reason"), [("a" * 30, 1, "no money at the bank"), ("b", 20, "no use")], numbers=[1])


def test_rows_that_fit_are_a_table() -> None:
    assert lines(TABLE, 80) == [
        "id                              dead  reason",
        f"{'a' * 30}     1  no money at the bank",
        "b                                 20  no use",
    ]


# DR-65
@pytest.mark.parametrize("width", [1, 20, len(LONG_ID), len(LONG_ID) + 15])
def test_rows_that_do_not_fit_are_a_record_each_with_whole_ids(width: int) -> None:
    shown = lines(Rows(TABLE.names, [(LONG_ID, 1, "no money"), ("b", 20, "no use")]), width)
    assert f"id      {LONG_ID}" in shown and "" in shown


# DR-65
def test_texts_are_wrapped_before_anything_that_is_copied() -> None:
    block = Rows(("id", "reason", "bus"), [("a" * 20, "word " * 10, "b" * 25)], whole=(0, 2))
    width = 20 + 2 + NARROWEST + 2 + 25
    row = f"{'a' * 20}  word word word word   {'b' * 25}"
    assert lines(block, width)[1:3] == [row, f"{' ' * 20}  word word word word"]
    assert lines(block, width - 1)[::2] == [f"id      {'a' * 20}", f"bus     {'b' * 25}"]


def test_a_table_without_rows_has_its_headers_whatever_the_width() -> None:
    assert " ".join(lines(Rows(TABLE.names, []), 5)).split()


# DR-65
def test_a_whole_value_among_pairs_is_one_line_and_others_are_wrapped() -> None:
    pairs = Pairs({"id": LONG_ID, "reason": "no money " * 10, "key": None}, whole=["id", "queue"])
    shown = lines(pairs, 40)
    assert shown[0] == f"id      {LONG_ID}" and len(shown) > 2
    assert all(line.startswith(("reason", "        ")) for line in shown[1:])


def test_control_characters_are_escaped_in_every_block() -> None:
    for block in ("\x1b[31m", Rows(("id",), [("\x1b[31m",)]), Pairs({"a": "\x1b[31m"})):
        assert "\\x1b[31m" in "\n".join(lines(block, 80))


# DR-65
@pytest.mark.costly
def test_ids_of_dead_letters_and_names_of_queues_are_whole_on_a_terminal_of_any_width(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{LONG_ID}{number}" for number in range(2)]
    shell.fill(lambda store: bury(store, *ids))
    for width in ("30", "80", "100", "200"):
        out = Terminal()
        with monkeypatch.context() as there:
            there.setenv("COLUMNS", width)
            there.setattr("sys.stdout", out)
            for argv in (["dead", "orders"], ["show", "orders", ids[0]], ["stats"], ["doctor"]):
                assert shell.run(*argv)[0] == 0
        words = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).split()
        assert [words.count(id) for id in ids] == [2, 1] and words.count("orders") == 3
