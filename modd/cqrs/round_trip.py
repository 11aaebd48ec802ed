"""The round trip: values are encoded only if they come back equal; else the first difference is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any, TypeAlias

import msgspec

from modd.core import misfit_of
from modd.cqrs.errors import Unencodable
from modd.cqrs.stamps import Identity, Stamp
from modd.cqrs.wire import encoder

Fault: TypeAlias = tuple[str, str]
"""The path of a value, and the reason for which it cannot be encoded."""


_DEEPEST = 100
"""Levels to look into for the value that fails; values that contain themselves have no end."""


class RoundTrip:
    """Encodes values, each of which is decoded again and compared: a test is sure only if it is made with the data.

    format: a name in `modd.cqrs.wire.FORMATS`. enc_hook: as msgspec defines it.
    """

    def __init__(self, format: str, enc_hook: Any) -> None:
        self.format, self.encode = format, encoder(format, enc_hook)

    def encode_checked(
        self, value: Any, decode: Callable[[bytes], Any], kind: type, path: str = "", *, exact: bool = True
    ) -> bytes:
        """Return a value as data. Raises `Unencodable` if the data could not be decoded to an equal value.

        kind: the type of message or stamp that the value is, or is in, for the error. path: the place in it.
        exact: False for a value that only has to be decoded.
        """
        try:
            data = self.encode(value)
        except Exception as error:
            fault = self._find_failing(value, path, error)
        else:
            try:
                decoded = decode(data)
                if (decoded == value) is True or not exact:
                    return data
                difference = self.find_difference(value, decoded, path)
            except Exception as error:
                difference = _fault_of_decoding(error, path)
            if difference is None:
                return data
            fault = self._find_non_finite(value, path) or difference
        raise Unencodable(kind, *fault, self.format)

    def find_difference(self, value: Any, decoded: Any, path: str) -> Fault | None:
        """Return the first part of a value that is decoded as another value; None if there is none."""
        if (value == decoded) is True:
            return None
        if type(value) is not type(decoded):
            return path, f"a value of type {type(value).__name__} would come back as {type(decoded).__name__}"
        if value != value and decoded != decoded:  # NaN
            return None
        different = path, f"it would come back as a different {type(value).__name__}"
        parts, others = [*_parts_of(value, path)], [*_parts_of(decoded, path)]
        if not parts and not others:
            is_same = self.encode(value) == self.encode(decoded)
            return None if is_same else different
        if len(parts) != len(others) or (isinstance(value, dict) and value.keys() != decoded.keys()):
            return different
        if isinstance(value, dict):
            others = [(path, decoded[key]) for key in value]
        found = (
            self.find_difference(part, other, where) for (where, part), (_, other) in zip(parts, others, strict=True)
        )
        return next((each for each in found if each is not None), None)

    def _find_failing(self, value: Any, path: str, error: Exception) -> Fault:
        """Return the innermost part of a value that cannot be encoded."""
        start = path
        for _ in range(_DEEPEST):
            for where, part in _parts_of(value, path):
                failure = self._failure_of(part)
                if failure is not None:
                    value, path, error = part, where, failure
                    break
            else:
                return path, _reason_of(error)
        return start, "it is nested too deeply, or contains itself"

    def _failure_of(self, value: Any) -> Exception | None:
        try:
            self.encode(value)
        except Exception as error:
            return error
        return None

    def _find_non_finite(self, value: Any, path: str, depth: int = _DEEPEST) -> Fault | None:
        if self.format != "json" or not depth:
            return None
        if isinstance(value, float) and not isfinite(value):
            return path, 'JSON has neither NaN nor infinities; use None, a Decimal, or a codec with format="msgpack"'
        inner = (self._find_non_finite(part, where, depth - 1) for where, part in _parts_of(value, path))
        return next((each for each in inner if each is not None), None)


def is_certain(stamp: Stamp) -> bool:
    """Return True if a stamp is of plain values alone that come back in any case: an identity, or only a time."""
    at = stamp.at
    if type(at) is not float or at - at != 0.0:  # the second: NaN, infinities
        return False
    if type(stamp) is Identity:
        cause = stamp.causation_id
        return (
            _is_plain_text(stamp.id)
            and _is_plain_text(stamp.correlation_id)
            and (cause is None or _is_plain_text(cause))
        )
    return len(stamp.__struct_fields__) == 1


def _is_plain_text(value: Any) -> bool:
    return type(value) is str and value.isascii()


def _parts_of(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value with their paths; keys are not part of a path, because they may be secret."""
    if isinstance(value, msgspec.Struct):
        yield from ((f"{path}.{name}", getattr(value, name)) for name in value.__struct_fields__)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f"{path}.{each.name}", getattr(value, each.name)) for each in dataclasses.fields(value))
    elif isinstance(value, dict):
        yield from ((f"{path}[...]", item) for item in value.values())
    elif isinstance(value, (list, tuple)):
        yield from ((f"{path}[{at}]", item) for at, item in enumerate(value))


def _reason_of(error: Exception) -> str:
    """Return the reason for which an encoder refused a value, with the limit, and without the value."""
    if isinstance(error, UnicodeEncodeError):
        return "its text has half characters (surrogates), which no encoding takes; decode texts with errors='replace'"
    if isinstance(error, OverflowError):
        return "its number has more than 64 bits; use a text or a Decimal"
    text = str(error)
    is_of_msgspec = type(error) is TypeError and text.startswith(("Encoding objects", "Only dicts"))
    return (
        text if is_of_msgspec else f"its encoding raised {type(error).__name__}"
    )  # a hook's text may repeat the value


def _fault_of_decoding(error: Exception, path: str) -> Fault:
    if not isinstance(error, msgspec.MsgspecError):
        return path, f"its decoding raised {type(error).__name__}"
    where, text = misfit_of(error, path)
    cause = error.__cause__  # of a hook or `__post_init__`, whose text may repeat the value
    return where, f"it would not be decoded: {text}" if cause is None else f"its decoding raised {type(cause).__name__}"
