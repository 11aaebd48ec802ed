"""Gates let turns run one after another, and find a deadlock before a turn waits for ever.

Theory of operation
-------------------
A gate has a `holder`, the turn that is let in, and a `line` of turns that wait for it: first come, first served. An
exclusive bus has one gate, a bus with a key function has a gate for each key that a turn has now, and a bus whose turns
overlap has none.

A component that awaits its own bus is inside the turn that holds the gate, so waiting for that gate would never end.
The new turn goes *within* the old one: the old turn gets a gate for the turns inside it (`Turn.within`), which has the
gate of the bus as its `base`. Turns inside one turn take turns at that gate, to any depth.

Example: turn 1 of the bus ``shop`` starts two tasks, and each task sends to ``shop``; turn 2 comes from outside::

    gate of shop:    held by turn 1,  in line: turn 2
    gate in turn 1:  held by turn 1a, in line: turn 1b

If turn 1 ends while 1a still runs (a task that was left running), turn 2 still has to wait. So the gate of ``shop`` is
handed to 1a, and the gate in turn 1 remembers the gate of ``shop`` as `behind`. When 1a ends, 1b gets both gates; when
1b ends, nothing is left inside turn 1, and the gate of ``shop`` goes to turn 2.

Deadlock: before a turn waits, `find_circle` looks for a way back to the caller: from the gate to its holder, to the
turns that wait inside the holder (`Turn.waiting`), to the gate of each, to its holder, and so on. A holder that the
caller is inside of closes a circle. A caller from outside is inside no turn, so no circle can lead back to it and there
is nothing to search.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, ClassVar

from modd.concurrency.scopes import open_scopes
from modd.core.causation import Entry
from modd.core.component import check_message
from modd.core.message import Message
from modd.errors import InvalidOption


class Gate:
    """A gate that lets in one turn at a time; the next ones wait in the order in which they came.

    name: the bus, or the thing that is waited for, in the text of a `Deadlock`.
    base: the gate of the bus, for a gate inside one of its turns.
    gates, key: the gates by key that this gate is removed from when the last turn has left.
    """

    __slots__ = ("__weakref__", "base", "behind", "gates", "holder", "key", "line", "name")

    behind: Gate | None
    """The gate that an ended turn left to the turns that still run inside it; they hold both gates."""
    holder: Any
    """The turn that is let in."""
    line: dict[Any, Any]
    """The turns that wait, in their order, each with its place; see `modd.core.line`."""
    limit: ClassVar[None] = None
    watchers: ClassVar[tuple[()]] = ()
    """A gate is the bus of the turns that hold it and belong to no bus: without a limit and without observers."""

    def __init__(
        self, name: str, base: Gate | None = None, gates: dict[Any, Gate] | None = None, key: Hashable = None
    ) -> None:
        self.name, self.base, self.gates, self.key = name, base or self, gates, key
        self.behind = self.holder = None
        self.line = {}


class Removed:
    """Stands in for the holder of a gate that is taken away, because the last turn of its key has left."""

    waiting = loop = None


REMOVED = Removed()


class KeyedGates:
    """A gate for each key: turns with the same key run one after another, turns with different keys overlap.

    name: the bus. key: from a message to something that can be hashed, or None for a turn that overlaps with all turns.
    """

    def __init__(self, name: str, key: Callable[[Any], object]) -> None:
        self._name, self._key = name, key
        self._gates: dict[Hashable, Gate] = {}

    def gate_of(self, message: Any) -> Gate | None:
        """Return the gate of a message's key. Raises `InvalidOption` for a key that cannot be hashed."""
        if not isinstance(message, Message):
            message = message.message if type(message) is Entry else message
            check_message(message)
        key: Any = self._key(message)
        if key is None:
            return None
        try:
            gate = self._gates.get(key)
        except TypeError as error:
            cure = f"its key for {type(message).__qualname__} cannot be hashed; give a text, a number or a tuple"
            raise InvalidOption("exclusive", self._key, f"{self._name}: {cure}") from error
        if gate is None:
            if iscoroutine(key):
                key.close()
                cure = f"its key for {type(message).__qualname__} is a coroutine; give a function that is not async"
                raise InvalidOption("exclusive", self._key, f"{self._name}: {cure}")
            gate = self._gates.setdefault(key, Gate(self._name, None, self._gates, key))  # the first of all threads
        return gate

    def __len__(self) -> int:
        return len(self._gates)


def gates_for(name: str, exclusive: Any) -> tuple[Gate | None, KeyedGates | None]:
    """Return the one gate of a bus or its gates by key, as its option ``exclusive`` asks. Raises `InvalidOption`."""
    if exclusive is None or isinstance(exclusive, bool):
        return (None if exclusive is False else Gate(name)), None
    call = getattr(exclusive, "__call__", None)  # noqa: B004  # of an object with an async __call__
    if not callable(exclusive) or iscoroutinefunction(exclusive) or iscoroutinefunction(call):
        raise InvalidOption(
            "exclusive", exclusive, "give True, False, None to derive it, or a plain function from message to key"
        )
    return None, KeyedGates(name, exclusive)


def gate_within(base: Gate, outer: Any) -> Gate:
    """Return the gate to wait at: the gate itself, or inside a turn that holds it the gate within that turn."""
    for turn in open_scopes(outer):
        if turn.gate is not None and turn.gate.base is base:
            turn.within = turn.within or Gate(base.name, base)
            return turn.within  # type: ignore[no-any-return]
    return base


def find_circle(gate: Gate, caller: Any) -> tuple[str, ...]:
    """Return the names of the buses that would wait for each other if the caller waited at this gate; empty if none.

    Searched depth first; see the head of this file.
    """
    inside_of = set(open_scopes(caller))
    if not inside_of:
        return ()
    paths: list[tuple[Gate, tuple[str, ...]]] = [(gate, ())]
    visited: set[Gate] = set()
    while paths:
        gate, path = paths.pop()
        if gate.holder in inside_of:
            return (gate.name, *path)
        if gate.holder is not None and gate not in visited:
            visited.add(gate)
            paths += [(turn.gate, (*path, gate.name)) for turn in gate.holder.waiting or ()]
    return ()
