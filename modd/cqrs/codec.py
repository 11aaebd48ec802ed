"""Envelopes as bytes and back, by registered types (MI-11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Undecodable
from modd.cqrs.intents import result_type
from modd.cqrs.stamps import BUILT_IN, Emitted, Handled, Identity, Received, Reprocessed, Stamp, UnknownStamp
from modd.errors import DuplicateName, InvalidOption
from modd.message import Message, wire_name


class Codec:
    """Makes JSON of envelopes and envelopes of JSON, for queues and other places that keep bytes.

    Only registered types are ever made: nothing in the bytes can name another. Stamps of unknown types are kept as they
    are and encoded again; local stamps are left out.

    types: the types of messages that it may make. stamps: the types of stamps of your own. enc_hook, dec_hook: for
    values that msgspec does not know, as msgspec defines them. Raises `DuplicateName`, `InvalidOption`.
    """

    def __init__(
        self,
        types: Iterable[type[Message]],
        stamps: Iterable[type[Stamp]] = (),
        *,
        enc_hook: Callable[[Any], Any] | None = None,
        dec_hook: Callable[[type, Any], Any] | None = None,
    ) -> None:
        self._messages = _by_name("types", types, Message)
        self._stamps = _by_name("stamps", (*BUILT_IN, *stamps), Stamp)
        self._enc_hook, self._dec_hook = enc_hook, dec_hook

    def encode(self, envelope: Envelope[Any]) -> bytes:
        """The envelope as JSON. Raises what msgspec raises for values that it does not know, and `InvalidOption`."""
        identity, *stamps = envelope.stamps
        kind = type(envelope.message)
        if self._messages.get(wire_name(kind)) is not kind:
            raise InvalidOption("Codec", kind, "give it the types of all messages that it is to encode")
        whole = {
            "identity": self._plain(identity),
            "message": self._plain(envelope.message),
            "stamps": [self._stamp(stamp) for stamp in stamps if not stamp.local],
        }
        return msgspec.json.encode(whole)

    def decode(self, data: bytes) -> Envelope[Any]:
        """The envelope, ready to be dispatched; it has a `Received` stamp. Raises `Undecodable`."""
        try:
            whole = msgspec.json.decode(data, type=_Whole)
            identity = msgspec.convert(whole.identity, Identity)
            message = self._message(whole.message)
            stamps = [self._made(each, message) for each in whole.stamps]
            return Envelope.restored(message, identity, (*stamps, Received()))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise Undecodable(error, self._messages) from error

    def _plain(self, value: Any) -> Any:
        return msgspec.to_builtins(value, enc_hook=self._enc_hook)

    def _stamp(self, stamp: Stamp) -> Any:
        if isinstance(stamp, UnknownStamp):
            return stamp.data
        if isinstance(stamp, Reprocessed):
            kept = [self._stamp(each) for each in stamp.stamps if not each.local]
            return {"$stamp": "Reprocessed", "stamps": kept, "at": stamp.at}
        return self._plain(stamp)

    def _message(self, data: Any) -> Message:
        kind = self._messages[data["$type"]]
        message: Message = msgspec.convert(data, kind, str_keys=True, dec_hook=self._dec_hook)
        return message

    def _made(self, data: Any, message: Message) -> Stamp:
        kind = self._stamps.get(data["$stamp"])
        if kind is None or (kind is Emitted and data["event"]["$type"] not in self._messages):
            at = data.get("at")
            return UnknownStamp(data, at=float(at) if isinstance(at, (int, float)) else 0.0)
        if kind is Emitted:
            return Emitted(self._message(data["event"]), at=float(data["at"]))
        if kind is Reprocessed:
            return Reprocessed(tuple(self._made(each, message) for each in data["stamps"]), at=float(data["at"]))
        if kind is Handled:
            data = data | {"result": self._result(data["result"], type(message))}
        return msgspec.convert(data, kind, str_keys=True, dec_hook=self._dec_hook)

    def _result(self, data: Any, kind: type[Message]) -> Any:
        return msgspec.convert(data, result_type(kind), str_keys=True, dec_hook=self._dec_hook)


class _Whole(msgspec.Struct):
    identity: Any
    message: Any
    stamps: list[dict[str, Any]]


def _by_name(option: str, kinds: Iterable[Any], base: type) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise InvalidOption(option, kind, f"give types derived from {base.__name__}")
        known = named.setdefault(wire_name(kind), kind)
        if known is not kind:
            raise DuplicateName(wire_name(kind), known, kind, "the codec")
    return named
