"""Texts for people: the type of a setting, and a value of it as it is written in a variable."""

from __future__ import annotations

from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any, Literal, Union

from modd.core import shown, take_apart

COLLECTIONS = (tuple, list, set, frozenset)
"""The types that are written with commas."""


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
