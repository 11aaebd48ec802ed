"""The reply to a request, as it crosses: a result, a note that the intent is queued, or an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

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
from modd.remote.errors import RemoteError, UnreadableReply
from modd.texts import show

ReplyParts: TypeAlias = tuple[dict[str, str], bytes]
"""The headers and the body of a reply."""


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
    args: its arguments, and attributes: its attributes, as far as JSON has them; else their texts. None, the default,
        for an error that does not cross as itself.
    """

    type: str
    args: list[Any] | None = None
    attributes: dict[str, Any] = {}


def result_reply(result: Any) -> ReplyParts:
    """Return headers and body of the reply with a result. Raises the errors of msgspec."""
    return {REPLY: "result"}, msgspec.json.encode(result)


def queued_reply(queued: Queued) -> ReplyParts:
    """Return headers and body of the reply for an intent that is queued for later."""
    return {REPLY: "queued"}, msgspec.json.encode(queued.duplicate)


def error_reply(error: Exception, crossing: Iterable[type[Exception]]) -> ReplyParts:
    """Return headers and body of the reply with an error; of types that do not cross it has the name alone."""
    data = ErrorData(type(error).__name__)
    if type(error) in crossing:
        attributes = {key: _plain(value) for key, value in vars(error).items() if not key.startswith("__")}
        data = ErrorData(data.type, [*map(_plain, error.args)], attributes)
    return {REPLY: "error"}, msgspec.json.encode(data)


class Replies:
    """Reads replies.

    name: the name of the context. errors: the types of errors that cross as themselves, besides `REFUSALS`.
    """

    def __init__(self, name: str, errors: Iterable[type[Exception]]) -> None:
        self._name = name
        self._errors = {kind.__name__: kind for kind in (*REFUSALS, *errors)}

    def read(self, envelope: Envelope, reply: NatsMessage, decode: Any) -> Any:
        """Return the result in a reply, or a `Queued` stamp. Raises the error in it, or `UnreadableReply`.

        decode: a function that decodes the result.
        """
        intent = type(envelope.message)
        kind = reply.headers.get(REPLY, "")
        try:
            if kind == "result":
                return decode(reply.body)
            if kind == "queued":
                return Queued(duplicate=msgspec.json.decode(reply.body, type=bool), at=envelope.bus.clock())
            error = self._error(msgspec.json.decode(reply.body, type=ErrorData), envelope)
        except Exception as fault:  # hooks of types may raise anything when data does not fit
            reason = f"it is no {kind or 'reply of modd'} as expected ({type(fault).__name__})"
            raise UnreadableReply(self._name, intent, reason) from None
        raise error

    def _error(self, data: ErrorData, envelope: Envelope) -> Exception:
        kind, intent = self._errors.get(data.type), type(envelope.message)
        if kind is None or data.args is None:
            return RemoteError(self._name, data.type, envelope.id)
        attributes = {name: _restored(value, intent) for name, value in data.attributes.items()}
        return build(kind, tuple(_restored(each, intent) for each in data.args), attributes)


def _plain(value: Any) -> Any:
    """Return a value of an error as JSON has it; a type as its name on the wire, and anything else as its text.

    An error in an error has its type alone, because its text may have secrets.
    """
    if isinstance(value, type):
        return {"$type": wire_name(value) if issubclass(value, Message) else value.__qualname__}
    if isinstance(value, (tuple, list)):
        return [*map(_plain, value)]
    if isinstance(value, BaseException):
        return type(value).__name__
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except Exception:
        return show(value)


def _restored(value: Any, intent: type[Message]) -> Any:
    """Return a value of an error: the type of the intent for its name, and other types as their names."""
    if isinstance(value, Mapping) and "$type" in value:
        return intent if value["$type"] == wire_name(intent) else value["$type"]
    return tuple(_restored(each, intent) for each in value) if isinstance(value, list) else value
