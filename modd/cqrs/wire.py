"""What envelopes are made of as bytes, and what decodes it."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from types import ModuleType
from typing import Any

import msgspec

from modd.cqrs.stamps import Identity

TYPE, VERSION, STAMP = "$type", "$version", "$stamp"
"""What a message is called, of which version it is, and what a stamp is called: they stand beside the fields."""


FORMATS: dict[str, ModuleType] = {"json": msgspec.json, "msgpack": msgspec.msgpack}
"""The formats, by their names."""


class Decoders(dict[Any, Callable[[Any], Any]]):
    """What decodes data of a type, made when it is first asked for.

    format: one of `FORMATS`. dec_hook: as msgspec defines it. of: gives the type to decode for a key.
    """

    def __init__(self, format: str, dec_hook: Any, of: Callable[[Any], Any] = lambda kind: kind) -> None:
        super().__init__()
        self._format, self._dec_hook, self._of = FORMATS[format], dec_hook, of

    def __missing__(self, kind: Any) -> Callable[[Any], Any]:
        made: Callable[[Any], Any] = self._format.Decoder(self._of(kind), dec_hook=self._dec_hook).decode
        return self.setdefault(kind, made)


class Whole(msgspec.Struct):
    """An envelope; what is in it is decoded when it is known of which types it is."""

    identity: Identity
    message: msgspec.Raw
    stamps: list[msgspec.Raw]


class Head(msgspec.Struct):
    """What a message says about itself."""

    name: str = msgspec.field(name=TYPE)
    version: int = msgspec.field(name=VERSION, default=1)


class StampHead(msgspec.Struct):
    """What a stamp says about itself."""

    name: str = msgspec.field(name=STAMP)


class EmittedData(msgspec.Struct):
    """An `Emitted` stamp, before its event is known."""

    event: msgspec.Raw
    at: float


class RedispatchedData(msgspec.Struct):
    """A `Redispatched` stamp, before its stamps are known."""

    stamps: list[msgspec.Raw]
    at: float


class HandledData(msgspec.Struct):
    """A `Handled` stamp, before the type of its result is known."""

    result: msgspec.Raw
    handler: str = ""
    at: float = msgspec.field(default_factory=time)
