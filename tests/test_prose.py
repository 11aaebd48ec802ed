"""The docstrings of modd begin with their subject or a verb and name each parameter; a public name means one thing."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import msgspec
import pytest

from modd import middleware, stores
from modd.cqrs import Stamp
from modd.texts import full_name

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "modd").rglob("*.py"))
PACKAGES = [path.parent for path in MODULES if path.name == "__init__.py"]

QUESTION = re.compile(r"\s*(What|Who|Whose|Whoever|Whatever|Whether|How|Where|When|Which|Why)\b")
BEHAVIOUR = re.compile(r"\b[A-Z]{2}-\d+\b")

RIDDLES = re.compile(
    r"""
    \bthose\ who\ (read|write)\b | \bturns(\ of\ \S+\ \S+)?\ apart\b | \b(is|was)\ let\ (in|out)\ (does|is)\b
    | \blet\ out\ is\ not\b | \bone\ that\ collects\b | \bmakes\ are\b | \b(a|each|every|other|both)\ make\ of\b
    | \bthat\ share\ one\ run\b | (^|[.;:]\ )Who(ever)?\b[^?]*([.;]|$) | \bwho\ comes\b
    | (^|[.;:]\ )What\ (is\ found|only|was)\b[^?]*([.;]|$) | \bwhoever\b
    | \bg(ives?|iven|ave)\ (it\ |them\ )?back\b | \bcarefully\b
    """,
    re.VERBOSE,
)
"""Phrases that readers have misunderstood: without a subject, or with a word that has another meaning in the field."""

NAMES_WITH_EXTRA = ["AddressRefused", "Endpoint", "TraceContext", "Tracing", "Webhook", "WebhookOptions"]
"""Public names of `modd.middleware` that are not in its ``__all__``, because they need an extra."""

HAS_HELP = re.compile(r"modd\.(?!core\.)")
"""Modules whose public classes name their parameters; `modd.core` also exports machinery, which users do not create."""

HOMONYMS = {
    "Record": "an observer that users make for a journey, and the state of a thing in a stream of NATS",
    "Refused": "a call that a SQLite file refuses, inside of the store, and a request that a gateway refuses",
    "Rows": "those that a projection writes, which users name, and those that the command line shows",
    "Session": "a connection of a link to NATS, and an open transaction of a database, each inside a package",
    "Timeout": "a middleware that limits the time of a dispatch, and a timeout of a flow: both as the field has them",
    "Topic": "queues of the groups that subscribe, which users name, and a channel with its types inside of a gateway",
    "end": "ends a turn inside of the core, and an instance of a flow",
    "backend_options": "the virtual clocks of asyncio and trio have the same two functions, chosen by the backend",
    "run_with_options": "the virtual clocks of asyncio and trio have the same two functions, chosen by the backend",
}
"""Public names that two modules may define, each with the reason."""


STORES = ("memory", "nats", "postgres", "sqlite")
"""The packages of stores, in `modd.stores`."""


parsed = cache(ast.parse)
"""Takes a module apart, once for all tests."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring of a module, those of classes, functions and attributes included."""
    for node in ast.walk(parsed(source)):
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
    for node in parsed(source).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield node.name


def place_of(path: Path) -> str:
    """Return the module of a name; that of all stores is one place, as they do the same and do not see each other."""
    parts = path.relative_to(ROOT).parts
    return "a store" if parts[1] == "stores" and parts[2] in STORES else "/".join(parts)


def public_objects(package: ModuleType) -> dict[str, Any]:
    """Return the names in ``__all__`` of a package, with their objects."""
    return {name: getattr(package, name) for name in getattr(package, "__all__", ())}


def public_classes() -> list[type]:
    """Return the classes of modd that a user may name: those of packages, and those that need an extra."""
    packages = [import_module(".".join(path.relative_to(ROOT).parts)) for path in PACKAGES]
    values: list[Any] = [value for package in packages for value in public_objects(package).values()]
    values += [getattr(middleware, name) for name in NAMES_WITH_EXTRA]
    values.append(stores.NatsStore)
    classes = {value for value in values if inspect.isclass(value)}
    return sorted((class_ for class_ in classes if HAS_HELP.match(class_.__module__)), key=full_name)


def parameters_of(class_: type) -> list[str]:
    """Return the fields that a class declares, or the parameters of its own constructor; no inherited ones."""
    if issubclass(class_, (msgspec.Struct, dict)) or is_dataclass(class_):
        fields = getattr(class_, "__struct_fields__", class_.__annotations__)
        return [name for name in class_.__annotations__ if name in fields]
    constructor = vars(class_).get("__init__")
    if not inspect.isfunction(constructor) or getattr(class_, "_is_protocol", False):
        return []
    named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return [each.name for each in [*inspect.signature(constructor).parameters.values()][1:] if each.kind in named]


