"""Results as bytes in a store, and back as the types that their intents name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect as shapes

from modd.cqrs.decodable import types_in
from modd.cqrs.intents import Event, result_type
from modd.errors import InvalidOption

StoredResults: TypeAlias = tuple[float, float, float, list[Any]]
"""The time of storing (seconds since 1970 by the clock of the bus), the seconds for which the results are fresh, the
seconds for which they may be served stale after that, and the results of all handlers in the order of registration."""


_ENCODERS = (msgspec.msgpack.Encoder().encode, msgspec.json.Encoder().encode)
"""The encoders to try in turn: msgpack is more compact, JSON keeps the offset of an instant."""


class ResultCodec:
    """Encodes and decodes results; every decoding returns new values, which no caller shares.

    middleware: its name, for errors and the log.
    """

    def __init__(self, middleware: str) -> None:
        self._middleware = middleware
        self._decoders: dict[type, Callable[[bytes], StoredResults | None]] = {}
        self._warned: set[type] = set()

    def check(self, kind: type, cure: str) -> None:
        """Raise `InvalidOption` for an intent whose result msgspec cannot decode; ``cure`` is an alternative."""
        result = result_type(kind)
        try:
            custom = [each.cls for each in types_in(result) if isinstance(each, shapes.CustomType)]
            reason = f"msgspec cannot decode {custom[0].__qualname__}" if custom else ""
        except Exception as error:
            reason = str(error)
        if reason:
            cure = f"{reason}; give a result type of msgspec's (a Struct, a dataclass, ...), or {cure}"
            raise InvalidOption(f"{self._middleware}: the result type of {kind.__qualname__}", result, cure)

    def encode(self, kind: type, stored: StoredResults, bus: str) -> bytes | None:
        """Return results as bytes; return None, and warn once for each type, if they would not decode unchanged."""
        with suppress(Exception):  # encoders raise any error for a value of a type that they do not know
            for encode in _ENCODERS:
                data = encode(stored)
                decoded = self.decode(kind, data)
                if _is_same(stored[3], None if decoded is None else decoded[3]):
                    return data
        self._warn(kind, bus)
        return None

    def decode(self, kind: type, data: bytes) -> StoredResults | None:
        """Return the results; None if they do not fit the type, for example after a change of the type."""
        try:
            return (self._decoders.get(kind) or self._add_decoder(kind))(data)
        except msgspec.MsgspecError:
            return None

    def _add_decoder(self, kind: type) -> Callable[[bytes], StoredResults | None]:
        decode = self._decoders[kind] = _decoder(kind)
        return decode

    def _warn(self, kind: type, bus: str) -> None:
        if kind in self._warned:
            return
        self._warned.add(kind)
        logging.getLogger(f"modd.{bus}").warning(
            "%s does not store results of %s: a result would come back from the store changed; "
            "name the exact type of the result, such as Query[list[User]], and return that type",
            self._middleware,
            kind.__qualname__,
        )


def _decoder(kind: type) -> Callable[[bytes], StoredResults | None]:
    result = Any if issubclass(kind, Event) else result_type(kind)
    try:
        stored: Any = tuple[float, float, float, list[result]]  # type: ignore[valid-type]
        unpack, parse = msgspec.msgpack.Decoder(stored).decode, msgspec.json.Decoder(stored).decode
    except Exception:  # msgspec does not support the result type; `ResultCodec.check` raises for it, where it is called
        return lambda data: None
    return lambda data: parse(data) if data.startswith(b"[") else unpack(data)  # no array of msgpack starts like this


def _is_same(value: Any, decoded: Any) -> bool:
    """True if a value was decoded unchanged, types included; a float that was an int counts as unchanged."""
    if type(value) is not type(decoded):
        return type(value) is int and type(decoded) is float and value == decoded
    if isinstance(value, msgspec.Struct):
        return all(_is_same(getattr(value, name), getattr(decoded, name)) for name in value.__struct_fields__)
    if is_dataclass(value):
        return all(_is_same(getattr(value, each.name), getattr(decoded, each.name)) for each in fields(value))
    if isinstance(value, (list, tuple)):
        return _are_same(value, decoded)
    if isinstance(value, dict):
        return _are_same_sets(value, decoded) and all(_is_same(item, decoded[key]) for key, item in value.items())
    if isinstance(value, (set, frozenset)):
        return _are_same_sets(value, decoded)
    if isinstance(value, (datetime, time)):
        return value == decoded and (value.utcoffset(), value.fold) == (decoded.utcoffset(), decoded.fold)
    return bool(value == decoded) or (value != value and decoded != decoded)  # NaN


def _are_same_sets(values: Collection[Any], decoded: Collection[Any]) -> bool:
    by_value = {item: item for item in decoded}
    return len(values) == len(decoded) and all(item in by_value and _is_same(item, by_value[item]) for item in values)


def _are_same(values: Sequence[Any], decoded: Sequence[Any]) -> bool:
    return len(values) == len(decoded) and all(map(_is_same, values, decoded))
