"""The page of guarantees: each row names its proof, a test that exists and that its word selects alone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/understand/guarantees.md"
PROOF = re.compile(r"\[`([\w/]+\.py)`\]\(\.\./\.\./tests/([\w/]+\.py)\) `-k (\w+)`")


def table_rows() -> list[str]:
    """Return the rows of the first table of the page, without its heads and the names of its groups."""
    rows = re.findall(r"^\|.*\|$", PAGE.read_text(encoding="utf-8").split("\n## Which")[0], re.MULTILINE)
    return [row for row in rows[2:] if not row.startswith("| **")]


def selected_tests(file: str, word: str) -> list[str]:
    """Return the tests of a file that pytest selects by a word."""
    return [name for name in re.findall(r"def (test_\w+)\(", (ROOT / "tests" / file).read_text()) if word in name]


def test_each_guarantee_names_one_test_that_proves_it() -> None:
    # BK-20
    rows = table_rows()
    proofs = [PROOF.search(row) for row in rows]
    assert len(rows) > 30
    assert [row for row, proof in zip(rows, proofs, strict=True) if proof is None] == []
    named = [proof.groups() for proof in proofs if proof is not None]
    assert [file for file, linked, _ in named if file != linked] == []
    assert [(file, word) for file, _, word in named if len(selected_tests(file, word)) != 1] == []


def test_a_transaction_that_is_whole_or_not_at_all_is_a_guarantee() -> None:
    # BK-21
    [row] = [row for row in table_rows() if "a transaction writes is committed together, or not at all" in row]
    proof = PROOF.search(row)
    assert proof is not None
    file, _, word = proof.groups()
    assert selected_tests(file, word) == ["test_all_that_a_transaction_writes_is_committed_together"]