def undocumented(class_: type) -> list[str]:
    """Return the parameters that the docstring of a class, which ``help()`` shows, does not name."""
    return [name for name in parameters_of(class_) if not re.search(rf"\b{name}\b", vars(class_)["__doc__"] or "")]


def test_the_docstring_of_each_public_class_names_its_parameters() -> None:
    missing = {full_name(class_): undocumented(class_) for class_ in public_classes()}
    found = [f"{name}: {', '.join(names)}" for name, names in missing.items() if names]
    assert not found, "\n".join(found)


class Named(TypedDict, total=False):
    """Has a first."""

    first: int
    second: int


class Stamped(Stamp):
    """Has a first."""

    first: int
    second: int


class Paired:
    """Has a first."""

    def __init__(self, first: int, *more: int, second: int, **options: int) -> None: ...


class Derived(Paired):
    """Has no constructor of its own."""


@pytest.mark.parametrize(
    ("class_", "missing"), [(Named, ["second"]), (Stamped, ["second"]), (Paired, ["second"]), (Derived, [])]
)
def test_parameters_without_a_word_are_found(class_: type, missing: list[str]) -> None:
    assert undocumented(class_) == missing


def test_no_docstring_begins_with_a_question_word() -> None:
    found = lines_with(QUESTION, at_start=True)
    assert not found, "\n".join(found)


def test_no_docstring_names_a_behaviour_by_its_id() -> None:
    found = lines_with(BEHAVIOUR, at_start=False)
    assert not found, "\n".join(found)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each paragraph of a page without its code, or of each text in the code of a module."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        prose = re.sub(r"^(```|<!--).*?^(```|-->)", "", source, flags=re.MULTILINE | re.DOTALL)
        yield from enumerate(prose.split("\n\n"), 1)
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def misunderstood(paths: Iterable[Path]) -> list[str]:
    """Return file, line and phrase of each text that readers have misunderstood."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {found[0]}"
        for path in paths
        for line, text in texts(path)
        for found in RIDDLES.finditer(" ".join(text.split()))
    ]


def test_no_page_docstring_or_error_has_a_phrase_that_readers_misunderstood() -> None:
    # BK-23
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert misunderstood([*(page for page in pages if page.name != "behaviours.md"), *MODULES]) == []


@pytest.mark.parametrize(
    "phrase",
    [
        "Renew those who read before those who write.",
        "a function keeps only turns of one key apart",
        "What was let in does not go out again",
        "and what a bus let out is not given back to it",
        "The cache and the locks stand beside one that collects",
        "makes are known by their methods",
        "each make of a port",
        "Handlers that share one run one after another",
        "Who dispatches to the typed bus itself does not get its events.",
        "who comes while the first is going on waits for it",
        "What is found.",
        "What only looks.",
        "whoever waits asks again",
        "the bus gives it back",
        "read them carefully",
    ],
)
def test_a_phrase_that_readers_misunderstood_is_found(phrase: str) -> None:
    # BK-23
    assert RIDDLES.search(phrase)


@pytest.mark.parametrize(
    "phrase",
    [
        "Who sent this message, and what caused it?",
        "the Actor who sends it",
        "make demo makes the page; each handler makes a row",
        "turns of one key run one after another",
    ],
)
def test_a_plain_phrase_is_none_of_these(phrase: str) -> None:
    # BK-23
    assert not RIDDLES.search(phrase)


def test_no_two_modules_define_a_class_or_function_of_the_same_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for name in defined_in(path.read_text()):
            places.setdefault(name, []).append(place_of(path))
    homonyms = {name: files for name, files in places.items() if len(set(files)) > 1}  # overloads are one function
    found = [f"{name}: {', '.join(files)}" for name, files in sorted(homonyms.items()) if name not in HOMONYMS]
    assert not found, "\n".join(found)
    assert HOMONYMS.keys() <= homonyms.keys(), "an exception that is not needed any more"


def test_a_name_that_two_packages_export_is_the_same_object_in_both() -> None:
    objects: dict[str, set[int]] = {}
    for path in PACKAGES:
        package = import_module(".".join(path.relative_to(ROOT).parts))
        for name, value in public_objects(package).items():
            objects.setdefault(name, set()).add(id(value))
    assert [name for name, ids in objects.items() if len(ids) > 1 and name not in HOMONYMS] == []


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
