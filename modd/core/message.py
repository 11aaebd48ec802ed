"""Messages: immutable values, and `Failure`, the message about an error in a component."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from functools import lru_cache
from inspect import get_annotations
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Protocol,
    Self,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from modd.core.schema import json_schema, pydantic_schema

R = TypeVar("R")


R_co = TypeVar("R_co", covariant=True)


class Sensitive:
    """A mark for a field with a secret: ``card: Annotated[str, Sensitive]`` prints as ``***``.

    The field is masked in repr, journeys, logs and tools; encoding keeps the content.
    """


class Value(msgspec.Struct, frozen=True):
    """A frozen value, for the fields of messages; it shows ``***`` in place of fields that are `Sensitive`."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Field names and shown values, for repr and for pretty printers."""
        hidden = sensitive_fields(type(self))
        return [(name, MASK if name in hidden else getattr(self, name)) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Message(Value, frozen=True, tag=True, tag_field="$type"):
    """The base of all messages: a frozen value that tells of an event or asks for something.

    Declare the fields as in a dataclass. Its name on the wire is the class name, or the one that you give:
    ``class Placed(Message, tag="order-placed")``; a subclass of a type with a name of its own inherits that name.
    Messages are equal when type and values are, and hashable when their values are. Pydantic, and so FastAPI, takes
    them as models of request and response bodies.
    """

    schema_version: ClassVar[int] = 1
    """The version of its fields, for a codec: add 1 when data of before no longer fits, or no longer means the same."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return the schema by which pydantic makes a message from data, and data from a message."""
        return pydantic_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        """Return the JSON schema of the data, for the documentation of an interface."""
        return json_schema(cls)


class IntentOf(Protocol[R_co]):
    """An intent with this result, as type checkers see it."""

    def _result(self) -> R_co: ...


class Intent(Message, Generic[R]):
    """The base of messages that have a result of type ``R``: ``class PriceOf(Intent[Decimal]): sku: str``."""

    @classmethod
    def _meta(cls) -> tuple[type[Self], Callable[[R], R]]:
        """Have type checkers hold the result of a handler to ``R``, no more and no less; never called."""
        raise NotImplementedError

    def _result(self) -> R:
        """Tell type checkers the type of the result; never called."""
        raise NotImplementedError


def wire_name(kind: Any) -> str:
    """Return the name of a type of messages or stamps on the wire."""
    return str(kind.__struct_config__.tag)


class _Mask:
    def __repr__(self) -> str:
        return "***"


MASK = _Mask()


@lru_cache(maxsize=1024)
def sensitive_fields(type_: type) -> frozenset[str]:
    """Return the names of the `Sensitive` fields of a type; by the text of a hint if it cannot be resolved."""
    return frozenset(name for name, hint in _hints(type_).items() if _is_sensitive(hint))


def _hints(type_: type) -> dict[str, Any]:
    try:
        return get_type_hints(type_, include_extras=True)
    except Exception:  # a hint that only type checkers can resolve: its text still tells
        hints: dict[str, Any] = {}
        for base in reversed(type_.__mro__):
            hints |= get_annotations(base)
        return hints


def _is_sensitive(hint: Any, around: tuple[Any, ...] = ()) -> bool:
    if isinstance(hint, str):
        return "Sensitive" in hint
    if isinstance(hint, type) and hint not in around and _shows_all(hint):
        return any(_is_sensitive(inner, (*around, hint)) for inner in _hints(hint).values())
    if get_origin(hint) is Annotated and any(m is Sensitive or isinstance(m, Sensitive) for m in hint.__metadata__):
        return True
    return any(_is_sensitive(part, around) for part in get_args(hint))


def _shows_all(kind: type) -> bool:
    """Return True if a type is made of fields, and its repr masks none of them."""
    return is_dataclass(kind) or (issubclass(kind, msgspec.Struct) and not issubclass(kind, Value))


_MARK = "modd: "


class Failure(Message):
    """A message about an error that a component raised while it handled a message.

    A component that names ``Failure`` in its annotation handles it; to leave it unhandled, raise ``failure.error``.
    A failure that nobody handled is raised to the sender, inside ``TurnFailed``, when the turn has ended.
    """

    message: Message
    component: Any
    error: Exception


def note(error: Exception, component: str, message: Message, bus: str) -> None:
    """Note on an error where it was raised last, in one line, without the content of the message."""
    with suppress(Exception):  # even if add_note fails, the error must reach the sender
        for stale in [line for line in getattr(error, "__notes__", ()) if line.startswith(_MARK)]:
            error.__notes__.remove(stale)
        error.add_note(f"{_MARK}raised by {component} when given {type(message).__qualname__} in {bus}")
