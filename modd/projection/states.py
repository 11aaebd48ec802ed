"""Content as a state for each key: functions of a state and an event that return the next state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from modd.aggregate.errors import WrongState
from modd.checks import checked_text
from modd.core import Message, misfit_of, name_of, wire_name
from modd.cqrs.decodable import fault_in
from modd.cqrs.round_trip import RoundTrip
from modd.cqrs.wire import Decoders
from modd.errors import InvalidOption
from modd.ports.documents import Documents
from modd.ports.storage import Storage
from modd.ports.transaction import Transaction
from modd.projection.content import FailedEvent, Functions, Memory, Positioned
from modd.projection.errors import UndecodableState

S = TypeVar("S")


MOST_STATES = 10_000
"""Most states of a build that are kept in memory, besides those of a batch."""


def space_of(projection: str, build: int) -> str:
    """Return the space of the documents with the states of a build."""
    return f"modd projection {projection} {build}"


class StateChanges:
    """States of a build, encoded.

    documents: those of the build. bodies: the states by key, None for one to remove. failed: the event behind them that
    failed, or None.
    """

    def __init__(
        self, documents: Documents, bodies: Mapping[str, bytes | None], failed: FailedEvent | None = None
    ) -> None:
        self._documents, self._bodies, self.failed = documents, bodies, failed

    @property
    def is_empty(self) -> bool:
        """True if there is no state."""
        return not self._bodies

    async def write(self, transaction: Transaction) -> None:
        """Store the states, and remove those that are None."""
        await self._documents.put_many(self._bodies)

    def done(self, memory: Memory) -> None:
        """Keep the states in memory, up to a limit."""
        memory.update(self._bodies)
        if len(memory) > MOST_STATES:
            memory.clear()
            memory.update(self._bodies)


class StateContent(Generic[S]):
    """States by key, each folded from the events of its key.

    projection: the name of the projection. initial: the state of a key without events. key: returns the key of an
    event. functions: those of the projection, by type of event.
    """

    tables: tuple[str, ...] = ()

    def __init__(self, projection: str, initial: S, key: Callable[[Any], Any], functions: Functions) -> None:
        self._projection, self._initial, self._functions = projection, initial, functions
        self._key, self._kind = key, type(initial)
        self._decode = msgspec.json.Decoder(self._kind).decode
        self._encode = RoundTrip("json", None).encode_checked

    def key_of(self, event: Any) -> str | None:
        """Return the key of an event; None for one that is of no key. Raises `InvalidOption` if it is no text."""
        key = self._key(event)
        if type(key) is str and key:
            return checked_text("key", key)
        return None if key is None else self._checked_key(key, event)

    def fold(self, state: S | None, event: Any) -> S | None:
        """Return the state after an event, None to remove it. Raises `WrongState`, and the error of the function."""
        function = self._functions[type(event)]
        changed: S | None = function(self._initial if state is None else state, event)
        if changed is not None and not isinstance(changed, self._kind):
            raise WrongState(name_of(function), self._kind, type(changed))
        return changed

    def decode(self, body: bytes, key: str = "") -> S:
        """Return a stored state. Raises `UndecodableState`."""
        try:
            state: S = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            fault = f"{type(error).__name__} at {misfit_of(error, '$')[0]}"  # its text may have values
            raise UndecodableState(self._projection, key, fault) from None
        return state

    def encode(self, state: S) -> bytes:
        """Return a state as it is stored. Raises `modd.cqrs.Unencodable`."""
        return self._encode(state, self._decode, self._kind)

    async def decide(self, store: Storage, build: int, events: Iterable[Positioned], memory: Memory) -> StateChanges:
        """Return the states after events, up to the first that fails."""
        documents, failed = store.documents(space_of(self._projection, build)), None
        keyed = list[tuple[int, str, Any]]()
        for position, event in events:
            try:
                key = self.key_of(event)
            except Exception as error:
                failed = FailedEvent(position, error)
                break
            if key is not None:
                keyed.append((position, key, event))
        bodies = await self._bodies(documents, dict.fromkeys(key for _, key, _ in keyed), memory)
        changed = self._folded_if_possible(bodies, keyed)
        if changed is not None:
            return StateChanges(documents, changed, failed)
        return StateChanges(documents, *self._folded_singly(bodies, keyed, failed))

    async def _bodies(self, documents: Documents, keys: Iterable[str], memory: Memory) -> dict[str, bytes]:
        """Return the stored states of keys, from memory where that has them."""
        unknown = [key for key in keys if key not in memory]
        stored = await documents.get_many(unknown) if unknown else {}
        known = ((key, memory[key]) for key in keys if key in memory)
        return {**stored, **{key: body for key, body in known if body is not None}}

    def _folded_if_possible(
        self, bodies: Mapping[str, bytes], keyed: Iterable[tuple[int, str, Any]]
    ) -> dict[str, bytes | None] | None:
        """Return the states after events, encoded; None if an event fails."""
        try:
            states: dict[str, S | None] = {key: self.decode(body, key) for key, body in bodies.items()}
            for _, key, event in keyed:
                states[key] = self.fold(states.get(key), event)
            return {key: None if state is None else self.encode(state) for key, state in states.items()}
        except Exception:
            return None

    def _folded_singly(
        self, bodies: Mapping[str, bytes], keyed: Iterable[tuple[int, str, Any]], failed: FailedEvent | None
    ) -> tuple[dict[str, bytes | None], FailedEvent | None]:
        """Return the states after the events before the first that fails, and that one."""
        changed = dict[str, bytes | None]()
        for position, key, event in keyed:
            body = changed.get(key, bodies.get(key))
            try:
                state = self.fold(None if body is None else self.decode(body, key), event)
                changed[key] = None if state is None else self.encode(state)
            except Exception as error:
                return changed, FailedEvent(position, error)
        return changed, failed

    async def apply(self, store: Storage, transaction: Transaction, build: int, events: Sequence[Message]) -> None:
        """Fold events in the commit of the open transaction, so that several at once lose nothing."""
        pairs = [(key, event) for event in events if (key := self.key_of(event)) is not None]
        if pairs:
            documents = store.documents(space_of(self._projection, build))
            await documents.fold(pairs, self.fold, self.decode, self.encode)

    async def create(self, transaction: Transaction, build: int) -> None:
        """Do nothing: documents need no preparation."""

    def _checked_key(self, key: Any, event: Any) -> str:
        if isinstance(key, int) and not isinstance(key, bool):
            return str(key)
        cure = (
            f"the key of {wire_name(type(event))} must be a text that is not empty, a whole number, or None for no key"
        )
        raise InvalidOption("key", key, cure)


def checked_decodable(state: Any) -> Any:
    """Return an initial state, if its type can be stored. Raises `InvalidOption`."""
    fault = fault_in(type(state), Decoders("json", None))
    if fault:
        raise InvalidOption("state", type(state), f"its states are stored as JSON; {fault}")
    return state
