"""Results as bytes in a store, and back as the types that their intents name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect as shapes

from modd.cqrs.intents import Event, result_type
from modd.errors import InvalidOption
from modd.middleware.caching.keys import types_in

Entry: TypeAlias = tuple[float, float, float, list[Any]]
"""When it was stored, in seconds since 1970 by the clock of the bus; for how many seconds it is fresh, and for how many
more it may be served all the same; the results of all handlers, in the order in which these were registered."""


_encode = msgspec.msgpack.Encoder().encode


class Results:
    """Encodes and decodes results; every decoding gives values of their own, which nobody else holds.

    middleware: for whom, in errors and in the log.
    """

    def __init__(self, middleware: str) -> None:
        self._middleware = middleware
        self._decoders: dict[type, Callable[[bytes], Entry | None]] = {}
        self._warned: set[type] = set()

    def check(self, kind: type, cure: str) -> None:
        """Raise `InvalidOption` for an intent whose result msgspec cannot decode; ``cure``: what else may be done."""
        result = result_type(kind)
        try:
            strange = [each.cls for each in types_in(result) if isinstance(each, shapes.CustomType)]
            reason = f"msgspec cannot decode {strange[0].__qualname__}" if strange else ""
        except Exception as error:
            reason = str(error)
        if reason:
            wanted = f"{reason}; give a result type of msgspec's (a Struct, a dataclass, ...), or {cure}"
            raise InvalidOption(f"{self._middleware}: the result type of {kind.__qualname__}", result, wanted)

    def encoded(self, kind: type, entry: Entry, bus: str) -> bytes | None:
        """An entry as bytes; None, and a warning once for each type, when it would not come back as it is."""
        with suppress(Exception):  # whatever an encoder says to a value that it does not know
            data = _encode(entry)
            if _same(entry[3], self._back(kind, data)):
                return data
        self._warn(kind, bus)
        return None

    def decoded(self, kind: type, data: bytes) -> Entry | None:
        """What was kept; None when it does not fit the type, as after a change of the type."""
        try:
            return (self._decoders.get(kind) or self._make(kind))(data)
        except msgspec.MsgspecError:
            return None

    def _make(self, kind: type) -> Callable[[bytes], Entry | None]:
        decode = self._decoders[kind] = _decoder(kind)
        return decode

    def _back(self, kind: type, data: bytes) -> Any:
        entry = self.decoded(kind, data)
        return None if entry is None else entry[3]

    def _warn(self, kind: type, bus: str) -> None:
        if kind in self._warned:
            return
        self._warned.add(kind)
        logging.getLogger(f"modd.{bus}").warning(
            "%s does not keep results of %s: one would not come back from the store as the handler gave it; "
            "name the type of the result, say Query[list[User]], and give exactly that",
            self._middleware,
            kind.__qualname__,
        )


def _decoder(kind: type) -> Callable[[bytes], Entry | None]:
    result = Any if issubclass(kind, Event) else result_type(kind)
    try:
        return msgspec.msgpack.Decoder(tuple[float, float, float, list[result]]).decode  # type: ignore[valid-type]
    except Exception:  # a result type that msgspec cannot take; `check` has said so unless it was told not to
        return lambda data: None


def _same(given: Any, back: Any) -> bool:
    """Whether a value came back as it was, types included; a whole float may have been given as an int."""
    if type(given) is not type(back):
        return type(given) is int and type(back) is float and given == back
    if isinstance(given, msgspec.Struct):
        return all(_same(getattr(given, name), getattr(back, name)) for name in given.__struct_fields__)
    if isinstance(given, (list, tuple)):
        return _all_same(given, back)
    if isinstance(given, dict):
        return given.keys() == back.keys() and all(_same(item, back[key]) for key, item in given.items())
    return bool(given == back) or (given != given and back != back)  # NaN


def _all_same(given: Sequence[Any], back: Sequence[Any]) -> bool:
    return len(given) == len(back) and all(map(_same, given, back))
