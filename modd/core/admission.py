"""Who may go into a bus when: its gates, and the beginning and end of turns (MO-8, MO-3)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from inspect import iscoroutinefunction
from typing import Any
from weakref import WeakValueDictionary

from modd.core.component import Component
from modd.core.gate import gate_for, leave, wait
from modd.core.limits import begin, look
from modd.core.message import Failure, Message
from modd.core.meter import BEAT, Meter
from modd.core.observer import tell
from modd.core.opening import Openable
from modd.core.options import check_message
from modd.core.routing import Routes
from modd.core.take import Entry, is_overflow
from modd.core.turn import Gate, Turn, ended, new_turn, pass_on, set_innermost
from modd.errors import InvalidOption

_SHUT = Gate("")


_SHUT.holder = Turn(None, Meter())


class Admission(Openable):
    """What a bus is but for its loop: a wiring with gates and a count of messages."""

    def __init__(
        self, components: Iterable[Component], *, exclusive: bool | Callable[[Any], object], **options: Any
    ) -> None:
        super().__init__(components, **options)
        awaits = iscoroutinefunction(exclusive) or iscoroutinefunction(getattr(exclusive, "__call__", None))  # noqa: B004
        if awaits or not (isinstance(exclusive, bool) or callable(exclusive)):
            raise InvalidOption("exclusive", exclusive, "give True, False, or a plain function from message to key")
        self._exclusive = exclusive
        self._gate = Gate(self.name)
        self._gates: WeakValueDictionary[Hashable, Gate] = WeakValueDictionary()
        self.meter = Meter()
        """Counts for a turn that holds the whole bus; others have meters of their own that go on from it."""
        self.one_at_a_time = exclusive is True
        quick = isinstance(exclusive, bool) and (self.limit is None or self.limit >= 2 * BEAT)
        self._door = self._gate if quick else _SHUT
        """Where the loop asks whether a sender may go in without more ado."""
        self._overlaps = quick and not self.one_at_a_time
        """Whether turns overlap and need no looking after at the start."""
        self._stays: Routes = {} if self.outbound else self._routes
        """Types that the loop may queue by itself, because they do not leave the bus."""

    async def _begin(self, outer: Turn | None, queued: int) -> Turn:
        """The turn of a sender who found the bus free, made when it first has to wait; it has queued so many messages.

        Only an eager task (Python 3.12) that a plain function started can have come between; the turn waits for it.
        Unlike in `begin` no room is given: the loop goes on counting with the room that it found.
        """
        turn = new_turn(self, outer, self._gate if self.one_at_a_time else None)
        await _hold(turn)
        turn.start = turn.meter.count - queued
        set_innermost(turn)
        return turn

    async def _enter(self, message: Message, outer: Turn | None) -> Turn:
        """The turn of a sender who may have to wait, or whose message has to be looked at before."""
        check_message(message)
        turn = new_turn(self, outer, self._gate_for(message, outer))
        await _hold(turn)
        begin(turn)
        turn.meter.room -= 1
        try:
            await look(turn)
        except BaseException as error:
            cut = self._cut_short(turn, error, (message,))
            if cut is not error:
                raise cut from None
            raise
        return turn

    def _gate_for(self, message: Message, outer: Turn | None) -> Gate | None:
        if isinstance(self._exclusive, bool):
            return gate_for(self._gate, outer) if self._exclusive else None
        key: Any = self._exclusive(message)
        if key is None:
            return None
        try:
            gate = self._gates.get(key)
        except TypeError as error:
            cure = f"its key for {type(message).__qualname__} cannot be hashed; give a text, a number or a tuple"
            raise InvalidOption("exclusive", self._exclusive, f"{self.name}: {cure}") from error
        if gate is None:
            gate = self._gates[key] = Gate(self.name)
        return gate_for(gate, outer)

    def _leave(self, turn: Turn) -> None:
        """End a turn: let the next one in, and remember how many messages may come before the next checkpoint."""
        turn.open = False
        if turn.ledger is not None:
            pass_on(turn, turn.ledger)
        if turn.outer is None and not self.one_at_a_time:
            self.meter.room = turn.meter.beat - turn.meter.count
        if turn.gate is not None:
            leave(turn.gate, turn.ledger.within if turn.ledger is not None else None)

    def _cut_short(self, turn: Turn, error: BaseException, queue: Iterable[Any]) -> BaseException:
        """End a turn that cannot go on, and tell observers what is left undone; returns what to raise."""
        left = [item.message if isinstance(item, Entry) else item for item in queue if item is not None]
        failures = [message.error for message in left if isinstance(message, Failure)]
        messages = tuple(
            message for message in left if isinstance(message, Message) and not isinstance(message, Failure)
        )
        lost: tuple[Exception, ...] = ()
        if isinstance(error, Exception) and is_overflow(error):
            error = ended(turn, turn.book, error, failures)
        else:
            lost = (*(turn.ledger.errors if turn.ledger else ()), *failures)
        try:
            tell(self.watchers, lambda watcher: watcher.abandoned(messages, lost, self))
        finally:
            self._leave(turn)
            turn.ledger = None
        return error


async def _hold(turn: Turn) -> None:
    """Hold the turn's gate, now or when it is its turn."""
    gate = turn.gate
    if gate is not None:
        if gate.holder is None:
            gate.holder = turn
        else:
            await wait(turn, gate)
