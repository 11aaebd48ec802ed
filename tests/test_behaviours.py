"""docs/internals/behaviours.md and the tests name the same behaviours, both ways."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| ([A-Z]{2}-\d+) \| .+ \| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)
ID = re.compile(r"\b[A-Z]{2}-\d+\b")


def rows() -> list[tuple[str, str, str]]:
    """ID, file and test of every row in the list."""
    return ROW.findall((ROOT / "docs/internals/behaviours.md").read_text())


def named_in_tests() -> dict[str, set[str]]:
    """The tests that name each ID, in a comment in or above them or for their whole file."""
    named: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for comment in re.findall(r"#(.*)", path.read_text()):
            for behaviour in ID.findall(comment):
                named.setdefault(behaviour, set()).add(path.relative_to(ROOT).as_posix())
    return named


def test_every_line_of_the_table_is_a_row_and_every_id_is_there_once() -> None:
    lines = [
        line
        for line in (ROOT / "docs/internals/behaviours.md").read_text().splitlines()
        if re.match(r"\| [A-Z]{2}-", line)
    ]
    ids = [behaviour for behaviour, _, _ in rows()]
    assert len(lines) == len(ids) == len(set(ids)) > 0


def test_every_behaviour_in_the_list_is_proved_by_the_test_that_it_names() -> None:
    for behaviour, file, test in rows():
        source = (ROOT / file).read_text()
        defined = re.compile(rf"^(?:async )?def {test}\(", re.MULTILINE)
        found = [block for block in source.split("\n\n\n") if defined.search(block)]
        assert found, f"{behaviour}: no {test} in {file}"
        assert re.search(rf"#.*\b{behaviour}\b", found[0]), f"{test} in {file} does not name {behaviour}"


def test_every_behaviour_that_a_test_names_is_in_the_list() -> None:
    listed = {behaviour for behaviour, _, _ in rows()}
    unknown = {behaviour: sorted(files) for behaviour, files in named_in_tests().items() if behaviour not in listed}
    assert not unknown
    assert listed <= set(named_in_tests())
