"""Given, when, then for an aggregate: events of the past, a command, and the events or the rejection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import ndiff
from typing import Any, Generic, TypeVar

import msgspec

from modd.aggregate import Aggregate, CommandRejected
from modd.core import Message, message_of
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Stamp, Tenant
from modd.errors import InvalidOption
from modd.stores import MemoryStore
from modd.texts import show

S = TypeVar("S")


E = TypeVar("E", bound=BaseException)


ALIKE = "They look alike and are not equal: a sensitive field differs, or their types differ."
"""The explanation of a difference that is not to be seen."""


class GivenAggregate(Generic[S]):
    """An aggregate and the events of its past.

    aggregate: the aggregate; it stays as it is. past: its events. stamps: those of the command that recorded them.
    """

    def __init__(self, aggregate: Aggregate[S], past: Sequence[Message], stamps: Sequence[Stamp]) -> None:
        self._aggregate, self._past, self._stamps = aggregate, past, stamps

    def when(self, command: Message, *stamps: Stamp) -> WhenAggregate[S]:
        """Set the command. stamps: for its envelope, such as the actor. Raises `InvalidOption` for no message."""
        if not isinstance(command, Message):
            raise InvalidOption("command", command, "give the command: when(Pay(...))")
        return WhenAggregate(self._aggregate, self._past, self._stamps, Envelope(command, *stamps))


class AggregateRun(msgspec.Struct, Generic[S], frozen=True):
    """The outcome of a command.

    events: those that were recorded. state: the state afterwards. error: the error that was raised; None without one.
    """

    events: tuple[Message, ...]
    state: S
    error: Exception | None = None


class WhenAggregate(Generic[S]):
    """A command whose outcome is not yet compared: await one of the methods to run it.

    It runs once, in a store of its own in memory, without middleware and inline parts; further expectations look at the
    same run. The methods raise `AssertionError` with the difference.
    """

    def __init__(
        self, aggregate: Aggregate[S], past: Sequence[Message], stamps: Sequence[Stamp], command: Envelope[Any]
    ) -> None:
        self._aggregate, self._past, self._stamps, self._command = aggregate, past, stamps, command
        self._finished: AggregateRun[S] | None = None

    async def then(self, *events: Message) -> None:
        """Expect that exactly these events are recorded, in this order."""
        run = await self._run()
        if run.error is not None:
            raise AssertionError(f"{listed(events)} expected, but {_told(run.error)}") from run.error
        if list(run.events) != list(events):
            head = "the events differ (- expected, + recorded):"
            raise AssertionError("\n".join([head, *differing_lines(events, run.events)]))

    async def then_nothing(self) -> None:
        """Expect that the command is accepted, and no event is recorded."""
        await self.then()

    async def then_rejected(self, reason: str | None = None) -> None:
        """Expect that the command is rejected. reason: the exact reason; by default any."""
        run = await self._run()
        if not isinstance(run.error, CommandRejected):
            told = _told(run.error) if run.error is not None else f"{listed(run.events)} recorded"
            raise AssertionError(f"a rejection was expected, but {told}") from run.error
        if reason not in (None, run.error.reason):
            raise AssertionError(f"the rejection {reason!r} was expected, but {_told(run.error)}") from run.error

    async def then_raises(self, kind: type[E]) -> E:
        """Expect that an error of this type is raised, and return it."""
        run = await self._run()
        if isinstance(run.error, kind):
            return run.error
        told = f"{listed(run.events)} recorded" if run.error is None else _told(run.error)
        raise AssertionError(f"{kind.__name__} was expected, but {told}") from run.error

    async def then_state(self, state: S) -> None:
        """Expect that this is the state of the instance afterwards."""
        run = await self._run()
        if run.error is not None:
            raise AssertionError(f"a state was expected, but {_told(run.error)}") from run.error
        if run.state != state:
            alike = f"\n{ALIKE}" if repr(state) == repr(run.state) else ""
            raise AssertionError(f"the state differs (- expected, + actual):\n- {state!r}\n+ {run.state!r}{alike}")

    async def _run(self) -> AggregateRun[S]:
        if self._finished is None:
            async with MemoryStore() as store:
                self._finished = await self._run_in(self._aggregate.stored(store, middleware=(), inline=()))
        return self._finished

    async def _run_in(self, aggregate: Aggregate[S]) -> AggregateRun[S]:
        command = self._command
        tenant = command.all(Tenant)  # the past is that of the same instance
        await aggregate.record(message_of(command), *self._past, stamps=(*tenant, *self._stamps))
        try:
            dispatched = await aggregate.dispatch(command)
        except Exception as error:
            return AggregateRun((), (await aggregate.read(command)).state, error)
        return AggregateRun(dispatched.events, (await aggregate.read(command)).state)


def differing_lines(expected: Iterable[Message], actual: Iterable[Message]) -> list[str]:
    """Return the lines of two lists of messages, marked with - where they are expected alone, with + where actual."""
    lines = [*ndiff([*map(repr, expected)], [*map(repr, actual)])]
    if all(line.startswith("  ") for line in lines):
        lines.append(ALIKE)
    return [line.rstrip("\n") for line in lines]


def listed(events: Sequence[Message]) -> str:
    """Return the subject of a sentence about events, with its verb."""
    if not events:
        return "no event was"
    return f"{', '.join(map(repr, events))} {'was' if len(events) == 1 else 'were'}"


def _told(error: Exception) -> str:
    if isinstance(error, CommandRejected):
        return f"the command was rejected: {error.reason}"
    return f"{show(error)} was raised"
