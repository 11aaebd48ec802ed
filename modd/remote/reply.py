"""The reply to a request, as it crosses: a result, a note that the intent is queued, or an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from modd.aggregate import CommandRejected
from modd.core import Message, wire_name
from modd.cqrs import (
    CircuitOpen,
    DispatchTimeout,
    Envelope,
    FeatureDisabled,
    Forbidden,
    InvalidIntent,
    LockTimeout,
    NotAnswered,
    Queued,
    RateLimited,
)
from modd.errors import MultipleHandlers, NoHandler
from modd.nats import NatsMessage
from modd.pickling import build
from modd.ports import AlreadyHandled, DocumentConflict, QueryConflict, ReadConflict, RevisionConflict
from modd.remote.errors import RemoteError
from modd.texts import show

REPLY = "modd-reply"
"""The header of a reply with its kind: ``result``, ``queued`` or ``error``."""


REFUSALS: tuple[type[Exception], ...] = (
    AlreadyHandled,
    CircuitOpen,
    CommandRejected,
    DispatchTimeout,
    DocumentConflict,
    FeatureDisabled,
    Forbidden,
    InvalidIntent,
    LockTimeout,
    MultipleHandlers,
    NoHandler,
    NotAnswered,
    QueryConflict,
    RateLimited,
    ReadConflict,
    RevisionConflict,
)
"""The errors of modd that are raised as themselves on the other side."""


class ErrorData(msgspec.Struct):
    """An error on its way; its body is these fields as JSON.

    type: the name of its type.
    id: the id of the envelope.
    args: its arguments, and attributes: its attributes, as far as JSON has them; else their texts. None, the default,
        for an error that does not cross as itself.
    """

    type: str
    id: str
    args: list[Any] | None = None
    attributes: dict[str, Any] = {}


def result_reply(result: Any) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the reply with a result. Raises the errors of msgspec."""
    return {REPLY: "result"}, msgspec.json.encode(result)


def queued_reply(queued: Queued) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the reply for an intent that is queued for later."""
    return {REPLY: "queued"}, msgspec.json.encode(queued.duplicate)


def error_reply(error: Exception, id: str, crossing: Iterable[type[Exception]]) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the reply with an error; of types that do not cross it has the name alone."""
    name = type(error).__name__
    data = ErrorData(name, id)
    if type(error) in crossing:
        attributes = {key: _plain(value) for key, value in vars(error).items() if not key.startswith("__")}
        data = ErrorData(name, id, [*map(_plain, error.args)], attributes)
    return {REPLY: "error"}, msgspec.json.encode(data)


class Replies:
    """Reads replies.

    name: the name of the context. errors: the types of errors that cross as themselves, besides `REFUSALS`.
    """

    def __init__(self, name: str, errors: Iterable[type[Exception]]) -> None:
        self._name = name
        self._errors = {kind.__name__: kind for kind in (*REFUSALS, *errors)}

    def read(self, envelope: Envelope, reply: NatsMessage, decode: Any) -> Any:
        """Return the result in a reply, or a `Queued` stamp. Raises the error in it.

        decode: a function that decodes the result.
        """
        kind = reply.headers.get(REPLY)
        if kind == "result":
            return decode(reply.body)
        if kind == "queued":
            return Queued(duplicate=msgspec.json.decode(reply.body), at=envelope.bus.clock())
        raise self._error(msgspec.json.decode(reply.body, type=ErrorData), type(envelope.message))

    def _error(self, data: ErrorData, intent: type[Message]) -> Exception:
        kind = self._errors.get(data.type)
        if kind is None or data.args is None:
            return RemoteError(self._name, data.type, data.id)
        attributes = {name: _restored(value, intent) for name, value in data.attributes.items()}
        return build(kind, tuple(data.args), attributes)


def _plain(value: Any) -> Any:
    """Return a value of an error as JSON has it; a type as its name on the wire, and anything else as its text."""
    if isinstance(value, type):
        return {"$type": wire_name(value) if issubclass(value, Message) else value.__qualname__}
    if isinstance(value, (tuple, list)):
        return [*map(_plain, value)]
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except Exception:
        return show(value)


def _restored(value: Any, intent: type[Message]) -> Any:
    """Return a value of an error: the type of the intent for its name, and other types as their names."""
    if isinstance(value, Mapping) and "$type" in value:
        return intent if value["$type"] == wire_name(intent) else value["$type"]
    return tuple(_restored(each, intent) for each in value) if isinstance(value, list) else value
