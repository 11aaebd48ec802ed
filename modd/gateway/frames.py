"""The frames of a WebSocket: texts of JSON, from clients and to clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from modd.gateway.calls import Reply
from modd.gateway.client_events import EventId, event_id, read_event_id
from modd.gateway.errors import Refused
from modd.gateway.problems import Problem
from modd.gateway.rendering import HubItem
from modd.gateway.subscription import Delivery, Reset

LONGEST_REF: Final = 128
"""Characters of the reference that a client gives a command or a query."""


class CallFrame(NamedTuple):
    """A command or a query of a client.

    way: "commands" or "queries". name: its name. ref: the reference for its answer. data: the JSON of its fields.
    key: the idempotency key of a command; None for none.
    """

    way: Literal["commands", "queries"]
    name: str
    ref: str
    data: bytes
    key: str | None = None


class SubscribeFrame(NamedTuple):
    """A subscription of a client.

    channels: their names. after: the last event that it knows, or its position alone; None for what comes from now on.
    ref: its reference.
    """

    channels: list[str]
    after: EventId | int | None
    ref: str | None


class UnsubscribeFrame(NamedTuple):
    """The end of a subscription. channels: their names."""

    channels: list[str]


class PingFrame(NamedTuple):
    """A question for a sign of life. ping: a number, which the answer repeats."""

    ping: int


class TokenFrame(NamedTuple):
    """A token, by which a client proves who it is. token: its text."""

    token: str


Frame: TypeAlias = CallFrame | SubscribeFrame | UnsubscribeFrame | PingFrame | TokenFrame


class BadFrame(ValueError):
    """A text is no frame of a client.

    reason: the fault, for the client. ref: the reference in it, if it has one.
    """

    def __init__(self, reason: str, ref: str | None = None) -> None:
        self.reason, self.ref = reason, ref
        super().__init__(reason)


class _Fields(msgspec.Struct, forbid_unknown_fields=True):
    """All fields that a frame of a client may have."""

    command: str | msgspec.UnsetType = msgspec.UNSET
    query: str | msgspec.UnsetType = msgspec.UNSET
    ref: str | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    key: str | msgspec.UnsetType = msgspec.UNSET
    subscribe: list[str] | msgspec.UnsetType = msgspec.UNSET
    after: int | str | msgspec.UnsetType = msgspec.UNSET
    unsubscribe: list[str] | msgspec.UnsetType = msgspec.UNSET
    ping: int | msgspec.UnsetType = msgspec.UNSET
    token: str | msgspec.UnsetType = msgspec.UNSET


FRAMES: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "command": (frozenset({"ref"}), frozenset({"data", "key"})),
    "query": (frozenset({"ref"}), frozenset({"data"})),
    "subscribe": (frozenset(), frozenset({"after", "ref"})),
    "unsubscribe": (frozenset(), frozenset({"ref"})),
    "ping": (frozenset(), frozenset()),
    "token": (frozenset(), frozenset()),
}
"""By the field that tells the kind of a frame, the other fields that it needs, and the optional ones."""

_decode = msgspec.json.Decoder(_Fields).decode


def read_frame(text: str) -> Frame:
    """Return the frame of a text. Raises `BadFrame`."""
    try:
        fields = _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise BadFrame("The frame is none of the known ones.") from None
    values = {name: value for name in fields.__struct_fields__ if (value := getattr(fields, name)) is not msgspec.UNSET}
    ref = values.get("ref")
    if ref is not None and not 1 <= len(ref) <= LONGEST_REF:
        raise BadFrame(f"A ref has 1 to {LONGEST_REF} characters.")
    kinds = FRAMES.keys() & values.keys()
    if len(kinds) != 1:
        raise BadFrame("The frame is none of the known ones, or several in one.", ref)
    [kind] = kinds
    needs, may_have = FRAMES[kind]
    rest = values.keys() - kinds
    if not needs <= rest <= needs | may_have:
        raise BadFrame(f"A frame with {kind} lacks a field, or has one too many.", ref)
    return _frame(kind, values)


def _frame(kind: str, values: dict[str, Any]) -> Frame:
    """Return the frame of a kind with these fields. Raises `BadFrame` for an event that there cannot be."""
    value = values[kind]
    if kind in ("command", "query"):
        data = bytes(values.get("data", b"{}"))
        return CallFrame("commands" if kind == "command" else "queries", value, values["ref"], data, values.get("key"))
    if kind == "subscribe":
        return SubscribeFrame(value, _after(values), values.get("ref"))
    if kind == "unsubscribe":
        return UnsubscribeFrame(value)
    return PingFrame(value) if kind == "ping" else TokenFrame(value)


def _after(values: dict[str, Any]) -> EventId | int | None:
    after = values.get("after")
    if isinstance(after, str):
        try:
            return read_event_id(after)
        except Refused as error:
            raise BadFrame(error.reason, values.get("ref")) from None
    if after is not None and not 0 <= after < 10**18:
        raise BadFrame("A position is 0 or more, as it was sent.", values.get("ref"))
    return after


def reply_text(ref: str, reply: Reply) -> str:
    """Return the answer to a command or a query; one that a worker handles later has no result."""
    result = {} if reply.queued else {"result": reply.result}
    return _text({"ref": ref, "id": reply.id, **result})


def problem_text(ref: str | None, problem: Problem) -> str:
    """Return the problem of a frame, with its reference if it has one."""
    return _text({} if ref is None else {"ref": ref}, {"problem": problem.body})


def subscribed_text(ref: str, after: EventId | None) -> str:
    """Return the answer to a subscription. after: the event after which it begins; None if the client named it."""
    return _text({"ref": ref}, {} if after is None else {"id": event_id(*after)})


def pong_text(ping: int) -> str:
    """Return the answer to a ping."""
    return _text({"pong": ping})


def delivery_texts(deliveries: Sequence[Delivery]) -> list[str]:
    """Return events, and resets, as frames."""
    return [each.text(_event) if isinstance(each, HubItem) else _reset(each) for each in deliveries]


def _event(item: HubItem) -> str:
    id = event_id(item.epoch, item.position)
    event = {"event": item.name, "id": id, "position": item.position, "channel": item.topic.channel}
    return _text(event, {"data": msgspec.Raw(item.data)})


def _reset(reset: Reset) -> str:
    id = event_id(reset.epoch, reset.last)
    return _text({"reset": {"first": reset.first, "last": reset.last}, "id": id})


def _text(*parts: dict[str, Any]) -> str:
    content: dict[str, Any] = {}
    for part in parts:
        content |= part
    return msgspec.json.encode(content).decode()
