"""The catalog of a program on the command line."""

from __future__ import annotations

import sys

import msgspec
import pytest

from modd.catalog import Catalog, catalog
from modd.cli.main import main
from modd.texts import escape_control
from tests.catalog.store import keyed, orders, seats
from tests.catalog.test_markdown import NASTY

STORE = "tests.catalog.store"


def test_the_catalog_is_printed_as_the_function_returns_it(capsys: pytest.CaptureFixture[str]) -> None:
    # WM-74
    assert main(["catalog", f"{STORE}:orders"]) == 0
    assert capsys.readouterr().out == catalog(orders)


def test_of_a_module_the_outermost_parts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    # WM-74
    assert main(["catalog", STORE]) == 0
    assert capsys.readouterr().out == catalog(orders, seats, keyed)


def test_the_catalog_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    # WM-74
    assert main(["catalog", f"{STORE}:orders", "--json"]) == 0
    described = msgspec.json.decode(capsys.readouterr().out, type=Catalog)
    assert [each.name for each in described.contexts[0].aggregates] == ["order"]


def test_flows_and_projections_of_a_module_are_printed_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    # WM-74
    assert main(["catalog", "tests.catalog.processes"]) == 0
    out = capsys.readouterr().out
    for name in ("Flow `fulfilment`", "Projection `sales`", "Projection `cancellations`"):
        assert out.count(f"### {name}") == 1


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "MODULE[:NAME]"),
        ([f"{STORE}:nothing"], "AttributeError"),
        ([f"{STORE}:place"], "give buses, typed buses, aggregates"),
        (["tests.cli.shell"], "parts=(): give buses"),
        (["no.such"], "catalog no.such: ModuleNotFoundError"),
    ],
)
def test_misuse_of_the_catalog_is_one_line(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("modd: ") and err.count("\n") == 1 and told in err


def test_names_and_docstrings_do_not_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # WM-74
    monkeypatch.setattr(orders, "name", NASTY)
    for json in ([], ["--json"]):
        assert main(["catalog", f"{STORE}:orders", *json]) == 0
        out = capsys.readouterr().out
        assert (all(char.isprintable() or char == "\n" for char in out) and "x1b" in out) or "u001b" in out
    assert escape_control(catalog(orders)) != catalog(orders)


def test_the_catalog_needs_no_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modd.cli.rendering", None)
    assert main(["catalog", f"{STORE}:orders"]) == 0
    assert capsys.readouterr().out.startswith("# Catalog")
