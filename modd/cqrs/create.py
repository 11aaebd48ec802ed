"""Intents from raw data, checked against their types (MI-2)."""

from __future__ import annotations

from typing import Any

import msgspec

from modd.cqrs.errors import InvalidIntent
from modd.message import Message
from modd.schema import misfit_of, unknown_fields


def created(kind: type[Message], data: Any) -> Message:
    """An intent from a mapping, or from JSON as text or bytes; raises `InvalidIntent`, for unknown fields too."""
    try:
        if isinstance(data, (str, bytes, bytearray, memoryview)):
            intent, raw = msgspec.json.decode(data, type=kind), msgspec.json.decode(data)
        else:
            intent, raw = msgspec.convert(data, kind, str_keys=True), data
    except msgspec.ValidationError as error:
        raise InvalidIntent(kind, [misfit_of(error, "$")]) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidIntent(kind, [("$", str(error))]) from error
    unknown = [(path, "unknown field") for path in unknown_fields(intent, raw)]
    if unknown:
        raise InvalidIntent(kind, unknown)
    return intent
