"""A turn: everything that one message from outside causes in a bus, until the queue of the bus is empty.

A turn is made when a message is sent, counts its messages (`limits`), may hold a gate of its bus (`gate`), and has an
outcome when there is something to tell its sender. Turns are inside each other as the sends are: a component that
awaits a bus starts a turn inside its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn

import msgspec

from modd.concurrency.blocks import block
from modd.concurrency.loops import current_loop
from modd.concurrency.scopes import open_scope, open_scopes
from modd.core.causation import Entry, Released, current_origin
from modd.core.component import inside
from modd.core.gate import Gate
from modd.core.limits import MAX_DEPTH, Edge, check_depth, check_limits, is_overflow
from modd.core.line import enter, leave
from modd.core.masking import mask_secrets
from modd.core.message import Failure, Message
from modd.core.observer import current_delivery, tell
from modd.errors import TurnFailed, TurnOverflow
from modd.texts import amount


class Outcome:
    """The outcome of a turn, made when there is something to tell: messages that left, and errors for the sender."""

    def __init__(self) -> None:
        self.out: list[Message] = []
        """The messages that left the bus."""
        self._ids: set[int] = set()
        self._looked_at = 0
        self.origins: dict[int, Any] = {}
        """The causes of messages by position in `out`, where these were noted."""
        self.errors: list[Exception] = []
        """The errors that are raised to the sender in the end."""
        self.failed: list[Message] = []
        """The messages at hand when these errors were raised; their secrets are no part of a text."""
        self.overflow: Exception | None = None
        """The error of a limit that cut short a turn inside this turn, and this turn with it."""

    def let_out(self, messages: Sequence[Message], origin: Any) -> None:
        """Note messages that leave the bus, and their origin."""
        if origin is not None:
            self.origins |= dict.fromkeys(range(len(self.out), len(self.out) + len(messages)), origin)
        self.out += messages

    def has_let_out(self, message: Message) -> bool:
        """Return True if this very message left the bus."""
        self._ids.update(map(id, self.out[self._looked_at :]))  # only asked if the bus is observed
        self._looked_at = len(self.out)
        return id(message) in self._ids

    @property
    def outbound(self) -> tuple[Message, ...]:
        """The messages that left the bus, for the sender and for the surrounding bus."""
        if not self.origins:
            return tuple(self.out)
        released = Released(self.out)
        released.origins = self.origins
        return released


class Turn(msgspec.Struct, eq=False):
    """A turn in progress: its bus, the turn around it, the gate that it holds, its count, and its outcome."""

    bus: Any
    gate: Gate | None = None
    """The gate that the turn holds or waits for; None for a turn that overlaps with all turns."""
    check_from: int = sys.maxsize
    """The count of the outermost turn at which limits begin to be checked for every message."""
    outer: Turn | None = None
    """The turn around it, which was open when this turn began."""
    root: Turn | None = None
    """The outermost turn, which counts for all turns inside it; None for the outermost turn itself."""
    depth: int = 1
    start: int = 0
    """The count of the outermost turn when this turn began."""
    count: int = 1
    """The messages so far, in this turn and all turns inside it; only the outermost turn counts."""
    open: bool = True
    outcome: Outcome | None = None
    edges: dict[Edge, None] | None = None
    """Causes and effects by type, noted by the outermost turn in the second half of a limit."""
    within: Gate | None = None
    """The gate for turns inside this turn that want the same gate."""
    waiting: dict[Turn, None] | None = None
    """The turns inside this turn that wait at a gate now."""
    loop: Any = None
    """The loop that it runs in, if it has waited for its gate; see `modd.core.line`."""

    def ensure_outcome(self) -> Outcome:
        """Return the outcome; it is made when it is needed."""
        if self.outcome is None:
            self.outcome = Outcome()
        return self.outcome


current_turn: ContextVar[Turn | None] = ContextVar("modd_turn", default=None)
"""The turn that was entered last in this task or a task around it; see `modd.concurrency.scopes`."""
innermost, publish = current_turn.get, current_turn.set


@block
def detached() -> Iterator[None]:
    """Start work that is to outlive the turn: the work counts as outside, and its sends wait like any other.

    Inside a component: ``with detached(): task_group.start_soon(work)``.
    """
    turn, delivery, origin = current_turn.set(None), current_delivery.set(None), current_origin.set(None)
    try:
        yield
    finally:
        current_origin.reset(origin)
        current_delivery.reset(delivery)
        current_turn.reset(turn)


def turn_inside(bus: Any, gate: Gate | None, outer: Turn, message: Any) -> Turn:
    """Begin a turn inside another one. Raises `TurnFailed` when a limit forbids it."""
    root = outer.root or outer
    start, check_from = root.count, root.count + bus.check_from
    root.count = start + 1
    turn = Turn(bus, gate, min(check_from, outer.check_from), outer, root, outer.depth + 1, start)
    if start >= turn.check_from - 1 or turn.depth > MAX_DEPTH:
        try:
            check_depth(turn)
            check_limits(turn)
        except TurnOverflow as error:
            cut_short(turn, error, (message,))
    return turn


def end(turn: Turn) -> tuple[Message, ...]:
    """End a turn, let the next one in, and return the messages that left. Raises `TurnFailed` for unhandled errors."""
    _close(turn, returns=True)
    outcome, turn.outcome = turn.outcome, None
    if outcome is None:
        return ()
    if outcome.overflow is not None:
        raise _overflowed(turn, outcome, outcome.overflow)
    if outcome.errors:
        raise _failed(outcome, turn.bus)
    return outcome.outbound


def cut_short(turn: Turn, error: BaseException, queue: Iterable[Any]) -> NoReturn:
    """End a turn that cannot go on, tell observers which messages are left, and raise: `TurnFailed` on overflow."""
    left = [item.message if isinstance(item, Entry) else item for item in queue]
    failures = [message for message in left if isinstance(message, Failure)]
    messages = tuple(message for message in left if isinstance(message, Message) and not isinstance(message, Failure))
    overflowed = isinstance(error, Exception) and is_overflow(error)
    lost = () if overflowed else (*(turn.outcome.errors if turn.outcome else ()), *(each.error for each in failures))
    failed = _overflowed(turn, turn.ensure_outcome(), error, failures) if overflowed else None
    try:
        tell(turn.bus.watchers, lambda watcher: watcher.abandoned(messages, lost, turn.bus), messages)
    finally:
        _close(turn, returns=overflowed)
        turn.outcome = None
    if failed is not None:
        raise failed from None
    raise error


def _close(turn: Turn, *, returns: bool) -> None:
    """End a turn. Messages that left the bus leave with the turn of the same bus around it, unless a caller gets them.

    returns: True if the caller of the turn gets the messages that left.
    """
    turn.open = False
    outcome = turn.outcome
    around = [each for each in open_scopes(turn.outer) if each.bus is turn.bus] if turn.outer is not None else []
    if around and outcome is not None and not (returns and _returns_outside(turn, around[-1])):
        for at, message in enumerate(outcome.out):
            around[0].ensure_outcome().let_out((message,), outcome.origins.get(at))
    if turn.gate is not None:
        leave(turn, turn.gate, turn.within)
    turn.outer = open_scope(turn.outer)  # as `close_scope` does


def _returns_outside(turn: Turn, outermost: Turn) -> bool:
    """Return True if the caller of a turn is in a bus around this bus, so that what it gets is outside.

    A bus is around if it has this bus inside, or if the outermost turn of this bus was sent from it: a function that
    calls a bus may be its place in another bus. Any other caller, such as a component of this bus, gets the messages
    for itself.
    """
    bus = turn.bus
    caller = next(each.bus for each in open_scopes(turn.outer) if not isinstance(each.bus, Gate))
    if any(part is caller for part in inside(bus)):
        return False
    senders = [each.bus for each in open_scopes(outermost.outer)]
    return any(each is caller for each in senders) or any(part is bus for part in inside(caller))


def _overflowed(turn: Turn, outcome: Outcome, error: Any, failures: Sequence[Failure] = ()) -> TurnFailed:
    """Return the error of a turn that a limit cut short; the turns around it end, too, even if the error is caught."""
    for around in open_scopes(turn.outer):
        around.ensure_outcome().overflow = around.ensure_outcome().overflow or error
    outcome.errors += [*(each.error for each in failures), error]
    outcome.failed += [each.message for each in failures]
    return _failed(outcome, turn.bus)


def _failed(outcome: Outcome, bus: Any) -> TurnFailed:
    failures = amount(len(outcome.errors), "failure")
    failed = TurnFailed(f"{failures} in a turn of {bus.name}", outcome.errors, outcome.outbound, bus)
    failed.mask = partial(mask_secrets, message=tuple(outcome.failed))
    return failed


class hold:  # a class, because a generator would take three times as long
    """Hold a gate for as long as the ``async with`` block lasts; other tasks wait in the order in which they came.

    Make the gate with the name for the error: ``Gate("the cache of GetUser")``. Entering raises `Deadlock` when the
    wait would never end, because the holder waits for the caller.
    """

    __slots__ = ("_gate", "_turn")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __aenter__(self) -> None:
        gate = self._gate
        self._turn = turn = _turn_at(gate)
        turn.loop = current_loop()
        gate.holder = holder = gate.holder or turn  # as in `Bus.__call__`
        if holder is not turn:
            await enter(turn, gate)
        publish(turn)

    async def __aexit__(self, *_: object) -> None:
        let_go(self._turn)


def hold_if_free(gate: Gate) -> Turn | None:
    """Hold a gate as `hold` does, but only if nobody holds it or waits for it: in a quarter of the time.

    Returns the turn that holds the gate, for `let_go`; keep it in a local variable ``turn``, where `modd.core.line`
    looks for its loop. None if the gate is not free.
    """
    turn = _turn_at(gate)
    gate.holder = holder = gate.holder or turn  # as in `Bus.__call__`
    if holder is not turn:
        return None
    publish(turn)
    return turn


def let_go(turn: Turn, *, keep: bool = False) -> None:
    """Let the next turn hold the gate of a turn that belongs to no bus, which ends.

    keep: True to keep the gate of a key that nobody waits for, for the next turn; False, the default, to remove it.
    """
    gate = turn.gate
    assert gate is not None
    turn.open = False
    if turn.outer is not None:
        turn.outer = open_scope(turn.outer)
    if keep and gate.holder is turn and not (gate.line or gate.behind):  # as in `Bus.__call__`
        gate.holder = None
    else:
        leave(turn, gate)


def _turn_at(gate: Gate) -> Turn:
    """Return a turn inside of the innermost one that belongs to no bus, for the holder of a gate."""
    turn, outer = Turn(gate, gate), innermost()
    if outer is not None and (outer := open_scope(outer)) is not None:
        turn.outer, turn.root, turn.depth = outer, outer.root or outer, outer.depth + 1
        turn.check_from, turn.start = outer.check_from, turn.root.count
    return turn
