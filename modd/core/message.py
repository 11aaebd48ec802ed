"""Messages: immutable values, and `Failure`, the message about an error in a component."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, dataclass_transform

import msgspec

from modd.core.masking import error_repr
from modd.core.pydantic_model import json_schema, pydantic_schema, with_components
from modd.core.sensitive import Text, Value

R = TypeVar("R")


R_co = TypeVar("R_co", covariant=True)


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
        return with_components(pydantic_schema(source), source, handler)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        """Return a reference to the JSON schema of the data, for the documentation of an interface."""
        return json_schema(schema, handler)


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


_MARK = "modd: "


class Failure(Message):
    """A message about an error that a component raised while it handled a message.

    A component that names ``Failure`` in its annotation handles it; to leave it unhandled, raise ``failure.error``.
    An unhandled failure is raised to the sender, inside ``TurnFailed``, when the turn has ended.
    """

    message: Message
    component: Any
    error: Exception

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Field names and shown values; the error is shown without sensitive content of the message."""
        fields = dict(super().__rich_repr__())
        return [*(fields | {"error": Text(error_repr(self.error, self.message))}).items()]


def note(error: Exception, component: str, message: Message, bus: str) -> None:
    """Note on an error where it was raised last, in one line, without the content of the message."""
    with suppress(Exception):  # even if add_note fails, the error must reach the sender
        for stale in [
            line for line in getattr(error, "__notes__", ()) if isinstance(line, str) and line.startswith(_MARK)
        ]:
            error.__notes__.remove(stale)
        error.add_note(f"{_MARK}raised by {component} when given {type(message).__qualname__} in {bus}")
