"""The aggregate: a typed bus of commands that decides by chains, and records events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from time import time
from typing import Any, ClassVar, Generic, TypedDict, TypeVar, Unpack, overload

from modd.aggregate.access import AccessRules
from modd.aggregate.boundaries import Boundaries
from modd.aggregate.chain import Chain, On, check_chain, checked_commands, decider_chain
from modd.aggregate.decider import Decider
from modd.aggregate.errors import CommandRejected
from modd.aggregate.event_codec import EventCodec, checked_codec
from modd.aggregate.explanation import Explanation, explain
from modd.aggregate.fold import Fold, checked_events, checked_state
from modd.aggregate.history import Change, changes
from modd.aggregate.inline import Inline, checked_inline
from modd.aggregate.instance import Instance
from modd.aggregate.options import checked_stored_name, field_reader
from modd.aggregate.recorder import DecisionRecorder
from modd.aggregate.rejected import Rejected
from modd.aggregate.revision import RevisionCache
from modd.aggregate.snapshots import Snapshots
from modd.aggregate.streams import InstanceStream, Streams, checked_identity
from modd.checks import checked_callable, checked_count, checked_delay, checked_methods, checked_text, checked_whole
from modd.concurrency.scopes import open_scope
from modd.core import (
    Caused,
    Message,
    Part,
    Question,
    current_origin,
    innermost,
    inside,
    is_among,
    message_of,
    open_origin,
    takes_by_name,
)
from modd.cqrs.arguments import Resources, checked_resources
from modd.cqrs.chain import Middleware
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Command
from modd.cqrs.stamps import Stamp
from modd.cqrs.typed_bus import TypedBus
from modd.errors import InvalidOption, NoHandler
from modd.ports.tagged import Tagged
from modd.stores import MemoryStore

S = TypeVar("S")


R = TypeVar("R")


class AggregateOptions(TypedDict, total=False):
    """The options of an aggregate besides its functions; see `Aggregate`."""

    identity: str | Callable[[Any], object] | None
    boundary: Callable[[Any], Tagged] | None
    tags: Callable[[Any], Iterable[str]] | None
    store: Any
    codec: Codec | None
    inline: Iterable[Inline]
    access: Mapping[Any, str] | None
    snapshots: int
    version: int
    states: int
    attempts: int
    middleware: Iterable[Middleware]
    resources: Resources | None
    new_id: Callable[[], str] | None
    clock: Callable[[], float]


class Aggregate(TypedBus, Generic[S]):
    """A bus of commands whose decisions are recorded as events, from which the state of each instance is made.

    ``invoice = Aggregate("invoice", state=Invoice, identity="invoice_id", commands={Pay: [only.if_exists(), pay]},
    events={Paid: paid})`` and ``await invoice.dispatch(Pay("7"))``. It is a typed bus: give it middleware, dispatch
    envelopes, let a `Worker` serve it, put it into a `Bus`.

    name: the name of the aggregate: letters, digits, ``-`` and ``_``. Streams are named ``name/identity``.
    identity: the name of a field of every command, or a function of the command; a text or a whole number.
    state: a class whose fields have defaults, or an initial value: the state of an instance without events.
    commands: the chain of each type of command: a function, or a list whose last function is the command; or a list of
        `on`.
    events: a function ``(state, event) -> state`` for each type of event, or a list of functions with annotations.
    decider: a `Decider` in place of ``state``, ``commands`` and ``events``.
    store: a `modd.stores.SqliteStore` or `modd.stores.MemoryStore`; by default a `MemoryStore` of its own.
    boundary: in place of ``identity``, a function of the command that returns a `modd.ports.Tagged`: the state is made
        from the events that match, in whichever streams they are.
    tags: a function of an event that returns its tags, by which boundaries find it; none by default.
    codec: a `Codec` of the events, with upcasters for older versions; by default one without.
    inline: parts that write in the commit of the events, such as a projection; none by default. See `Inline`.
    access: who may give a command: "public", "authenticated" or "owner", by type; "owner" for types that are not named.
        None, the default, for no checks.
    snapshots: the number of events after which a snapshot is saved; 100 by default, 0 for none.
    version: a number that you raise when event functions change what they do in code that they call; 1 by default.
    states: the number of instances whose state is kept in memory; 1024 by default, 0 for none.
    attempts: how often a decision is made anew because another writer was faster; 5 by default.
    middleware, resources, new_id, clock: as for every `modd.cqrs.TypedBus`.

    Raises:
        InvalidOption: an option has a value that cannot work.
        InvalidHandler: a function cannot be called as a chain calls it.
    """

    kind: ClassVar[type[Message]] = Command
    default_name: ClassVar[str] = "aggregate"
    stores_by_name: ClassVar[bool] = True
    tells_askers_apart: ClassVar[bool] = True  # a command that was handled before has no result for them

    @overload
    def __init__(
        self,
        name: str,
        *,
        state: type[S],
        commands: Mapping[Any, Any] | Iterable[On[S]],
        events: Mapping[Any, Callable[[S, Any], S]] | Sequence[Callable[[S, Any], S]],
        **options: Unpack[AggregateOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        *,
        state: S,
        commands: Mapping[Any, Any] | Iterable[On[S]],
        events: Mapping[Any, Callable[[S, Any], S]] | Sequence[Callable[[S, Any], S]],
        **options: Unpack[AggregateOptions],
    ) -> None: ...
    @overload
    def __init__(self, name: str, *, decider: Decider[Any, Any, S], **options: Unpack[AggregateOptions]) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        identity: Any = None,
        boundary: Any = None,
        tags: Any = None,
        state: Any = None,
        commands: Any = None,
        events: Any = None,
        decider: Decider[Any, Any, Any] | None = None,
        store: Any = None,
        codec: Codec | None = None,
        inline: Iterable[Inline] = (),
        access: Mapping[type[Any], str] | None = None,
        snapshots: int = 100,
        version: int = 1,
        states: int = 1024,
        attempts: int = 5,
        middleware: Iterable[Middleware] = (),
        resources: Resources | None = None,
        new_id: Callable[[], str] | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        commands, events, inline = map(_readable_again, (commands, events, inline))
        given = {each: value for each, value in locals().items() if each not in ("self", "name", "__class__")}
        self._options: dict[str, Any] = given
        super().__init__(name=checked_stored_name(name), middleware=middleware, new_id=new_id, clock=clock)
        initial, chains, functions = _parts(decider, state, commands, events)
        self.store = _checked_store(MemoryStore() if store is None else store)
        """The store of its events."""
        self._fold: Fold[S] = Fold(name, initial, functions)
        if tags is not None:
            checked_callable("tags", tags, "give a function of an event that returns its tags")
        self.event_codec = checked_codec(codec, functions)
        """The codec of its events."""
        self._codec = EventCodec(self.event_codec, tags)
        saved = Snapshots(
            name,
            self._fold,
            self.store.events,
            checked_whole("snapshots", snapshots),
            checked_whole("version", version),
        )
        self._instances = self._find_instances(identity, boundary, tags, [*chains], saved)
        self._recorder = DecisionRecorder(
            name,
            self._instances,
            self._fold,
            self._codec,
            self.store,
            None if access is None else AccessRules(name, access),
            checked_inline(inline),
            RevisionCache(checked_whole("states", states)),
            checked_count("attempts", attempts),
        )
        known = checked_resources(resources)
        self._chains = {kind: Chain(name, chain, known, self._ask_around) for kind, chain in chains.items()}
        for kind, chain in self._chains.items():
            self.add_handler(kind, partial(self._recorder.handle, chain), chain.name)
            check_chain(kind, chain.functions, self._fold.kind)

    def _find_instances(
        self, identity: Any, boundary: Any, tags: Any, commands: list[type], snapshots: Snapshots[S]
    ) -> Any:
        """Return the instances by identity or by boundary. Raises `InvalidOption` for neither or both."""
        if (identity is None) is (boundary is None):
            raise InvalidOption("identity", identity, "give either an identity or a boundary")
        parts = self._fold, self._codec, self.store.events
        if boundary is None:
            return Streams(
                self.name, field_reader("identity", identity, commands, "command", "each command"), *parts, snapshots
            )
        if tags is None:
            raise InvalidOption("tags", tags, "give a function of an event that returns its tags, for boundaries")
        query = checked_callable("boundary", boundary, "give a function of the command that returns a Tagged")
        return Boundaries(self.name, query, *parts)

    @property
    def identity(self) -> str | Callable[[Any], object] | None:
        """The field of its commands with the identity, or the function that returns it; None with a boundary."""
        identity: str | Callable[[Any], object] | None = self._options["identity"]
        return identity

    @property
    def initial(self) -> S:
        """The state of an instance without events."""
        return self._fold.initial

    @property
    def event_functions(self) -> Mapping[type[Message], Callable[[S, Any], S]]:
        """The function of each type of event, which returns the state after it."""
        return self._fold.functions

    @property
    def command_chains(self) -> Mapping[type[Message], Sequence[Callable[..., Any]]]:
        """The functions for each type of command, the last of which is the command itself."""
        return {kind: chain.functions for kind, chain in self._chains.items()}

    @property
    def inline(self) -> Sequence[Inline]:
        """The parts that write in the commit of its events."""
        return tuple(self._options["inline"])

    def stored(self, store: Any, **changes: Any) -> Aggregate[S]:
        """Return the same aggregate with another store, and with other options.

        store: a `modd.stores.SqliteStore` or `modd.stores.MemoryStore`. changes: options of the constructor.
        """
        options = self._options | {"store": store, "middleware": self.middleware} | changes
        return type(self)(options.pop("name", self.name), **options)

    def key(self, envelope: Envelope[Any]) -> str:
        """Return the key of a command's instance: for `Enqueue`, so that its commands are handled in their order."""
        return str(self._instances.place_of(envelope).name)

    async def get(
        self, id: object, *, revision: int | None = None, until: float | None = None, tenant: str | None = None
    ) -> Instance[S]:
        """Return an instance for reading, as it is now or was then.

        id: its identity. revision: the number of events to count; by default all. until: the time up to which events
        count, in seconds since 1970; by default now. tenant: the id of its tenant; by default none.

        Raises `InvalidOption` for an aggregate with a boundary: its state belongs to a command, see `read`.
        """
        streams, place = self._stream_of("get", id, tenant)
        if revision is not None:
            checked_whole("revision", revision)
        if until is not None:
            checked_delay("until", until, "give a time in seconds since 1970")
            times = [stored.at async for stored in self.store.events.read(place.name)]
            earlier = sum(at <= until for at in times)
            revision = earlier if revision is None else min(revision, earlier)
        if revision is None:
            found = await self._recorder.load_stored(place)
        else:
            found = await streams.load(place, until=revision)
        return self._recorder.read_only(place, found, self.clock())

    async def read(self, command: Any, /, *stamps: Stamp) -> Instance[S]:
        """Return the instance that a command would be decided for, for reading.

        command: the command, or an envelope with it. stamps: for its envelope.
        """
        return await self._recorder.read(_enveloped(command, stamps), self.clock())

    async def current(self, command: Any, /, *stamps: Stamp) -> Instance[S]:
        """Return the instance that a command would be decided for, as this process has it in memory, for reading.

        command, stamps: as for `read`. Another process may have recorded events that it does not show.
        """
        return await self._recorder.current(_enveloped(command, stamps), self.clock())

    def history(self, id: object, *, tenant: str | None = None) -> AsyncIterator[Change[S]]:
        """Iterate over the events of an instance, each with the state after it.

        id: its identity. tenant: the id of its tenant; by default none. Raises `InvalidOption` as `get` does.
        """
        _, place = self._stream_of("history", id, tenant)
        return changes(place.name, self.store.events, self._fold, self._codec)

    async def record(self, command: Any, /, *events: Message, stamps: Iterable[Stamp] = ()) -> None:
        """Record events without a decision: those of an older system, or of the past in a test.

        command: a command for their instance, or an envelope with it; it is not executed. stamps: those of the events
        besides those of the envelope, such as the actor who owns the instance. Raises `UnknownEvent`, `WrongState`,
        `Conflict`.
        """
        await self._recorder.record(_enveloped(command, stamps), events)

    def _stream_of(self, call: str, id: object, tenant: str | None) -> tuple[Streams[S], InstanceStream]:
        if not isinstance(self._instances, Streams):
            raise InvalidOption(call, id, f"{self.name} has a boundary and no identity; use read(command)")
        if tenant is not None:
            checked_text("tenant", tenant, "give the id of a tenant, or None")
        return self._instances, self._instances.place(checked_identity(id, call), tenant)

    async def explain(self, command: Any, /, *stamps: Stamp) -> Explanation:
        """Return every reason for which a command would be rejected now; nothing is recorded.

        command: the command, or an envelope with it. stamps: for its envelope. Raises `NoHandler`, and the error of a
        function that fails before any has rejected.
        """
        envelope = _enveloped(command, stamps)
        kind = type(envelope.message)
        chain = next((self._chains[base] for base in kind.__mro__ if base in self._chains), None)
        if chain is None:
            raise NoHandler(kind, self.name, self.types)
        return await explain(chain, await self._recorder.load(envelope, self.clock()), envelope)

    async def __call__(self, message: Any, /) -> Caused | None:
        """Handle a command of a surrounding bus: its events flow on there.

        A rejection flows on as `Rejected`, if a component there names it or the bus lets it out, and is raised if not.
        """
        origin = open_origin()
        try:
            return await super().__call__(message)
        except CommandRejected as rejection:
            is_asked = isinstance(origin, Question) and origin.is_for(self, message) and origin.reports
            if is_asked or not _rejections_flow_on(self):
                raise
            return Caused((rejection.rejected,), current_origin.get())


