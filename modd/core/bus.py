"""The bus: begin reading here. A bus gives each message to its components and queues the messages that they return.

`Bus.__call__` is the whole of it: one loop over a queue. Every message goes through this loop, in a turn (`turn`), past a
gate (`gate`), to the components that the routing table names (`routing`). `delivery` does everything that is not "call the
component and queue the one message that it returns".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import CoroutineType, TracebackType
from typing import Any, Self, TypeVar

from anyio.lowlevel import checkpoint

from modd.checks import checked_limit, checked_name
from modd.concurrency.scopes import open_scope
from modd.core import asking
from modd.core.component import (
    Accepts,
    Component,
    Part,
    Receiver,
    accepts_of,
    checked_components,
    checked_types,
    inside,
    name_of,
)
from modd.core.delivery import Queue, Raised, receivers_of, settle
from modd.core.gate import gates_for
from modd.core.graph import Graph
from modd.core.limits import BEAT, watch_from
from modd.core.message import Failure, IntentOf, Message
from modd.core.observer import Observer, tell
from modd.core.opening import Opening
from modd.core.routing import Routing, path_to
from modd.core.turn import Turn, cut_short, end, innermost, publish, turn_inside, wait_for_turn
from modd.errors import BusInsideItself, InvalidOption, UnknownComponent

R = TypeVar("R")

_NOTHING: tuple[()] = ()


class Bus(Part):
    """A component made of components, with a queue: a bounded context, or a part of one.

    ``await bus(message)`` gives the message to every component that accepts it, then the messages that these return,
    until the queue is empty, and returns the messages that left the bus.

    components: callables that take one message; the annotation of the first parameter says which types.
    name: the name in errors, journeys and graphs; "bus" by default.
    inbound: the message types that the bus takes as a component of another bus; by default all that its components accept.
    outbound: the message types that it lets out there; by default none.
    exclusive: True (default), turns run one after another; False, turns overlap; a function from message to key, turns with
        the same key run one after another, and a key of None overlaps with everything.
    concurrent: True, the receivers of one message run side by side; False (default), one after another.
    limit: the most messages in a turn, 100 000 by default; None for no limit.

    Raises `NotAComponent`, `UnresolvedAnnotation`, `DuplicateName`, `BusInsideItself`, `InvalidOption`.
    """

    is_bus = True

    def __init__(
        self,
        components: Iterable[Component] = (),
        *,
        name: str = "bus",
        inbound: Iterable[type[Message]] | None = None,
        outbound: Iterable[type[Message]] = (),
        exclusive: bool | Callable[[Any], object] = True,
        concurrent: bool = False,
        limit: int | None = 100_000,
    ) -> None:
        super().__init__()
        self.name = checked_name(name)
        self.limit = checked_limit(limit)
        self.concurrent = bool(concurrent)
        self.inbound = None if inbound is None else checked_types("inbound", inbound)
        let_out = checked_types("outbound", outbound)
        self.outbound = tuple(kind for kind in let_out if kind is not Failure)
        self.lets_failures_out = Failure in let_out
        self.gate, self.keyed_gates = gates_for(self.name, exclusive)
        self.routing = Routing(self.name, self._inside, self.outbound)
        self.opening = Opening(self.name)
        self.answerers: dict[type, tuple[asking.Answerer, bool]] = {}
        self._observers: list[Observer] = []
        self._watchers: tuple[Observer, ...] | None = None
        self.watch = watch_from(self.limit)
        self._unseen: Turn | None = None
        self.unpaused = 0
        """Messages since other tasks could run, counted across turns."""
        known: tuple[type[Message], ...] = (Failure, *(self.inbound or ()), *let_out)
        for kind in known:
            self.routing.know(kind)
        for component in checked_components(components):
            self.add(component)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(map(name_of, self.components))}>"

    async def __call__(self, message: Message, /) -> tuple[Message, ...]:
        """Send a message, wait until everything that it caused inside is done, and return the messages that left the bus.

        Raises `TurnFailed` with the failures that no component handled, `NotAMessage` for anything but a message, and
        `Deadlock` inside a turn that could never go on.
        """
        item: Any = message
        outer = innermost()
        if outer is not None and not outer.open:
            outer = open_scope(outer)
        gate = self.gate if self.keyed_gates is None else self.keyed_gates.gate_of(item)
        if gate is not None and gate.holder is not None:
            turn = await wait_for_turn(self, gate, outer, item)
            gate = turn.gate
        else:
            if outer is not None:
                turn = turn_inside(self, gate, outer, item)
            elif self._unseen is None:
                turn = Turn(self, gate, self.watch)
            else:
                turn, self._unseen = self._unseen, None
            if gate is not None:
                gate.holder = turn
        seen = False  # publishing a turn costs a quarter of a send, and is of use only if a component awaits
        counter: Any = turn if outer is None else turn.root
        routing = self.routing
        calls = routing.calls
        queue: Queue | None = None
        try:
            while True:
                self.unpaused = unpaused = self.unpaused + 1
                if unpaused >= BEAT:
                    self.unpaused = 0
                    await checkpoint()
                try:
                    receivers: Any = calls[type(item)]
                except KeyError:
                    queue = deque() if queue is None else queue
                    item, receivers = receivers_of(turn, item, queue)
                for receive in receivers:
                    try:
                        returned = receive(item)
                        if type(returned) is CoroutineType:
                            if not seen:
                                publish(turn)
                                seen = True
                            returned = await returned
                        if returned is None:
                            continue
                    except Exception as error:
                        returned = Raised(error)
                    if queue is None:
                        queue = deque()
                    if type(returned) in routing.stays and counter.count < turn.watch:
                        counter.count += 1
                        queue.append(returned)
                    elif returned is not _NOTHING:
                        if not seen:
                            publish(turn)
                            seen = True
                        rest = settle(turn, item, receive, returned, queue)
                        if rest is not None:
                            await rest
                if not queue:
                    break
                item = queue.popleft()
        except BaseException as error:
            cut = cut_short(turn, error, (item, *(queue or ())))
            if cut is not error:
                raise cut from None
            raise
        if turn.outcome is None and not seen and outer is None and gate is self.gate and not (gate and gate.line):
            if gate is not None:
                gate.holder = None
            if queue is None:  # nothing refers to the turn: the next send takes it, which saves a fifth of a send
                self._unseen = turn
            return _NOTHING
        if turn.outcome is None and (gate is None or not (gate.line or gate.behind or turn.within)):
            turn.open = False  # as `end` does: its call costs a seventh of a send
            if gate is not None:
                gate.holder = None
                if gate.gates is not None:
                    del gate.gates[gate.key]
            return _NOTHING
        return end(turn)

    async def ask(self, intent: IntentOf[R], *stamps: Any) -> R:
        """Send an intent to the typed bus inside that handles it, in nested contexts too, and return its result.

        The handler's error is raised as it is. Raises `NoHandler`, `MultipleHandlers`, `NotAnswered` when there was no
        result, and `TurnFailed`, with the result as ``result``, when something that the intent caused failed.
        """
        return await asking.ask(self, intent, stamps)  # type: ignore[no-any-return]

    def override(self, handlers: Mapping[type[Message], Any]) -> AbstractContextManager[None]:
        """Have fakes handle these types in every typed bus inside, for as long as the block lasts; for tests.

        ``with bus.override({PlaceOrder: fake}):``. Raises `NoHandler` for a type that no typed bus inside handles.
        """
        return asking.override(self, handlers)

    def add(self, component: Component) -> None:
        """Add a component; it gets messages from the next message on, in a running turn too.

        Raises `NotAComponent`, `UnresolvedAnnotation`, `DuplicateName`, `BusInsideItself`.
        """
        if self in inside(component):
            raise BusInsideItself([self.name, *path_to(self, component)])
        for kind in accepts_of(component).types:
            self.routing.know(kind)
        self._adopt(component)
        self._renew_all(self)
        tell(self.watchers, lambda watcher: watcher.added(component, self))

    def remove(self, component: Component) -> None:
        """Remove a component; it gets no message any more. Raises `UnknownComponent`."""
        at = next((i for i, receiver in enumerate(self._inside) if receiver.component is component), None)
        if at is None:
            raise UnknownComponent(name_of(component), self.name, map(name_of, self.components))
        watchers = self.watchers
        del self._inside[at]
        if isinstance(component, Part) and component not in self.components:
            component.detach_from(self)
        self._renew_all(self)
        self._renew_all(component)
        tell(watchers, lambda watcher: watcher.removed(component, self))

    def find(self, name: str) -> Component:
        """Return the first component of that name in the bus, to any depth. Raises `UnknownComponent`."""
        known = [part for component in self.components for part in inside(component)]
        for component in known:
            if name_of(component) == name:
                return component
        raise UnknownComponent(repr(name), self.name, dict.fromkeys(map(name_of, known)))

    def graph(self) -> Graph:
        """Return the wiring as it is now, to print (``str``) or to draw (``.mermaid()``)."""
        return Graph(self)

    @contextmanager
    def observe(self, observer: Observer) -> Iterator[None]:
        """Tell the observer of every delivery here and in nested buses, for as long as the block lasts."""
        if not isinstance(observer, Observer):
            raise InvalidOption("observer", observer, "give an instance of a class derived from modd.Observer")
        self._observers.append(observer)
        self._renew_all(self)
        try:
            yield
        finally:
            self._observers.remove(observer)
            self._renew_all(self)

    @property
    def accepts(self) -> Accepts:
        """The message types that the bus takes as a component of another bus: ``inbound``, or all of its components."""
        if self.inbound is not None:
            return Accepts(self.inbound, everything=Message in self.inbound, catches=False)
        offers = [receiver.accepts.without_failures() for receiver in self._inside]
        narrow = [offer for offer in offers if not offer.everything]
        types = tuple(dict.fromkeys(kind for offer in narrow for kind in offer.types))
        alone = not types and any(offer.everything for offer in offers)
        return Accepts(types, everything=alone, catches=False)

    @property
    def boundary(self) -> Part | None:
        """The bus itself: a message that it let out does not come back to it."""
        return self

    @property
    def watchers(self) -> tuple[Observer, ...]:
        """The observers of this bus and of everything around it."""
        if self._watchers is None:
            self._watchers = tuple(dict.fromkeys((*self._observers, *super().watchers)))
        return self._watchers

    def receivers(self, kind: type) -> tuple[Receiver, ...]:
        """Return the components that accept a message type, in their order."""
        return self.routing.receivers(kind)

    def renew(self) -> None:
        """Work out anew who receives, observes and answers, here and around."""
        self.routing.renew()
        self.answerers.clear()
        self._watchers = None
        super().renew()

    def _renew_all(self, component: Component) -> None:
        for part in inside(component):
            if isinstance(part, Part):
                part.renew()

    @property
    def is_open(self) -> bool:
        """True while the bus is open, by itself or with a bus around it."""
        return self.opening.is_open

    async def __aenter__(self) -> Self:
        """Enter every component inside, to any depth, that is an async context manager; each once, in their order.

        A bus without such components needs no opening. A component that is added to an open bus is entered by whoever
        adds it. Raises `AlreadyOpen` when this bus or one inside it is open.
        """
        await self.opening.enter(inside(self))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Leave the components that were entered, in reverse."""
        return await self.opening.leave(kind, error, trace)
