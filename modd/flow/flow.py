"""The flow: a process over several aggregates, as pure functions of its state and of what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar, overload

from modd.aggregate import Rejected
from modd.aggregate.event_codec import checked_codec
from modd.aggregate.fold import checked_state
from modd.aggregate.options import checked_stored_name, field_reader
from modd.aggregate.streams import checked_identity
from modd.checks import checked_count
from modd.core import Message, name_of, wire_name
from modd.cqrs.codec import Codec
from modd.cqrs.errors import UnknownType
from modd.cqrs.upcasting import Upcaster
from modd.errors import InvalidOption
from modd.flow.effects import End, Go, Timeout
from modd.flow.errors import UnknownTimeout
from modd.flow.functions import checked_reactions, checked_timeouts
from modd.flow.states import StateCodec
from modd.flow.step import FlowStep, StepCheck

S = TypeVar("S")


REJECTIONS = Codec([Rejected])
"""Decodes rejections for flows with a codec that does not have them."""


class Flow(Generic[S]):
    """A process that spans aggregates: events and timeouts lead to commands, by pure functions with a state.

    ``fulfilment = Flow("fulfilment", state=Fulfilment, identity="order", begins={OrderPlaced: placed},
    reacts={StockReserved: reserved}, timeouts={"payment": unpaid})``. A `modd.follower.Follower` runs it; tests need
    only `modd.testing.given`.

    Each function takes the state and the event, or the `modd.flow.Timeout`, and returns ``go(state, *effects)``,
    ``end(*effects)`` or None for nothing. Effects are commands, `timeout` and `cancel_timeout`.

    name: the name of the flow: letters, digits, ``-`` and ``_``. Its instances are stored under it.
    state: a class whose fields have defaults, or an initial value: the state in functions of ``begins``.
    identity: the name of a field of the events, or a function of the event; a text or a whole number, None for an event
        that is for no instance. Events that a command of an instance has caused are for this instance.
    begins: functions by type of event that begins an instance.
    reacts: functions by type of event for an instance that has begun, also for `Rejected`, if one of its commands is
        rejected; none by default.
    timeouts: functions by name of timeout; none by default.
    version: a number that you raise when the fields of the state change; 1 by default.
    upcasters: functions by version, from each older version of the state to the next, as JSON has it; ``{}`` if no
        older state is left.
    codec: a `Codec` of the events, with upcasters for older versions; by default one without.
    since: the place in the log where a flow begins that a store does not know: "start" (default) for the first event,
        "now" for the events that are recorded after a follower has opened it for the first time, or the position of an
        event, for those behind it; one that the log does not have yet is its end. It changes nothing for a flow that
        the store knows.

    Raises:
        InvalidOption: an option has a value that cannot work.
        InvalidUpcasters: the upcasters do not lead to the version.
    """

    @overload
    def __init__(
        self,
        name: str,
        *,
        state: type[S],
        identity: str | Callable[[Any], object],
        begins: Mapping[Any, Callable[[S, Any], Go[S] | End | None]],
        reacts: Mapping[Any, Callable[[S, Any], Go[S] | End | None]] = ...,
        timeouts: Mapping[str, Callable[[S, Timeout], Go[S] | End | None]] = ...,
        version: int = ...,
        upcasters: Mapping[int, Upcaster] | None = ...,
        codec: Codec | None = ...,
        since: Literal["start", "now"] | int = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        *,
        state: S,
        identity: str | Callable[[Any], object],
        begins: Mapping[Any, Callable[[S, Any], Go[S] | End | None]],
        reacts: Mapping[Any, Callable[[S, Any], Go[S] | End | None]] = ...,
        timeouts: Mapping[str, Callable[[S, Timeout], Go[S] | End | None]] = ...,
        version: int = ...,
        upcasters: Mapping[int, Upcaster] | None = ...,
        codec: Codec | None = ...,
        since: Literal["start", "now"] | int = ...,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        state: Any,
        identity: Any,
        begins: Any,
        reacts: Mapping[Any, Any] = {},
        timeouts: Mapping[Any, Any] = {},
        version: int = 1,
        upcasters: Mapping[int, Upcaster] | None = None,
        codec: Codec | None = None,
        since: Literal["start", "now"] | int = "start",
    ) -> None:
        self.name = checked_stored_name(name)
        self.state: S = _initial_state(state)
        """The state in functions that begin an instance."""
        self.kind: type[S] = type(self.state)
        """The type of the states."""
        self.version = checked_count("version", version)
        self.states: StateCodec[S] = StateCodec(name, self.kind, self.version, upcasters)
        """Encodes and decodes the states."""
        self.begins, self.reacts = (
            checked_reactions(option, functions, self.kind)
            for option, functions in (("begins", begins), ("reacts", reacts))
        )
        self.timeouts = checked_timeouts(timeouts, self.kind)
        if not self.begins:
            raise InvalidOption("begins", begins, "give a function for at least one type of event")
        self.identity = identity
        self._identity_of = _identity_function(identity, [*self.begins])
        events = dict.fromkeys((*self.begins, *self.reacts))
        needed = events if codec is None else [kind for kind in events if kind is not Rejected]  # see `decode`
        self.codec = checked_codec(codec, needed)
        """The codec of the events."""
        self.since: Literal["start", "now"] | int = _checked_since(since)
        """The place in the log where it begins."""
        self._check = StepCheck(name, self.kind, self.timeouts.keys())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def event_names(self) -> frozenset[str]:
        """The names on the wire of events that it has a function for, and the former names that its codec knows."""
        return frozenset(map(wire_name, (*self.begins, *self.reacts))) | self.codec.former_names

    def decode(self, body: bytes) -> Message:
        """Return an event of the log. Raises `UnknownType`, `Undecodable`."""
        try:
            return self.codec.decode_message(body)
        except UnknownType as unknown:
            if unknown.name != wire_name(Rejected):
                raise
        return REJECTIONS.decode_message(body)

    def instance_of(self, event: Message, in_flow: str | None = None) -> str | None:
        """Return the identity of the instance that an event is for; None if it is for none.

        in_flow: the identity of the instance of this flow whose command has caused the event; None for none.
        """
        kind = type(event)
        if in_flow is not None and (kind in self.reacts or kind not in self.begins):
            return in_flow
        try:
            id = None if kind is Rejected else self._identity_of(event)
        except Exception as error:
            self._note(error, name_of(self.identity), event)
            raise
        return None if id is None else checked_identity(id, wire_name(kind))

    def decide(self, state: S | None, event: Message | Timeout) -> FlowStep[S] | None:
        """Return the step of an instance that has not ended; None if nothing follows, or no function is for the event.

        state: its state; None for an instance that has not begun. event: an event for it, or a timeout that is due.

        Raises `WrongStep`, `UnknownTimeout`, and the error of the function.
        """
        function = self._function_for(state, event)
        if function is None:
            return None
        try:
            returned = function(self.state if state is None else state, event)
        except Exception as error:
            self._note(error, name_of(function), event)
            raise
        return self._check.step_of(name_of(function), returned)

    def _function_for(self, state: S | None, event: Any) -> Callable[[S, Any], Any] | None:
        if not isinstance(event, Timeout):
            return (self.begins if state is None else self.reacts).get(type(event))
        if state is None:  # there is no instance that could have set it
            return None
        if event.name not in self.timeouts:
            raise UnknownTimeout(event.name, self.name, self.timeouts)
        return self.timeouts[event.name]

    def _note(self, error: Exception, function: str, event: Any) -> None:
        """Note on an error where it was raised."""
        name = f"the timeout {event.name!r}" if isinstance(event, Timeout) else wire_name(type(event))
        note = f"raised by {function} of the flow {self.name} when given {name}"
        if note not in getattr(error, "__notes__", ()):  # one error may be raised again and again
            error.add_note(note)


def _checked_since(since: Any) -> Literal["start", "now"] | int:
    if since in ("start", "now"):
        return since  # type: ignore[no-any-return]
    if isinstance(since, int) and not isinstance(since, bool) and since >= 0:
        return since
    raise InvalidOption("since", since, "give 'start', 'now', or the position of the event behind which it begins")


def _initial_state(state: Any) -> Any:
    initial = checked_state(state)
    if initial is None:
        raise InvalidOption("state", state, "give a class whose fields have defaults, or an initial value")
    return initial


def _identity_function(identity: Any, begins: Iterable[type]) -> Callable[[Any], Any]:
    """Return a function that reads the identity of an event; events besides ``begins`` may lack the field."""
    read = field_reader("identity", identity, begins, "event", "each event in begins")
    return read if read is identity else lambda event: getattr(event, identity, None)
