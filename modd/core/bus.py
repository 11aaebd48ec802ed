"""The bus: begin reading here. A bus gives each message to its components and queues what they give back.

`Bus.__call__` is the whole of it: one loop over a queue. It does the usual case in place; all else (another turn that
holds the bus, failures, nested buses, observers, concurrent fan-out) is done the careful way, by `admission` and
`deliver`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import Any

from anyio.lowlevel import checkpoint

from modd.core.asking import Asking
from modd.core.component import Component
from modd.core.delivery import settle
from modd.core.limits import edges_of
from modd.core.message import Message, Raised
from modd.core.meter import BEAT
from modd.core.routing import CAREFULLY, Routes
from modd.core.turn import DEEPEST, Turn, innermost, open_turns, result_of, set_innermost

_NOTHING: tuple[()] = ()


_NO_ROUTES: Routes = {}


class Bus(Asking):
    """A component made of components, with a queue (`docs/core.md`).

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
        exclusive: bool | Callable[[Any], object] = True,
        concurrent: bool = False,
        limit: int | None = 100_000,
    ) -> None:
        super().__init__(
            components,
            exclusive=exclusive,
            name=name,
            inbound=inbound,
            outbound=outbound,
            concurrent=concurrent,
            limit=limit,
        )

    async def __call__(self, message: Message, /) -> tuple[Message, ...]:
        """Send a message and wait until all that it caused inside is done; returns what left the bus.

        Raises `TurnFailed` with the failures that nobody handled, `NotAMessage` for anything but a message, and
        `Deadlock` inside a turn that could never go on.
        """
        outer = innermost()
        if outer is not None and not outer.open:
            outer = outer.outer and next(open_turns(outer.outer), None)
        door = self._door
        if outer is None:
            meter = self.meter
            room = meter.room
        else:
            meter = outer.meter
            room = meter.room if outer.depth < DEEPEST else 0
        turn: Turn | None = None
        given: Any = None
        slot: Any = None
        queue: deque[Any] | None = None
        routes = self._routes
        if room < 2 or door.holder is not None:
            turn = await self._enter(message, outer)
            meter = turn.meter
            routes = self._routes_in(turn)
        else:
            meter.room = room - 1
        try:
            while True:
                try:
                    receivers = routes[type(message)]
                except KeyError:
                    receivers = CAREFULLY
                for receive in receivers:
                    try:
                        given = receive(message)
                        if given is None:
                            continue
                        if type(given) is CoroutineType:
                            if turn is None:
                                if door.holder is not None or not self.one_at_a_time:
                                    turn = await self._begin(outer, room - meter.room)
                                    meter = turn.meter
                                else:  # the same in place: the call would cost a tenth of a send
                                    start = meter.horizon - room
                                    if outer is None:
                                        turn = Turn(self, meter, start, door)
                                    else:
                                        turn = Turn(self, meter, start, door, outer, outer.depth + 1)
                                    door.holder = turn
                                    set_innermost(turn)
                            given = await given
                            if given is None:
                                continue
                    except Exception as error:
                        given = Raised(error)
                    if meter.room > 1 and type(given) in self._stays:
                        meter.room -= 1
                        if queue:
                            queue.append(given)
                        elif slot is None:
                            slot = given
                        elif queue is None:
                            queue, pops = deque((given,)), BEAT
                        else:
                            queue.append(given)
                        continue
                    if given is _NOTHING:
                        continue
                    if turn is None:
                        turn = await self._begin(outer, room - meter.room)
                        meter = turn.meter
                    if queue is None:
                        queue, pops = deque(), BEAT
                    await settle(turn, message, receive, given, queue)
                    routes = self._routes_in(turn)
                if slot is not None:
                    message = slot
                    slot = None
                elif queue:
                    message = queue.popleft()
                    pops -= 1  # pyright: ignore[reportPossiblyUnboundVariable]  # set with the queue
                    if pops < 1:  # so many were queued before that the turn was made long ago
                        pops = BEAT
                        await checkpoint()
                else:
                    break
        except BaseException as error:
            if turn is not None:
                cut = self._cut_short(turn, error, (message, slot, *(queue or ())))
                if cut is not error:
                    raise cut from None
            raise
        if turn is None:
            return _NOTHING
        if turn.ledger is None and turn.gate is door and not door.line:
            turn.open = False
            door.holder = None
            return _NOTHING
        self._leave(turn)
        return result_of(turn)

    def _routes_in(self, turn: Turn) -> Routes:
        """The routes that the loop may take by itself: none when what leads to what is noted."""
        return self._routes if edges_of(turn) is None else _NO_ROUTES
