"""Projections: read models that are made from the events of the log. Begin reading here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from modd.aggregate.event_codec import checked_codec
from modd.aggregate.fold import FOLD, checked_events, checked_state
from modd.aggregate.options import checked_stored_name, field_reader
from modd.checks import checked_count
from modd.core import Message, wire_name
from modd.cqrs.codec import Codec
from modd.errors import InvalidOption
from modd.ports.storage import Storage
from modd.projection.content import Functions, ProjectionContent
from modd.projection.inline import InlineWriter
from modd.projection.reading import StoredStates
from modd.projection.states import StateContent, checked_decodable
from modd.projection.tables import Rows, TableContent, checked_tables

S = TypeVar("S")


class Projection(Generic[S]):
    """A read model that is made from the events of the log: in tables of the file, or as a state for each key.

    Its functions are sync and without effects, because events are read again when a projection is built anew. A
    `modd.follower.Follower` carries the events to it; or give it to an aggregate as ``inline=[projection]``, which
    writes it in the commit of the events.

    name: letters, digits, ``-`` and ``_``. It names the projection in the store, so do not change it.
    events: a function for each type of event, or a list of functions with annotations. With ``tables``, it takes the
        event and `Rows`; with ``state``, it takes the state and the event and returns the next state, or None to remove
        it.
    tables: the columns of each table, as SQL. Anybody reads a table under its name, which is a view; the build of each
        version has tables of its own.
    state: in place of ``tables``, a class whose fields have defaults, or an initial value: the state of a key without
        events.
    key: for ``state``, a field of the events, or a function of an event: a text or a whole number, None for an event of
        no key.
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
        self.name, self.key = checked_stored_name(name), key
        if (tables is None) is (state is None):
            raise InvalidOption("tables", tables, "give either tables, or a state and a key")
        self.version = checked_count("version", version)
        self.state: Any = None if state is None else checked_decodable(checked_state(state))
        """The state of a key without events; None for a projection with tables."""
        other, form, position = (type(self.state), FOLD, 1) if tables is None else (Rows, "(event, rows)", 0)
        self.events: Functions = checked_events(events, other, form, position)
        self.codec = checked_codec(codec, self.events)
        self.tables = None if tables is None else checked_tables(tables)
        self.types: frozenset[str] = frozenset(map(wire_name, self.events)) | self.codec.former_names
        """The names of its events on the wire, former names included."""
        self.content: ProjectionContent = self._content()
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

    def _content(self) -> ProjectionContent:
        if self.tables is None:
            if self.key is None:
                cure = "give the field of the events whose value is the key of the state, or a function of an event"
                raise InvalidOption("key", self.key, cure)
            read = field_reader("key", self.key, self.events, "event", "each event")
            return StateContent(self.name, self.state, read, self.events)
        if self.key is not None:
            raise InvalidOption("key", self.key, "a key is for a state; the rows of tables have keys of their own")
        return TableContent(self.name, self.tables, self.events)
