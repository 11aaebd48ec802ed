"""Cache keys of messages: equal for equal content, in whatever order dictionaries and sets were filled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from msgspec import inspect as shapes

from modd.core import Message, mask_values, sensitive_fields, wire_name
from modd.cqrs.decodable import types_in
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidIntent
from modd.cqrs.stamps import Actor, Stamp, Tenant
from modd.errors import InvalidOption
from modd.texts import full_name

MAX_PLAIN_BYTES = 64
"""Content up to this length is its own key, which takes less time to make and to compare than a digest."""


_SCALARS = (str, bytes, bool, int, float, complex, Decimal, UUID, date, time, timedelta, type(None))


_ENCODABLE = (
    shapes.NoneType,
    shapes.BoolType,
    shapes.IntType,
    shapes.FloatType,
    shapes.StrType,
    shapes.BytesType,
    shapes.DateType,
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
"""Types whose encoding is unambiguous: a field of such a type holds no value of another class, and msgspec refuses
unions of types that it encodes alike. Times are left out: encoded, an instant loses its offset and its fold."""


_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class CacheKeys:
    """Makes the keys under which results are stored, in a store that other middleware may share.

    A key differs by purpose, by the name of the bus, by the name of the type on the wire and in the code, by content,
    and, unless shared, by the last `Actor` and the last `Tenant`; for a text, an actor counts by its id. Sensitive
    content enters a key as part of a digest.
    Buses that share a store need different names.

    purpose: the name of the middleware; two middleware on one store use different keys.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._recipes: dict[type, tuple[str, Callable[[Message], str]]] = {}
        """The start of the key and the function for its content, by message type."""

    def of_message(self, envelope: Envelope[Any], shared: bool) -> str:
        """Return the key for the content of a message. Raises `InvalidIntent` for content that cannot be ordered.

        shared: True to give all actors and tenants the same key.
        """
        message = envelope.message
        kind = type(message)
        start, content = self._recipes.get(kind) or self._add_recipe(kind)
        if not envelope.noted or shared:
            return f"{start}{content(message)}|{envelope.bus.name}"
        return f"{start}{content(message)}{_sender(envelope)}|{envelope.bus.name}"

    def of_text(self, envelope: Envelope[Any], text: Any, shared: bool) -> str:
        """Return the key for a text in place of the content. Raises `InvalidOption` unless it is a text, not empty."""
        if not isinstance(text, str) or not text:
            raise InvalidOption(f"{self._purpose} key", text, "give a function that returns a text that is not empty")
        kind = type(envelope.message)
        start, _ = self._recipes.get(kind) or self._add_recipe(kind)
        sender = "" if shared else _sender(envelope, _id_of)
        return f"{start}{_digest(text)}{sender}|{envelope.bus.name}"

    def _add_recipe(self, kind: type) -> tuple[str, Callable[[Message], str]]:
        names = (self._purpose, wire_name(kind), full_name(kind))
        start = msgspec.json.encode(names).decode()
        self._recipes[kind] = start, _encode_content if _is_encodable(kind) else _digest_content
        return self._recipes[kind]


def canonicalize(value: Any) -> Any:
    """Return a value as sorted tuples of texts and type names. Raises ``TypeError`` for a value without such a form."""
    name = full_name(type(value))
    if isinstance(value, Enum):
        return name, value.name or repr(value.value)
    if isinstance(value, _SCALARS):
        return name, repr(value)
    if isinstance(value, dict):
        return name, *sorted(((canonicalize(key), canonicalize(item)) for key, item in value.items()), key=repr)
    if isinstance(value, (set, frozenset)):
        return name, *sorted(map(canonicalize, value), key=repr)
    if isinstance(value, (list, tuple)):
        return name, *map(canonicalize, value)
    if isinstance(value, msgspec.Struct):
        return name, *((field, canonicalize(getattr(value, field))) for field in _fields_of(value))
    if dataclasses.is_dataclass(value):
        return name, *((field.name, canonicalize(getattr(value, field.name))) for field in dataclasses.fields(value))
    return name, canonicalize(msgspec.to_builtins(value))


def _fields_of(value: msgspec.Struct) -> list[str]:
    """Return the fields that are part of a key: all but the time of a stamp."""
    return [field for field in value.__struct_fields__ if not (field == "at" and isinstance(value, Stamp))]


def _is_encodable(kind: type) -> bool:
    try:
        own, *inner = types_in(kind)
    except Exception:  # msgspec does not support a hint; the values are looked at instead
        return False
    return not sensitive_fields(own.cls) and all(isinstance(each, _ENCODABLE) for each in inner)  # type: ignore[attr-defined]


def _encode_content(message: Message) -> str:
    try:
        data = _encode(message)
    except Exception:  # for example a number of more than 64 bits
        return _digest_content(message)
    return data.hex() if len(data) <= MAX_PLAIN_BYTES else _digest(data)


def _digest_content(message: Message) -> str:
    try:
        return _digest(canonicalize(message))
    except (TypeError, RecursionError) as error:
        reason = mask_values(str(error), message)
    raise InvalidIntent(type(message), [("$", f"its content has no cache key: {reason}")])


def _sender(envelope: Envelope[Any], identify: Callable[[Actor | Tenant], Any] | None = None) -> str:
    """Return the key part for the last actor and the last tenant; earlier stamps are from causes of the message.

    identify: by default an actor counts with its roles and claims.
    """
    identify = identify or _identity
    actor = tenant = None
    for stamp in envelope.noted:
        if isinstance(stamp, Actor):
            actor = stamp
        elif isinstance(stamp, Tenant):
            tenant = stamp
    senders = [identify(stamp) for stamp in (actor, tenant) if stamp is not None]
    return f"@{_digest(senders)}" if senders else ""


def _identity(stamp: Actor | Tenant) -> Any:
    if type(stamp) is Tenant:
        return "Tenant", stamp.id
    if type(stamp) is Actor and not stamp.claims:
        return "Actor", stamp.id, stamp.roles
    return canonicalize(stamp)


def _id_of(stamp: Actor | Tenant) -> Any:
    """Return the identity of an actor by its id alone: roles and claims differ from one token to the next."""
    return ("Actor", stamp.id, ()) if isinstance(stamp, Actor) else _identity(stamp)


def _digest(content: Any) -> str:
    data = content if isinstance(content, bytes) else repr(content).encode()
    return "#" + blake2b(data, digest_size=20).hexdigest()
