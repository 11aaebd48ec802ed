"""The fields of a `Settings` class: variables, types, defaults and docstrings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from pathlib import PurePath
from textwrap import dedent
from types import NoneType
from typing import Any, Literal, NamedTuple, Union
from uuid import UUID

import msgspec

from modd.app.setting_types import COLLECTIONS, setting_type, value_text
from modd.core import MASK, hints_of_fields, sensitive_fields, take_apart
from modd.errors import InvalidOption

FILE = "_FILE"
"""The end of the name of a variable that has the path of a file with the value."""

CHECKED = (str, int, float, PurePath, Enum, date, time, timedelta, Decimal, UUID, NoneType)
"""Types whose defaults are checked."""

FACTORY = type(msgspec.defstruct("Sample", [("items", list, [])]).__struct_defaults__[0])
"""The type that msgspec gives functions that make defaults."""

UNRESOLVED = "it cannot be resolved; define the type at the level of its module, and import it outside of TYPE_CHECKING"


class SettingField(NamedTuple):
    """A field of a `Settings` class.

    is_secret: True if the field is `Sensitive`. default: the text of the default, None if the field is required.
    has_file: True if a file may have the value; False if a field has the name of that variable.
    may_be_blank: False if a text without content is a mistake: for a secret, unless its default is such a text.
    """

    name: str
    variable: str
    hint: Any
    is_secret: bool
    default: str | None
    has_file: bool
    may_be_blank: bool


def variables_of(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """Return the variable of each field. Raises `InvalidOption` for two fields of one variable."""
    variables: dict[str, str] = {}
    for name in names:
        variable = f"{prefix}{name.upper()}"
        if variable in variables:
            raise InvalidOption("fields", [variables[variable], name], f"both are {variable}: rename one")
        variables[variable] = name
    return {name: variable for variable, name in variables.items()}


def fields_of_settings(kind: type[msgspec.Struct], prefix: str) -> list[SettingField]:
    """Return the fields of a class. Raises `InvalidOption` for a type that cannot be resolved."""
    hints, secrets = _resolved_hints(kind), sensitive_fields(kind)
    variables = variables_of(prefix, kind.__struct_fields__)
    return [
        SettingField(
            field.name,
            variables[field.name],
            hints[field.name],
            field.name in secrets,
            _default_text(field, is_secret=field.name in secrets),
            f"{variables[field.name]}{FILE}" not in variables.values(),
            may_be_blank=field.name not in secrets or is_blank(field.default),
        )
        for field in msgspec.structs.fields(kind)
    ]


def check_defaults(kind: msgspec.StructMeta) -> None:
    """Raise `InvalidOption` for a default that is not of the type of its field, as far as that can be resolved yet."""
    hints, secrets, defaults = hints_of_fields(kind), sensitive_fields(kind), kind.__struct_defaults__
    for name, default in zip(kind.__struct_fields__[-len(defaults) :], defaults, strict=False):
        if not (default is msgspec.NODEFAULT or isinstance(default, FACTORY) or _fits(default, hints[name])):
            cure = f"the default is no {setting_type(hints[name])}; give one of this type"
            raise InvalidOption(f"{kind.__qualname__}.{name}", MASK if name in secrets else default, cure)


def docs_of_fields(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstring of each field that has one: the text below it, or the description in its ``Meta``."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        docs |= _docs_in(base)
    for name, hint in hints_of_fields(kind).items():
        for mark in take_apart(hint).metadata:
            if isinstance(mark, msgspec.Meta) and mark.description:
                docs.setdefault(name, mark.description)
    return docs


def _fits(default: Any, hint: Any) -> bool:
    """Return False if a default is not of the type of its field; True for a type that is not known here."""
    _, kind, args, _, _ = take_apart(hint)
    if kind is Union:
        return any(_fits(default, each) for each in args)
    if kind is Literal:
        return default in args
    if kind is float:
        return isinstance(default, (float, int))
    if kind in COLLECTIONS:
        return isinstance(default, COLLECTIONS)
    return not (isinstance(kind, type) and issubclass(kind, CHECKED)) or isinstance(default, kind)


def is_blank(value: Any) -> bool:
    """Return True for a text that is empty, or has only blanks."""
    return isinstance(value, str) and not value.strip()


def _resolved_hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    hints = hints_of_fields(kind)
    for name in kind.__struct_fields__:
        if isinstance(hints[name], str):
            raise InvalidOption(f"{kind.__qualname__}.{name}", hints[name], UNRESOLVED)
    return hints


def _default_text(field: msgspec.structs.FieldInfo, *, is_secret: bool) -> str | None:
    """Return the text of a default; a function that makes defaults is not called."""
    if field.required:
        return None
    if is_secret:
        return str(MASK)
    if field.default is not msgspec.NODEFAULT:
        return value_text(field.default)
    factory: Any = field.default_factory
    return value_text(factory()) if factory in (list, set, dict) else "computed"


def _docs_in(kind: type) -> dict[str, str]:
    """Return the texts below the fields in the source of a class; none if there is no source."""
    with suppress(OSError, TypeError, SyntaxError):
        parsed: Any = ast.parse(dedent(inspect.getsource(kind)))
        return dict(_documented(parsed.body[0].body))
    return {}


def _documented(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                yield field.target.id, " ".join(text.split())
