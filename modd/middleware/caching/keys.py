"""Keys of messages: the same for the same content, however it was put together (MI-22)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from msgspec import inspect as shapes

from modd.core import Message, sensitive_fields, wire_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidIntent
from modd.cqrs.stamps import Actor, Stamp, Tenant
from modd.errors import InvalidOption, full_name

SHORT = 64
"""Content of at most so many bytes is its own key; a digest would take longer to make and to compare."""


_LEAVES = (str, bytes, bool, int, float, complex, Decimal, UUID, date, time, timedelta, type(None))


_PLAIN = (
    shapes.NoneType,
    shapes.BoolType,
    shapes.IntType,
    shapes.FloatType,
    shapes.StrType,
    shapes.BytesType,
    shapes.DateTimeType,
    shapes.DateType,
    shapes.TimeType,
    shapes.TimeDeltaType,
    shapes.UUIDType,
    shapes.DecimalType,
    shapes.EnumType,
    shapes.LiteralType,
    shapes.ListType,
    shapes.VarTupleType,
    shapes.TupleType,
    shapes.SetType,
    shapes.FrozenSetType,
    shapes.DictType,
    shapes.UnionType,
)
"""Types of which the encoding tells all: nothing of another class can stand where they are, and msgspec refuses unions
of those that it encodes alike."""


_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class Keys:
    """Makes keys for what is kept for messages, in a store that others may use too (MI-22, MI-60).

    A key tells apart buses by their names, types by their names on the wire and in the code, contents (not the order in
    which dictionaries and sets were filled) and, unless shared, the last `Actor` and the last `Tenant`. What is
    sensitive is in a key as part of a digest only. Buses that share a store need different names.

    purpose: what the keys are for: makers with other purposes make other keys.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._made: dict[type, tuple[str, Callable[[Message], str]]] = {}

    def of(self, envelope: Envelope[Any], shared: bool) -> str:
        """The key for the content of a message. Raises `InvalidIntent` for content that has no order of its own.

        shared: whether all actors and tenants have the same one.
        """
        message = envelope.message
        kind = type(message)
        start, content = self._made.get(kind) or self._make(kind)
        if not envelope.noted or shared:
            return f"{start}{content(message)}|{envelope.bus.name}"
        return f"{start}{content(message)}{_who(envelope)}|{envelope.bus.name}"

    def chosen(self, envelope: Envelope[Any], key: Any, shared: bool) -> str:
        """The key for a text that somebody chose. Raises `InvalidOption` for what is no text, or empty."""
        if not isinstance(key, str) or not key:
            raise InvalidOption(f"{self._purpose} key", key, "give a function that returns a text that is not empty")
        kind = type(envelope.message)
        start, _ = self._made.get(kind) or self._make(kind)
        who = "" if shared else _who(envelope)
        return f"{start}{_digest(key)}{who}|{envelope.bus.name}"

    def _make(self, kind: type) -> tuple[str, Callable[[Message], str]]:
        names = (self._purpose, wire_name(kind), full_name(kind))
        start = msgspec.json.encode(names).decode()
        self._made[kind] = start, _plain if _is_plain(kind) else _spelled_out
        return self._made[kind]


def types_in(kind: Any) -> Iterator[shapes.Type]:
    """What msgspec makes of a type and of all types in it; raises what msgspec raises for those it cannot take."""
    ways: list[Any] = [shapes.type_info(kind)]
    seen: set[int] = set()
    while ways:
        each = ways.pop()
        if isinstance(each, tuple):
            ways += each
        elif isinstance(each, (shapes.Type, shapes.Field)) and id(each) not in seen:
            seen.add(id(each))
            ways += [getattr(each, name) for name in each.__struct_fields__]
            if isinstance(each, shapes.Type):
                yield each


def canonical(value: Any) -> Any:
    """A value in tuples and texts that name the types, in an order of their own. Raises TypeError if that cannot be."""
    name = full_name(type(value))
    if isinstance(value, Enum):
        return name, value.name or repr(value.value)
    if isinstance(value, _LEAVES):
        return name, repr(value)
    if isinstance(value, dict):
        return name, *sorted(((canonical(key), canonical(item)) for key, item in value.items()), key=repr)
    if isinstance(value, (set, frozenset)):
        return name, *sorted(map(canonical, value), key=repr)
    if isinstance(value, (list, tuple)):
        return name, *map(canonical, value)
    if isinstance(value, msgspec.Struct):
        return name, *((field, canonical(getattr(value, field))) for field in _fields_of(value))
    if dataclasses.is_dataclass(value):
        return name, *((field.name, canonical(getattr(value, field.name))) for field in dataclasses.fields(value))
    return name, canonical(msgspec.to_builtins(value))


def _fields_of(value: msgspec.Struct) -> list[str]:
    """The fields that count: when something was stamped makes no difference."""
    return [field for field in value.__struct_fields__ if not (field == "at" and isinstance(value, Stamp))]


def _is_plain(kind: type) -> bool:
    try:
        own, *inner = types_in(kind)
    except Exception:  # a hint that msgspec cannot take: the values will tell
        return False
    return not sensitive_fields(own.cls) and all(isinstance(each, _PLAIN) for each in inner)  # type: ignore[attr-defined]


def _plain(message: Message) -> str:
    try:
        data = _encode(message)
    except Exception:  # say, a number of more than 64 bits
        return _spelled_out(message)
    return data.hex() if len(data) <= SHORT else _digest(data)


def _spelled_out(message: Message) -> str:
    try:
        return _digest(canonical(message))
    except (TypeError, RecursionError) as error:
        raise InvalidIntent(type(message), [("$", f"no key can be made of it: {error}")]) from error


def _who(envelope: Envelope[Any]) -> str:
    """The last actor and the last tenant, as `Authorizer` sees them: earlier ones are of dispatches before."""
    actor = tenant = None
    for stamp in envelope.noted:
        if isinstance(stamp, Actor):
            actor = stamp
        elif isinstance(stamp, Tenant):
            tenant = stamp
    given = [_person(stamp) for stamp in (actor, tenant) if stamp is not None]
    return f"@{_digest(given)}" if given else ""


def _person(stamp: Actor | Tenant) -> Any:
    if type(stamp) is Tenant:
        return "Tenant", stamp.id
    if type(stamp) is Actor and not stamp.claims:
        return "Actor", stamp.id, stamp.roles
    return canonical(stamp)


def _digest(content: Any) -> str:
    data = content if isinstance(content, bytes) else repr(content).encode()
    return "#" + blake2b(data, digest_size=20).hexdigest()
