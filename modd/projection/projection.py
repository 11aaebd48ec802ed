"""Projections: read models that are made from the events of the log. Begin reading here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from modd.aggregate.aggregate import NAME
from modd.aggregate.fold import annotated_types, check_plain_function, checked_state
from modd.aggregate.streams import identity_function
from modd.checks import checked_count
from modd.core import Message, name_of, wire_name
from modd.cqrs.codec import Codec
from modd.errors import InvalidOption
from modd.ports.storage import Storage
from modd.projection.content import Content, Functions
from modd.projection.inline import InlineWriter
from modd.projection.reading import StoredStates
from modd.projection.states import StateContent, checked_decodable
from modd.projection.tables import Rows, TableContent, checked_tables

S = TypeVar("S")


class Projection(Generic[S]):
    """A read model that is made from the events of the log: in tables of the file, or as a state for each key.

    Its functions are sync and without effects, because events are read again when a projection is built anew. A
    `modd.follower.Follower` carries the events to it; or give it to an aggregate as ``inline=[projection]``, which writes
    it in the commit of the events.

    name: letters, digits, ``-`` and ``_``. It names the projection in the store, so do not change it.
    events: a function for each type of event, or a list of functions with annotations. With ``tables``, it takes the event
        and `Rows`; with ``state``, it takes the state and the event and returns the next state, or None to remove it.
    tables: the columns of each table, as SQL. Anybody reads a table under its name, which is a view; the build of each
        version has tables of its own.
    state: in place of ``tables``, a class whose fields have defaults, or an initial value: the state of a key without
        events.
    key: for ``state``, a field of the events, or a function of an event, that returns a text or a whole number; None for
        an event of no key.
    version: a number that you raise when the functions, the tables or the states change; 1 by default. A follower then
        builds the projection anew, beside the one that serves.
    codec: a `modd.cqrs.Codec` of the events, with upcasters for older versions; by default one without.

    Raises:
        InvalidOption: an option has a value that cannot work.
    """

    @overload
    def __init__(
        self: Projection[None],
        name: str,
        *,
        events: Mapping[Any, Callable[[Any, Rows], object]] | Iterable[Callable[[Any, Rows], object]],
        tables: Mapping[str, str],
        version: int = ...,
        codec: Codec | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        *,
        events: Mapping[Any, Callable[[S, Any], S | None]] | Iterable[Callable[[S, Any], S | None]],
        state: type[S],
        key: str | Callable[[Any], str | int | None],
        version: int = ...,
        codec: Codec | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        *,
        events: Mapping[Any, Callable[[S, Any], S | None]] | Iterable[Callable[[S, Any], S | None]],
        state: S,
        key: str | Callable[[Any], str | int | None],
        version: int = ...,
        codec: Codec | None = ...,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        events: Any,
        tables: Any = None,
        state: Any = None,
        key: Any = None,
        version: int = 1,
        codec: Codec | None = None,
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InvalidOption("name", name, "give a name of letters, digits, - and _")
        if (tables is None) is (state is None):
            raise InvalidOption("tables", tables, "give either tables, or a state and a key")
        self.name, self.tables, self.state, self.key = name, tables, state, key
        self.version = checked_count("version", version)
        self.events = _functions(events, in_tables=state is None)
        self.codec = _checked_codec(codec, self.events)
        self.types: frozenset[str] = frozenset(map(wire_name, self.events)) | self.codec.former_names
        """The names of its events on the wire, former names included."""
        self.content: Content = self._content()
        """The kind of its content."""
        self._inline = InlineWriter(name, version, self.content, self.events, self.types)

    def __repr__(self) -> str:
        return f"<Projection {self.name}, version {self.version}>"

    def of(self, store: Storage) -> StoredStates[S]:
        """Return the states in a store, for reading: ``await totals.of(store).get("ada")``.

        Raises `InvalidOption` for a projection with tables: read these by SQL, under their names.
        """
        if not isinstance(self.content, StateContent):
            cure = "it has tables; read them by SQL, such as `await tx.fetch('SELECT ... FROM sales')`"
            raise InvalidOption("of", self.name, cure)
        return StoredStates(self.name, self.content, store)

    async def apply(self, store: Any, stream: str, events: Sequence[Message]) -> None:
        """Write in the open transaction what follows from events, for ``inline=[projection]`` of an aggregate.

        Raises `ProjectionNotBuilt` if the log has earlier events that the projection has not seen, and
        `OutdatedProjection` if the store has a newer version.
        """
        await self._inline.apply(store, events)

    def _content(self) -> Content:
        if self.state is None:
            if self.key is not None:
                raise InvalidOption("key", self.key, "a key belongs to a state; the rows of tables have keys of their own")
            return TableContent(self.name, checked_tables(self.tables), self.events)
        if self.key is None:
            raise InvalidOption("key", self.key, "give the field of the events whose value is the key of the state")
        key = _key_function(self.key, [*self.events])
        return StateContent(self.name, checked_decodable(checked_state(self.state)), key, self.events)


def _functions(events: Any, *, in_tables: bool) -> Functions:
    """Return functions by type of event, from a mapping or from a list of annotated functions. Raises `InvalidOption`."""
    form = "(event, rows)" if in_tables else "(state, event) -> state"
    position = 0 if in_tables else 1
    pairs = events.items() if isinstance(events, Mapping) else _by_annotation(events, position)
    found: Functions = {}
    for kind, function in pairs:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise InvalidOption("events", kind, "give a function for each type of event")
        check_plain_function("events", function, f"give a function {form} for {kind.__qualname__}")
        if kind in found:
            raise InvalidOption("events", kind, f"it has a function already: {name_of(found[kind])}")
        found[kind] = function
    if not found:
        raise InvalidOption("events", events, f"give a function {form} for each type of event")
    return found


def _by_annotation(events: Any, position: int) -> list[tuple[Any, Any]]:
    if callable(events) or isinstance(events, str) or not isinstance(events, Iterable):
        raise InvalidOption("events", events, "give a mapping from type to function, or a list of functions")
    return [(kind, function) for function in events for kind in _types_of(function, position)]


def _types_of(function: Any, position: int) -> Iterable[Any]:
    types = annotated_types(function, position) if callable(function) else ()
    if not types:
        place = ("first", "second")[position]
        cure = f"annotate its {place} parameter with the type of event, or give a mapping from type to function"
        raise InvalidOption("events", function, cure)
    return types
