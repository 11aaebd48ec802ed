"""The description of a program as plain data: each entry tells about one part or one type."""

from __future__ import annotations

from typing import Literal

import msgspec


class FunctionEntry(msgspec.Struct, frozen=True):
    """A function, a middleware or another callable.

    name: its name. doc: the first line of its docstring.
    """

    name: str
    doc: str = ""


class FieldEntry(msgspec.Struct, frozen=True):
    """A field of a message or a state.

    name, type: as they are written. required: True if it has no default. sensitive: True if it is marked `Sensitive`.
    """

    name: str
    type: str
    required: bool = True
    sensitive: bool = False


class StateEntry(msgspec.Struct, frozen=True):
    """The type of a state.

    type: its name. doc: the first line of its docstring. fields: none for a type without fields.
    """

    type: str
    doc: str = ""
    fields: list[FieldEntry] = []


class MessageEntry(msgspec.Struct, frozen=True):
    """A type of message.

    name: on the wire. kind: the kind of message. type: module and name of the type.
    version: of its fields. doc: the first line of its docstring. fields: those of the message.
    result: the type of the result, for a message that has one; None for the others.
    """

    name: str
    kind: Literal["command", "query", "event", "message"]
    type: str
    version: int = 1
    doc: str = ""
    fields: list[FieldEntry] = []
    result: str | None = None


class CommandEntry(msgspec.Struct, frozen=True):
    """A command of an aggregate.

    message: its type. chain: the functions that decide about it, the last of which is the command itself.
    records: the names of the events that the code of these names.
    """

    message: MessageEntry
    chain: list[FunctionEntry]
    records: list[str] = []


class EventEntry(msgspec.Struct, frozen=True):
    """An event of an aggregate.

    message: its type. function: makes the state after it. versions: those that can be read, oldest first.
    """

    message: MessageEntry
    function: FunctionEntry
    versions: list[int]


class AggregateEntry(msgspec.Struct, frozen=True):
    """An aggregate.

    name: its name.
    identity: the field of its commands with the identity, or the name of a function; None for one with a boundary.
    state: the type of its states.
    commands, events: in the order in which they were given.
    middleware: the middleware around its commands, the first one outermost.
    inline: the names of the projections that are written in the commit of its events.
    """

    name: str
    identity: str | None
    state: StateEntry
    commands: list[CommandEntry]
    events: list[EventEntry]
    middleware: list[FunctionEntry] = []
    inline: list[str] = []


class HandledEntry(msgspec.Struct, frozen=True):
    """A type of message that a typed bus handles.

    message: the type. handlers: in the order in which they run.
    """

    message: MessageEntry
    handlers: list[FunctionEntry]


class BusEntry(msgspec.Struct, frozen=True):
    """A typed bus.

    name: its name. kind: that of its messages. messages: those that it handles.
    emits: the names of the messages that its handlers are known to emit.
    middleware: the middleware, the first one outermost.
    """

    name: str
    kind: Literal["command", "query", "event", "message"]
    messages: list[HandledEntry]
    emits: list[str] = []
    middleware: list[FunctionEntry] = []


class ComponentEntry(msgspec.Struct, frozen=True):
    """Any other component of a bus.

    function: its name and docstring.
    accepts: the names of the messages that it takes. everything: True if it takes all messages.
    returns: the names of the messages that it says to return.
    """

    function: FunctionEntry
    accepts: list[str]
    everything: bool = False
    returns: list[str] = []


class ReactionEntry(msgspec.Struct, frozen=True):
    """A function of a flow or a projection.

    on: the name of the event, or of the timeout. function: its name and docstring.
    sends: the names of the commands that its code names.
    """

    on: str
    function: FunctionEntry
    sends: list[str] = []


class FlowEntry(msgspec.Struct, frozen=True):
    """A flow.

    name: its name. version: of its state. identity: the field of the events with it, or the name of a function.
    state: the type of its states.
    begins, reacts, timeouts: its functions for events that begin an instance, for later ones, and for timeouts.
    """

    name: str
    version: int
    identity: str
    state: StateEntry
    begins: list[ReactionEntry]
    reacts: list[ReactionEntry] = []
    timeouts: list[ReactionEntry] = []


class ProjectionEntry(msgspec.Struct, frozen=True):
    """A projection.

    name: its name. version: of its content. events: its functions.
    tables: the columns of each table, as SQL; none for a projection with a state.
    state, key: the type of its states, and the field of the events with the key, or the name of a function; None for
        a projection with tables.
    """

    name: str
    version: int
    events: list[ReactionEntry]
    tables: dict[str, str] = {}
    state: StateEntry | None = None
    key: str | None = None


class ContextEntry(msgspec.Struct, frozen=True):
    """A bounded context: a bus, with the parts that are directly in it; or a follower with its parts.

    name: with the names of the buses around it in front, joined by dots; "" for parts that are in no bus.
    kind: "context" or "follower".
    takes, lets_out: the names of the messages that cross its boundary.
    aggregates, buses, flows, projections, components: the parts in it, but for contexts.
    """

    name: str
    kind: Literal["context", "follower"] = "context"
    takes: list[str] = []
    lets_out: list[str] = []
    aggregates: list[AggregateEntry] = []
    buses: list[BusEntry] = []
    flows: list[FlowEntry] = []
    projections: list[ProjectionEntry] = []
    components: list[ComponentEntry] = []


class Catalog(msgspec.Struct, frozen=True):
    """The description of a program, as `describe_parts` makes it; ``msgspec.json.encode`` makes JSON of it.

    contexts: the outermost first, each followed by those inside it.
    """

    contexts: list[ContextEntry]
