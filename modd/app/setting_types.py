"""Texts for people: the type of a setting, and a value of it as it is written in a variable."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any, Literal, Union
from uuid import UUID

from modd.core import shown, take_apart

COLLECTIONS = (tuple, list, set, frozenset)
"""The types that are written with commas."""

QUOTED = {
    datetime: "2026-11-28T05:30:00Z",
    date: "2026-11-28",
    time: "05:30:00",
    timedelta: "PT30S",
    Decimal: "9.99",
    UUID: "01939c1e-5a00-7000-8000-000000000000",
}
"""Types that are texts in JSON, and that a variable may have without the quotes; with an example of each."""


def setting_type(hint: Any) -> str:
    """Return the type of a setting: ``int``, ``list[Path]``, ``int | None``, or the choices, ``fast | safe``."""
    bare, kind, args, _, _ = take_apart(hint)
    if kind is Union:
        return " | ".join(setting_type(each) for each in args)
    if kind is Literal:
        return " | ".join(map(value_text, args))
    if kind is NoneType or kind is ...:
        return "None" if kind is NoneType else "..."
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(map(choice_text, kind))
    name = getattr(kind, "__name__", str(bare))
    return f"{name}[{', '.join(map(setting_type, args))}]" if args else name


def type_with_example(hint: Any) -> str:
    """Return the type of a setting, with an example if its texts have a format: ``timedelta, such as PT30S``."""
    example = next((QUOTED[each] for each in members_of(hint) if each in QUOTED), None)
    return setting_type(hint) if example is None else f"{setting_type(hint)}, such as {example}"


def members_of(hint: Any) -> list[Any]:
    """Return the classes of a union, or of the hint alone."""
    _, kind, args, _, _ = take_apart(hint)
    return [take_apart(each).origin for each in args] if kind is Union else [kind]


def choice_text(member: Enum) -> str:
    """Return the text that stands for a member: its value if that is a text, else its name."""
    return member.value if isinstance(member.value, str) else member.name


def value_text(value: Any) -> str:
    """Return a value as it is written in a variable, or its repr; ``***`` if that would show sensitive content."""
    if isinstance(value, Enum):
        return choice_text(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, COLLECTIONS) and all(isinstance(item, (str, int, float, PurePath, Enum)) for item in value):
        texts = map(value_text, value)
        return ",".join(sorted(texts) if isinstance(value, (set, frozenset)) else texts) or "''"
    return value if isinstance(value, str) and value else shown(value)