def _enveloped(command: Any, stamps: Iterable[Stamp]) -> Envelope[Any]:
    """Return an envelope of its own for a command, or for the command in an envelope."""
    earlier = command.flush() if isinstance(command, Envelope) else ()
    return Envelope(message_of(command), *earlier, *stamps)


def _rejections_flow_on(aggregate: Part) -> bool:
    """Return True if a component in the bus that sends to an aggregate names `Rejected`, or the bus lets it out."""
    turn = open_scope(innermost())
    if turn is None or not is_among(aggregate, inside(turn.bus)):
        return False
    return takes_by_name(turn.bus.inside, Rejected) or issubclass(Rejected, turn.bus.outbound)


def _parts(decider: Any, state: Any, commands: Any, events: Any) -> tuple[Any, Any, Any]:
    """Return the initial state, the chains and the event functions. Raises `InvalidOption`."""
    if decider is None:
        for option, value in (("state", state), ("commands", commands), ("events", events)):
            if value is None:
                raise InvalidOption(option, value, "give state, commands and events, or a decider")
        initial = checked_state(state)
        return initial, checked_commands(commands), checked_events(events, type(initial))
    if not isinstance(decider, Decider):
        raise InvalidOption("decider", decider, "give a modd.aggregate.Decider")
    if (state, commands, events) != (None, None, None):
        raise InvalidOption("decider", decider, "give either a decider, or state, commands and events")
    return decider.initial, decider_chain(decider), dict.fromkeys(decider.events, decider.evolve)


def _readable_again(values: Any) -> Any:
    return [*values] if isinstance(values, Iterator) else values


def _checked_store(store: Any) -> Any:
    cure = "give a modd.stores.SqliteStore or a modd.stores.MemoryStore"
    checked_methods("store", store, ["transaction"], cure)
    for part, methods in (("events", ["append", "pages"]), ("inbox", ["add", "has"])):
        checked_methods("store", getattr(store, part, None), methods, cure)
    return store
