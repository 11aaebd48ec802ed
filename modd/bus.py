"""The bus: begin reading here. A bus gives each message to its components and queues what they give back.

`Bus.__call__` is the whole of it: one loop over a queue. It does the usual case in place; all else (another turn that
holds the bus, failures, nested buses, observers, concurrent fan-out) is done the careful way, by `deliver` and `turn`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from inspect import iscoroutinefunction
from types import CoroutineType
from typing import Any
from weakref import WeakValueDictionary

from anyio.lowlevel import checkpoint

from modd.component import Component
from modd.deliver import Entry, deliver, is_overflow, settle
from modd.errors import InvalidOption, TurnFailed
from modd.failure import Failure, Raised
from modd.gate import gate_for, leave, wait
from modd.message import Message
from modd.observer import tell
from modd.opening import Openable
from modd.turn import (
    BEAT,
    DEEPEST,
    Gate,
    Meter,
    Turn,
    begin,
    edges_of,
    ended,
    innermost,
    look,
    new_turn,
    pass_on,
    result_of,
    set_innermost,
)
from modd.wiring import check_message

_NOTHING: tuple[()] = ()
_Routes = dict[type, tuple[Component, ...]]
_NO_ROUTES: _Routes = {}
_SHUT = Gate("")
_SHUT.holder = Turn(None, Meter())


class Bus(Openable):
    """A component made of components, with a queue (DESIGN 2).

    ``await bus(message)`` gives the message to every component that accepts it, then what these give back, until
    nothing is left, and returns the messages that left the bus.

    components: callables, each taking one message; what a component accepts is the annotation of its first parameter.
    name: what errors, journeys and graphs call the bus.
    inbound, outbound: message types that it takes and lets out as a component of another bus; by default it takes what
        its components accept, and lets nothing out.
    exclusive: True, turns do not overlap; False, they may; a function of the message, those with the same key do not,
        and a key of None overlaps with everything.
    concurrent: the receivers of one message run side by side.
    limit: the most messages in a turn; None for no limit.

    Raises `NotAComponent`, `UnresolvedAnnotation`, `DuplicateName`, `BusInsideItself`, `InvalidOption`.
    """

    def __init__(
        self,
        components: Iterable[Component] = (),
        *,
        name: str = "bus",
        inbound: Iterable[type[Message]] | None = None,
        outbound: Iterable[type[Message]] = (),
        exclusive: bool | Callable[[Any], Hashable] = True,
        concurrent: bool = False,
        limit: int | None = 100_000,
    ) -> None:
        super().__init__(components, name=name, inbound=inbound, outbound=outbound, concurrent=concurrent, limit=limit)
        if not (isinstance(exclusive, bool) or callable(exclusive)) or iscoroutinefunction(exclusive):
            raise InvalidOption("exclusive", exclusive, "give True, False, or a plain function from message to key")
        self._exclusive = exclusive
        self._gate = Gate(name)
        self._gates: WeakValueDictionary[Hashable, Gate] = WeakValueDictionary()
        self.meter = Meter()
        quick = isinstance(exclusive, bool) and (limit is None or limit >= 2 * BEAT)
        self._door = self._gate if quick else _SHUT
        """Where the loop asks whether a sender may go on without more ado."""
        self.one_at_a_time = exclusive is True
        self._stays = _NO_ROUTES if self.outbound else self._routes
        """Types that the loop may queue by itself, because they do not leave the bus."""

    async def __call__(self, message: Message, /) -> tuple[Message, ...]:
        """Send a message and wait until all that it caused inside is done; returns what left the bus.

        Raises `TurnFailed` with the failures that nobody handled, `NotAMessage` for anything but a message, and
        `Deadlock` inside a turn that could never go on.
        """
        outer = innermost()
        while outer is not None and not outer.open:
            outer = outer.outer
        door = self._door
        if outer is None:
            meter = self.meter
            room = meter.room - 1
        else:
            meter = outer.meter
            room = meter.room - 1 if outer.depth < DEEPEST else 0
        turn: Turn | None = None
        given: Any
        slot: Any = None
        queue: deque[Any] | None = None
        routes = self._routes
        if room < 1 or door.holder is not None:
            turn = await self._enter(message, outer)
            meter = turn.meter
            room, routes = self._pace(turn)
        try:
            while True:
                try:
                    receivers = routes[type(message)]
                except KeyError:
                    receivers = None
                if receivers is None:
                    if turn is None:
                        check_message(message)
                        turn = self._begin(outer)
                        meter = turn.meter
                    if queue is None:
                        queue, pops = deque(), BEAT
                    receivers, meter.room = (), room
                    await deliver(turn, message, queue)
                    room, routes = self._pace(turn)
                for receive in receivers:
                    try:
                        given = receive(message)
                    except Exception as error:
                        given = Raised(error)
                    if given is None:
                        continue
                    if type(given) is CoroutineType:
                        if turn is None:
                            if outer is None and self.one_at_a_time:
                                turn = door.holder = Turn(self, meter, meter.horizon - meter.room, door)
                                set_innermost(turn)
                            else:
                                turn = self._begin(outer)
                                meter = turn.meter
                        meter.room = room
                        try:
                            given = await given
                        except Exception as error:
                            given = Raised(error)
                        room = meter.room
                        if given is None or given is _NOTHING:
                            continue
                    if room > 1 and type(given) in self._stays:
                        room -= 1
                        if queue:
                            queue.append(given)
                        elif slot is None:
                            slot = given
                        elif queue is None:
                            queue, pops = deque((given,)), BEAT
                        else:
                            queue.append(given)
                        continue
                    if turn is None:
                        turn = self._begin(outer)
                        meter = turn.meter
                    if queue is None:
                        queue, pops = deque(), BEAT
                    meter.room = room
                    await settle(turn, message, receive, given, queue)
                    room, routes = self._pace(turn)
                if slot is not None:
                    message = slot
                    slot = None
                elif queue:
                    message = queue.popleft()
                    pops -= 1  # pyright: ignore[reportPossiblyUnboundVariable]  # set with the queue
                    if pops < 1:
                        pops = BEAT
                        if turn is None:
                            turn = self._begin(outer)
                            meter = turn.meter
                        meter.room = room
                        await checkpoint()
                        room = meter.room
                else:
                    meter.room = room
                    break
        except BaseException as error:
            if turn is not None and (cut := self._cut_short(turn, error, (message, slot, *(queue or ())))):
                raise cut from None
            raise
        finally:
            if turn is not None:
                turn.open = False
                if turn.ledger is not None:
                    pass_on(turn, turn.ledger)
                if door.holder is turn and not door.line:
                    door.holder = None
                else:
                    self._leave(turn)
        if turn is None or turn.ledger is None:
            return ()
        return result_of(turn, turn.ledger)

    def _begin(self, outer: Turn | None) -> Turn:
        """The turn of a sender who found the bus free, made when it first has to wait; nobody can have come between."""
        turn = new_turn(self, outer, self._gate if self.one_at_a_time else None)
        turn.start = turn.meter.count
        if turn.gate is not None:
            turn.gate.holder = turn
        set_innermost(turn)
        return turn

    async def _enter(self, message: Message, outer: Turn | None) -> Turn:
        """The turn of a sender that is inside another turn, or may have to wait."""
        check_message(message)
        gate = self._gate_for(message, outer)
        turn = new_turn(self, outer, gate)
        if gate is not None:
            if gate.holder is None:
                gate.holder = turn
            else:
                await wait(turn, gate)
        begin(turn)
        try:
            turn.meter.room -= 1
            if turn.meter.room < 1:
                await look(turn)
        except BaseException as error:
            self._leave(turn)
            raise self._cut_short(turn, error, (message,)) or error from None
        return turn

    def _gate_for(self, message: Message, outer: Turn | None) -> Gate | None:
        if isinstance(self._exclusive, bool):
            return gate_for(self._gate, outer) if self._exclusive else None
        key = self._exclusive(message)
        if key is None:
            return None
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(self.name)
        return gate_for(gate, outer)

    def _pace(self, turn: Turn) -> tuple[int, _Routes]:
        """How many messages the loop may queue by itself, and its routes: none when what leads to what is noted."""
        return turn.meter.room, self._routes if edges_of(turn) is None else _NO_ROUTES

    def _cut_short(self, turn: Turn, error: BaseException, queue: Iterable[Any]) -> TurnFailed | None:
        """Tell observers what is left undone; returns what to raise in place of an overflow."""
        left = [item.message if isinstance(item, Entry) else item for item in queue if item is not None]
        failures = [message.error for message in left if isinstance(message, Failure)]
        messages = tuple(message for message in left if not isinstance(message, Failure))
        lost: tuple[Exception, ...] = ()
        raised: TurnFailed | None = None
        if isinstance(error, Exception) and is_overflow(error):
            raised = ended(turn, turn.book, error, failures)
        else:
            lost = (*(turn.ledger.errors if turn.ledger else ()), *failures)
        tell(self.watchers, lambda watcher: watcher.abandoned(messages, lost, self))
        return raised

    def _leave(self, turn: Turn) -> None:
        """Let the next turn in, and remember how many messages may come before the next checkpoint."""
        turn.open = False
        if turn.root is None and not self.one_at_a_time:
            self.meter.room = turn.meter.beat - turn.meter.count
        if turn.gate is not None:
            leave(turn.gate)
