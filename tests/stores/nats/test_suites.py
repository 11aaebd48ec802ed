"""Each suite of conformance runs on a NATS server."""

from __future__ import annotations

import ast
from pathlib import Path

from modd.testing import conformance

FOLDER = Path(__file__).parent


def test_each_suite_runs_on_a_server_and_on_a_cluster() -> None:
    # NA-1
    classes = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for path in FOLDER.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    }
    for suite in conformance.__all__:
        found = [name for name, bases in classes.items() if suite in bases]
        assert found, f"{suite} does not run on NATS"
        assert any("OnCluster" in bases and {*found} & {*bases} for bases in classes.values()), f"{suite}: no cluster"
