"""The code that README and docs print passes both type checkers, strictly; the blocks of one page are one module."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

WRONG = "# A page\n\n```python\nfirst: int = 1\n```\n\n```python\nsecond: str = first\n```\n"
"""A page with an error, to see that the checkers look: at its line 8, in a name of the block before."""

MYPY = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
PYRIGHT = [str(Path(sys.executable).with_name("basedpyright")), "--warnings", "--project"]

PYRIGHT_OPTIONS = {
    "typeCheckingMode": "standard",
    "pythonVersion": "3.11",
    "venvPath": str(Path(sys.prefix).parent),
    "venv": Path(sys.prefix).name,
    "extraPaths": [str(ROOT)],
}


def modules_in(page: Path) -> dict[str, str]:
    """Return the code of a page by module, at the lines of the page: its Python blocks, and each block marked `py`."""
    code = [""] * (len(page.read_text(encoding="utf-8").splitlines()) + 1)
    for example in Sybil(parsers=[PythonCodeBlockParser()], patterns=["*"]).parse(page):
        write_at(code, example)
    modules = {module_name(page): "\n".join(code)}
    for example in Sybil(parsers=[CodeBlockParser("py", lambda example: None)], patterns=["*"]).parse(page):
        apart = [""] * len(code)
        write_at(apart, example)
        modules[f"{module_name(page)}_at_{example.line}"] = "\n".join(apart)
    return modules


def module_name(page: Path) -> str:
    """Return the name of the module of a page; pages of several folders may have the same name."""
    inside = page.relative_to(ROOT).with_suffix("") if page.is_relative_to(ROOT) else Path(page.stem)
    return re.sub(r"\W", "_", inside.as_posix())


def write_at(code: list[str], example: Any) -> None:
    """Put the code of a block at its lines."""
    lines = example.parsed.splitlines()
    start = example.line + example.parsed.line_offset
    code[start : start + len(lines)] = lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module for each page, and one for the page with an error."""
    wrong = tmp_path / "wrong.md"
    wrong.write_text(WRONG, encoding="utf-8")
    for page in [*PAGES, wrong]:
        for name, code in modules_in(page).items():
            (tmp_path / f"page_{name}.py").write_text(code + "\n", encoding="utf-8")
    return tmp_path


def errors_of(command: list[str]) -> list[str]:
    """Return what a type checker tells of the pages, by module and line."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    told = [line.rpartition("/page_")[2].strip() for line in done.stdout.splitlines()]
    return [line for line in told if re.match(r"\w+\.py:\d+", line)]  # not by path: mypy's cache has older ones


def test_the_blocks_of_a_page_are_one_module_at_the_lines_of_the_page(tmp_path: Path) -> None:
    # TK-3
    page = tmp_path / "page.md"
    page.write_text(WRONG + "\n```py\nthird = 3\n```\n", encoding="utf-8")
    modules = modules_in(page)
    assert modules["page"].splitlines()[3] == "first: int = 1"
    assert modules["page"].splitlines()[7] == "second: str = first"
    assert modules["page_at_11"].splitlines()[11] == "third = 3"


@pytest.mark.slow
def test_every_block_of_readme_and_docs_passes_mypy_strictly(folder: Path) -> None:
    # TK-3, WM-76
    found = errors_of([*MYPY, str(folder)])
    assert [line for line in found if not line.startswith("wrong.py:8: error: Incompatible types")] == []
    assert len(found) == 1


@pytest.mark.slow
def test_every_block_of_readme_and_docs_passes_pyright(folder: Path) -> None:
    # TK-3
    options = folder / "pyrightconfig.json"
    options.write_text(json.dumps(PYRIGHT_OPTIONS), encoding="utf-8")
    found = errors_of([*PYRIGHT, str(options)])
    assert [line for line in found if not line.startswith("wrong.py:8:")] == []
    assert len(found) == 1
