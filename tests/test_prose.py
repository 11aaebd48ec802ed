"""The docstrings of modd begin with their subject or a verb, and a public name means one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "modd").rglob("*.py"))
PACKAGES = [path.parent for path in MODULES if path.name == "__init__.py"]

QUESTION = re.compile(r"\s*(What|Who|Whose|Whoever|Whatever|Whether|How|Where|When|Which|Why)\b")
BEHAVIOUR = re.compile(r"\b[A-Z]{2}-\d+\b")

HOMONYMS = {
    "backend_options": "the virtual clocks of asyncio and trio have the same two functions, chosen by the backend",
    "run_with_options": "the virtual clocks of asyncio and trio have the same two functions, chosen by the backend",
}
"""Public names that two modules may define, each with the reason."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring of a module, those of classes, functions and attributes included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def lines_with(pattern: re.Pattern[str], *, at_start: bool) -> list[str]:
    """Return file, line and first line of each docstring of modd with a pattern, in it or at its start."""
    search = pattern.match if at_start else pattern.search
    return [
        f"{path.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for path in MODULES
        for line, text in docstrings(path.read_text())
        if search(text)
    ]


def defined_in(source: str) -> Iterator[str]:
    """Yield the public names of the classes and functions at the top level of a module."""
    for node in ast.parse(source).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield node.name


def public_objects(package: ModuleType) -> dict[str, Any]:
    """Return the names in ``__all__`` of a package, with their objects."""
    return {name: getattr(package, name) for name in getattr(package, "__all__", ())}


def test_no_docstring_begins_with_a_question_word() -> None:
    found = lines_with(QUESTION, at_start=True)
    assert not found, "\n".join(found)


def test_no_docstring_names_a_behaviour_by_its_id() -> None:
    found = lines_with(BEHAVIOUR, at_start=False)
    assert not found, "\n".join(found)


def test_no_two_modules_define_a_class_or_function_of_the_same_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for name in defined_in(path.read_text()):
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    homonyms = {name: files for name, files in places.items() if len(files) > 1}
    found = [f"{name}: {', '.join(files)}" for name, files in sorted(homonyms.items()) if name not in HOMONYMS]
    assert not found, "\n".join(found)
    assert HOMONYMS.keys() <= homonyms.keys(), "an exception that is not needed any more"


def test_a_name_that_two_packages_export_is_the_same_object_in_both() -> None:
    objects: dict[str, set[int]] = {}
    for path in PACKAGES:
        package = import_module(".".join(path.relative_to(ROOT).parts))
        for name, value in public_objects(package).items():
            objects.setdefault(name, set()).add(id(value))
    assert [name for name, ids in objects.items() if len(ids) > 1] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""What a module has."""', [1]),
        ('class A:\n    """Return it."""\n    b: int\n    """Whether it is so."""', [4]),
        ('def f():\n    """Whatever comes."""', [2]),
        ('"""Whose."""\nx = "What"', [1]),
        ('"""Whatsoever: another word."""', []),
    ],
)
def test_docstrings_of_modules_classes_functions_and_attributes_are_found(source: str, found: list[int]) -> None:
    assert [line for line, text in docstrings(source) if QUESTION.match(text)] == found
