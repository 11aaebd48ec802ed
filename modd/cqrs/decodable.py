"""Decodable types: the check, when a codec is made, that msgspec can read a type again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from msgspec import inspect as shapes

from modd.core import Message, hints_of_fields, take_apart, wire_name
from modd.cqrs.wire import STAMP, TYPE, VERSION, Decoders
from modd.errors import DuplicateName, InvalidOption

_PLAIN: tuple[Any, ...] = ({}, [], "", 0, 0.0, True, None)
"""A value of each type that data has; a class of which one is an instance needs no hook."""

_unknown: WeakKeyDictionary[type, str] = WeakKeyDictionary()
"""The names found by `_unknown_in`, by class."""


def types_by_name(option: str, kinds: Iterable[Any], base: type[Any]) -> dict[str, Any]:
    """Return types by their names on the wire. Raises `InvalidOption`, `DuplicateName`."""
    by_name: dict[str, Any] = {}
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise InvalidOption(option, kind, f"give types derived from {base.__name__}")
        if not _has_readable_name(kind, base):
            raise InvalidOption(
                option, kind, "give types with a text as their tag, and neither tag_field nor array_like"
            )
        known = by_name.setdefault(wire_name(kind), kind)
        if known is not kind:
            raise DuplicateName(wire_name(kind), known, kind, "the codec")
    return by_name


def _has_readable_name(kind: type[Any], base: type[Any]) -> bool:
    """Return True if data of the type has its name under the key that the codec reads."""
    config = kind.__struct_config__
    return (
        isinstance(config.tag, str) and config.tag_field == base.__struct_config__.tag_field and not config.array_like
    )


OWN_TYPE = "use a type of msgspec's (a Struct, a dataclass, ...)"
"""The cure for a type that msgspec does not know."""


def check_decodable(kind: type[msgspec.Struct], read: Decoders) -> None:
    """Raise `InvalidOption`, which names the field, for a type of messages or stamps that cannot be decoded."""
    for name in kind.__struct_encode_fields__:
        if name in (TYPE, VERSION, STAMP):
            raise InvalidOption(f"{kind.__qualname__}.{name}", name, "give the field another name on the wire")
    reason = fault_in(kind, read)
    if reason:
        path, hint, reason = _find_fault(kind, kind.__qualname__, reason, read, ())
        raise InvalidOption(path, hint, reason)


def decodable(kinds: Iterable[type[Message]]) -> list[type[Message]]:
    """Return the types that a codec without hooks can decode."""
    read = Decoders("json", None)
    return [kind for kind in kinds if not fault_in(kind, read)]


def types_in(kind: Any) -> Iterator[shapes.Type]:
    """Return msgspec's description of a type and of all types in it; raises errors of msgspec for unsupported types."""
    pending: list[Any] = [shapes.type_info(kind)]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if isinstance(each, tuple):
            pending += each
        elif isinstance(each, (shapes.Type, shapes.Field)) and id(each) not in seen:
            seen.add(id(each))
            pending += [getattr(each, name) for name in each.__struct_fields__]
            if isinstance(each, shapes.Type):
                yield each


def fault_in(hint: Any, read: Decoders, cure: str = f"give the codec an enc_hook and a dec_hook, or {OWN_TYPE}") -> str:
    """Return the reason for which values of a type cannot be decoded, with the cure; an empty text if they can.

    cure: that for a type which msgspec does not know.
    """
    try:
        read.make(hint)
        unknown = "" if read.has_hook else _unknown_in(hint)
    except NameError as error:
        return f"{error}; import it outside of `if TYPE_CHECKING:`, or move it to module level"
    except Exception as error:  # msgspec raises several
        return f"it cannot be decoded: {error}"
    return f"msgspec does not know {unknown}; {cure}" if unknown else ""


def _unknown_in(hint: Any) -> str:
    """Return the name of a class in a hint that msgspec does not know, or an empty text."""
    if not isinstance(hint, type):
        return _find_unknown(hint)
    name = _unknown.get(hint)
    if name is None:  # to describe a class takes longer than all else that a codec does with it
        name = _unknown[hint] = _find_unknown(hint)
    return name


def _find_unknown(hint: Any) -> str:
    custom = (each.cls for each in types_in(hint) if isinstance(each, shapes.CustomType))
    return next((kind.__qualname__ for kind in custom if not _is_plain(kind)), "")


def _is_plain(kind: type) -> bool:
    """Return True if a value as it stands in data is an instance of the class."""
    try:
        return any(isinstance(value, kind) for value in _PLAIN)
    except TypeError:  # a protocol that is not `runtime_checkable`
        return False


def _find_fault(kind: Any, path: str, reason: str, read: Decoders, around: tuple[Any, ...]) -> tuple[str, Any, str]:
    """Return path, hint and reason of the innermost field that makes a type undecodable."""
    for name, hint in hints_of_fields(kind).items():
        if _is_class_variable(hint):
            continue
        inner = f"{path}.{name}"
        if isinstance(hint, str):
            return inner, hint, reason
        fault = fault_in(hint, read)
        if fault:
            parts = [part for part in _classes_in(hint) if part not in around and fault_in(part, read)]
            return _find_fault(parts[0], inner, fault, read, (*around, *parts)) if parts else (inner, hint, fault)
    return path, kind, reason


def _is_class_variable(hint: Any) -> bool:
    return str(hint).startswith(("typing.ClassVar", "ClassVar"))


def _classes_in(hint: Any) -> Iterator[Any]:
    """Yield the classes with fields in a hint."""
    bare, origin, args, *_ = take_apart(hint)
    if isinstance(origin, type) and hints_of_fields(bare):
        yield bare
    for each in args:
        yield from _classes_in(each)
