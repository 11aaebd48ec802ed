"""A state machine for hypothesis that sends random commands to an aggregate, and looks for faults of its functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, ClassVar, Generic, TypeVar

import anyio
import msgspec
from hypothesis.stateful import RuleBasedStateMachine, rule
from hypothesis.strategies import SearchStrategy

from modd.aggregate import Aggregate, CommandRejected, Explanation
from modd.core import Message
from modd.cqrs.envelope import Envelope
from modd.stores import MemoryStore
from modd.texts import show

S = TypeVar("S")


def aggregate_machine(
    aggregate: Aggregate[S],
    commands: SearchStrategy[Message],
    invariant: Callable[[S], object] | None = None,
) -> type[RuleBasedStateMachine]:
    """Return a state machine that finds faults in the functions of an aggregate, as a test of pytest.

    ``TestInvoice = aggregate_machine(invoices, st.builds(Pay, st.sampled_from("ab"))).TestCase``. It sends commands to
    a copy of the aggregate in memory, without middleware, and fails, with the shortest sequence of commands, for:

    - an event function that fails for an event that was published,
    - a state that differs once its events were encoded and decoded, or was made from a snapshot,
    - a rejection that records events,
    - an explanation that disagrees with the dispatch,
    - a command whose id takes effect twice,
    - a function that is not pure: it decides, or folds, differently for the same input,
    - a state for which the invariant returns false, or raises.

    Needs ``modd[hypothesis]``.

    aggregate: the aggregate. commands: a strategy for its commands; few different identities find more.
    invariant: a function of a state that returns True, or raises an error; None, the default, for none.
    """
    checked = invariant

    class AggregateMachine(RuleBasedStateMachine):
        tested: ClassVar[Aggregate[Any]] = aggregate

        def __init__(self) -> None:
            super().__init__()
            self._trial: Trial[Any] = Trial(self.tested, checked)

        @rule(command=commands)
        def send(self, command: Message) -> None:
            anyio.run(self._trial.send, command)

    return AggregateMachine


class Trial(Generic[S]):
    """An aggregate in a store of its own, whose decisions are looked at from several sides.

    aggregate: the aggregate. invariant: a function of a state, or None.
    """

    def __init__(self, aggregate: Aggregate[S], invariant: Callable[[S], object] | None) -> None:
        self._store, self._invariant = MemoryStore(clock=aggregate.clock), invariant
        self._aggregate = aggregate.stored(self._store, middleware=(), snapshots=0)
        self._folded = aggregate.stored(self._store, middleware=(), snapshots=0, states=0)
        self._from_snapshots = aggregate.stored(self._store, middleware=(), snapshots=1, states=0)
        self._ids = count()

    async def send(self, command: Message) -> None:
        """Send a command. Raises `AssertionError` for a fault."""
        explanation = await self._explain(command)
        envelope = Envelope(command, id=f"command-{next(self._ids)}")
        before = await self._store.events.last()
        rejection, events = await self._dispatch(envelope)
        recorded = await self._store.events.last() - before
        if rejection is not None:
            _expect(not recorded, f"{command!r} was rejected ({rejection.reason}), and recorded {recorded} events")
            _expect(rejection.reason in explanation.reasons, _disagreement(command, explanation, rejection.reason))
        else:
            _expect(explanation.allowed, _disagreement(command, explanation, f"accepted, with {events!r}"))
            _expect(list(explanation.events) == list(events), _impure(command, explanation.events, events))
            await self._dispatch(Envelope(command, id=envelope.id))
            again = await self._store.events.last() - before - recorded
            _expect(not again, f"{command!r} took effect twice under one id: {again} events were recorded again")
        await self._check_state(command)

    async def _explain(self, command: Message) -> Explanation:
        explanation, second = [await self._aggregate.explain(command) for _ in range(2)]
        _expect(explanation == second, _impure(command, explanation, second))
        return explanation

    async def _dispatch(self, envelope: Envelope[Any]) -> tuple[CommandRejected | None, Sequence[Message]]:
        try:
            dispatched = await self._aggregate.dispatch(envelope)
        except CommandRejected as rejection:
            return rejection, ()
        return None, dispatched.events

    async def _check_state(self, command: Message) -> None:
        """Compare the state in memory with those that are made from the store."""
        try:
            kept = (await self._aggregate.current(command)).state
            folded, second = [(await self._folded.read(command)).state for _ in range(2)]
            from_snapshot = (await self._from_snapshots.read(command)).state
        except Exception as error:
            raise AssertionError(f"after {command!r} the recorded events cannot be read: {show(error)}") from error
        _expect(folded == second, _impure(command, folded, second))
        _expect(kept == folded, f"after {command!r} the state differs once encoded: {kept!r} is read as {folded!r}")
        decoded = msgspec.json.decode(msgspec.json.encode(kept), type=type(kept))  # as snapshots are
        _expect(decoded == kept, f"after {command!r} the state differs once encoded: {kept!r} is read as {decoded!r}")
        _expect(
            from_snapshot == folded, f"after {command!r} the state of a snapshot differs: {from_snapshot!r} {folded!r}"
        )
        if self._invariant is not None:
            _expect(self._invariant(kept) is not False, f"after {command!r} the invariant is broken by {kept!r}")


def _expect(is_right: object, fault: str) -> None:
    if not is_right:
        raise AssertionError(fault)


def _disagreement(command: Message, explanation: Explanation, outcome: str) -> str:
    told = "it would be accepted" if explanation.allowed else f"it would be rejected: {', '.join(explanation.reasons)}"
    return f"the explanation of {command!r} disagrees: {told}, but the dispatch: {outcome}"


def _impure(command: Message, first: object, second: object) -> str:
    return f"a function is not pure: for {command!r} it gave {first!r}, and then {second!r}"
