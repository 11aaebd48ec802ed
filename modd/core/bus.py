"""The bus: begin reading here. `Bus.__call__` is the one loop over a queue that every message goes through: in a
`turn`, past a `gate`, to the components in the table of `routing`. `delivery` does all that is not "call the component,
and queue the one message that it returns".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import CoroutineType
from typing import Any, Self

from anyio.lowlevel import checkpoint

from modd.checks import checked_flag, checked_limit, checked_name
from modd.concurrency.cancellation import FAILURES
from modd.concurrency.lifespan import Lifespan
from modd.concurrency.scopes import open_scope
from modd.core import asking, composition, wiring
from modd.core.answerer import Answerer, may_overlap
from modd.core.component import Accepts, Component, Part, checked_components, checked_types, name_of
from modd.core.delivery import Pending, Raised, queue_returned, receivers_of
from modd.core.gate import REMOVED, gates_for
from modd.core.graph import Graph
from modd.core.limits import BEAT, first_check
from modd.core.line import wait_for_turn
from modd.core.message import Failure, Message
from modd.core.observer import Observer
from modd.core.routing import Routing
from modd.core.turn import Turn, cut_short, end, innermost, publish, turn_inside
from modd.core.wiring import Finding

_NOTHING: tuple[()] = ()


class Bus(Part):
    """A component made of components, with a queue: a bounded context, or a part of one.

    ``await bus(message)`` gives the message to every component that accepts it, then the messages that these return,
    until the queue is empty, and returns the messages that left the bus.

    components: callables that take one message; the annotation of the first parameter says which types.
    name: the name in errors, journeys and graphs; "bus" by default.
    inbound: the message types that it takes as a component of another bus; by default all that its components accept.
    outbound: the message types that it lets out to the bus around it; by default none.
    exclusive: True, turns run one after another; False, turns overlap; a function from message to key, turns of one key
        run one after another, and a key of None overlaps with everything. By default turns overlap if all components
        are typed buses and buses whose turns overlap.
    concurrent: True, the receivers of a message run side by side; False (default), one after another.
    limit: the most messages in a turn, 100 000 by default; None for no limit.

    Raises `NotAComponent`, `UnresolvedAnnotation`, `DuplicateName`, `BusInsideItself`, `InvalidOption`.
    """

    is_bus = True
    ask, dispatch, override = asking.ask, asking.dispatch, asking.override
    find = composition.find

    def __init__(
        self,
        components: Iterable[Component] = (),
        *,
        name: str = "bus",
        inbound: Iterable[type[Message]] | None = None,
        outbound: Iterable[type[Message]] = (),
        exclusive: bool | Callable[[Any], object] | None = None,
        concurrent: bool = False,
        limit: int | None = 100_000,
    ) -> None:
        super().__init__()
        self.name, self.limit = checked_name(name), checked_limit(limit)
        self.concurrent = checked_flag("concurrent", concurrent)
        self.inbound = None if inbound is None else checked_types("inbound", inbound)
        let_out = checked_types("outbound", outbound)
        self.outbound = tuple(kind for kind in let_out if kind is not Failure)
        self.lets_failures_out = Failure in let_out
        self.gate, self.keyed_gates = gates_for(self.name, exclusive)
        self._derived_gate = self.gate if exclusive is None else None
        self.routing = Routing(self.name, self._inside, self.inbound or (), self.outbound)
        self.lifespan = Lifespan(self.name)
        self.answerers: dict[type, tuple[Answerer, bool]] = {}
        self.check_from = first_check(self.limit)
        self._spare_turn: Turn | None = None
        self.unpaused = 0  # messages since other tasks could run, counted across turns
        for component in checked_components(components):
            self.add(component)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(map(name_of, self.components))}>"

    async def __call__(self, message: Message, /, *stamps: Any) -> tuple[Message, ...]:
        """Send a message, and return the messages that left the bus when everything that it caused inside is done.

        stamps: for the typed buses inside. Raises `TurnFailed` for unhandled errors, `NoHandler` for a command, a query
        or another `Intent` that no component takes by name, `NotAMessage`, `Deadlock`.
        """
        if stamps:
            return await asking.send(self, message, stamps)
        outer = innermost()
        if outer is not None and not outer.open:
            outer = open_scope(outer)
        gate = self.gate if self.keyed_gates is None else self.keyed_gates.gate_of(message)
        queue: Pending | None = None
        if outer is not None:
            turn = turn_inside(self, gate, outer, message)
        elif self._spare_turn is None:
            turn = Turn(self, gate, self.check_from)
        else:
            turn, self._spare_turn = self._spare_turn, None
        if gate is not None:
            gate.holder = holder = gate.holder or turn  # look and take at once, see `line`
            if holder is not turn:
                gate, queue = await wait_for_turn(turn, gate), deque()
        published = False  # publishing a turn costs a quarter of a send, and is of use only if a component awaits
        routing = self.routing
        try:
            while True:
                self.unpaused = unpaused = self.unpaused + 1
                if unpaused >= BEAT:
                    self.unpaused = 0
                    await checkpoint()
                receivers: Any = routing.calls.get(type(message))
                if receivers is None:
                    queue = deque() if queue is None else queue
                    message, receivers = receivers_of(turn, message, queue)
                for receive in receivers:
                    try:
                        returned = receive(message)
                        if returned is None:
                            continue
                        if type(returned) is CoroutineType:
                            if not published:
                                publish(turn)
                                published = True
                            returned = await returned
                            if returned is None:
                                continue
                    except FAILURES as error:
                        returned = Raised(error)
                    if queue is None:  # most sends end before
                        queue = deque()
                    if type(returned) in routing.stays and (root := turn.root or turn).count < turn.check_from:
                        root.count += 1
                        queue.append(returned)
                    elif returned is not _NOTHING:
                        publish(turn)
                        published = True
                        rest = queue_returned(turn, message, receive, returned, queue)
                        if rest is not None:
                            await rest
                if not queue:
                    break
                message = queue.popleft()
        except BaseException as error:
            cut_short(turn, error, (message, *(queue or ())))
        if turn.outcome is not None or (gate is not None and (gate.line or gate.behind or turn.within)):
            return end(turn)
        if gate is not None:  # as `end` does: its call costs a seventh of a send
            gate.holder = None if gate.gates is None else REMOVED
            if gate.gates is not None:
                del gate.gates[gate.key]
        if published:
            turn.open = False
            if outer is not None and not outer.open:  # as `close_scope` does
                turn.outer = open_scope(outer)
        elif outer is None and gate is self.gate and queue is None and self.keyed_gates is None:
            self._spare_turn = turn  # nothing refers to the turn: the next send takes it, which saves a fifth of a send
        return _NOTHING

    def add(self, component: Component) -> None:
        """Add a component; it gets messages from the next message on, in a running turn too.

        Raises `NotAComponent`, `UnresolvedAnnotation`, `DuplicateName`, `BusInsideItself`.
        """
        composition.add(self, component)

    def remove(self, component: Component) -> None:
        """Remove a component; it gets no message any more. Raises `UnknownComponent`."""
        composition.remove(self, component)

    def graph(self) -> Graph:
        """Return the wiring as it is now, to print (``str``) or to draw (``.mermaid()``)."""
        return Graph(self)

    def check(self) -> tuple[Finding, ...]:
        """Return the faults in the wiring, such as types in ``inbound`` that nothing takes; opening runs this check."""
        return wiring.findings_in(self)

    def observe(self, observer: Observer) -> AbstractContextManager[None]:
        """Tell the observer of every delivery here and in nested buses, for as long as the block lasts."""
        return composition.observe(self, observer)

    @property
    def accepts(self) -> Accepts:
        """The message types that the bus takes as a component of another bus."""
        return composition.accepted_by(self, self.inbound)

    @property
    def boundary(self) -> Part:
        """The bus itself: a message that it let out does not come back to it."""
        return self

    def renew(self) -> None:
        """Work out anew who receives, observes and answers, and whether turns overlap, here and around."""
        if self._derived_gate is not None:
            self.gate, self._spare_turn = None if may_overlap(self) else self._derived_gate, None
        self.routing.renew()
        self.answerers.clear()
        super().renew()

    @property
    def is_open(self) -> bool:
        """True while the bus is open, by itself or with a bus around it."""
        return self.lifespan.is_open

    async def __aenter__(self) -> Self:
        """Check the wiring, and enter every async context manager inside. Raises `AlreadyOpen`, `InvalidWiring`."""
        wiring.check_on_opening(self)
        async with self.lifespan.opening() as stack:
            await composition.enter_inside(self, stack)
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        """Leave the components that were entered, in reverse."""
        return await self.lifespan.close(*error)
