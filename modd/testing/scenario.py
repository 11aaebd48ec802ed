"""Given, when, then: what a bus makes of messages, as a test that reads like a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import ndiff
from typing import TypeVar

import msgspec

from modd.core import Bus, Message
from modd.errors import InvalidOption
from modd.journey.journey import Journey

E = TypeVar("E", bound=BaseException)


def given(bus: Bus, *messages: Message) -> Given:
    """Begin a scenario: ``await given(bus, Added("a")).when(Paid()).then(Shipped("a"))``.

    bus: the bus to test. messages: what is sent first, one after another, to bring the bus into its state.
    Raises `InvalidOption` for anything but a bus.
    """
    if not isinstance(bus, Bus):
        raise InvalidOption("bus", bus, "give the Bus to test: given(bus, ...)")
    return Given(bus, messages)


class Given:
    """A bus and what happened before."""

    def __init__(self, bus: Bus, messages: Sequence[Message]) -> None:
        self._bus, self._messages = bus, messages

    def when(self, *messages: Message) -> When:
        """What is sent now, one after another, up to the first that raises. Raises `InvalidOption` for none."""
        if not messages:
            raise InvalidOption("messages", messages, "give the messages to send: when(Paid())")
        return When(self._bus, self._messages, messages)


class When:
    """A scenario that lacks its expectation; each of the methods runs it, and is to be awaited.

    They raise `AssertionError` with the difference and the journey of the messages that were sent. What is raised
    while the bus is brought into its state goes through as it is.
    """

    def __init__(self, bus: Bus, before: Sequence[Message], messages: Sequence[Message]) -> None:
        self._bus, self._before, self._messages = bus, before, messages

    async def then(self, *messages: Message) -> Journey:
        """These messages, and no others, were given back by components of the bus, in this order.

        What components of buses inside give back counts only if it is let out. Failures do not count here.
        Returns the journey, for more to be looked at.
        """
        seen = _undisturbed(await self._run())
        _compare("given back", messages, seen.journey.returned_messages(), seen)
        return seen.journey

    async def then_nothing(self) -> Journey:
        """No component of the bus gave a message back. Returns the journey."""
        return await self.then()

    async def then_left(self, *messages: Message) -> Journey:
        """These messages, and no others, left the bus, in this order. Returns the journey."""
        seen = _undisturbed(await self._run())
        _compare("let out", messages, seen.left, seen)
        return seen.journey

    async def then_raises(self, kind: type[E]) -> E:
        """An error of this type was raised to the sender, alone or within `TurnFailed`; returns the first such."""
        seen = await self._run()
        for error in _within(seen.error):
            if isinstance(error, kind):
                return error
        what = "nothing was raised" if seen.error is None else f"{seen.error!r} was raised"
        raise AssertionError(f"{kind.__name__} was expected, but {what}{_story(seen)}") from seen.error

    async def _run(self) -> Seen:
        for message in self._before:
            await self._bus(message)
        seen = Seen(Journey(self._bus))
        with seen.journey:
            try:
                for message in self._messages:
                    seen.left += await self._bus(message)
            except Exception as error:
                seen.error = error
        return seen


class Seen(msgspec.Struct):
    """What was seen of a scenario."""

    journey: Journey
    left: tuple[Message, ...] = ()
    error: Exception | None = None


def _undisturbed(seen: Seen) -> Seen:
    if seen.error is not None:
        raise AssertionError(f"{seen.error!r} was raised; was then_raises meant?{_story(seen)}") from seen.error
    return seen


def _compare(what: str, expected: Sequence[Message], got: Sequence[Message], seen: Seen) -> None:
    if list(expected) == list(got):
        return
    lines = [*ndiff([*map(repr, expected)], [*map(repr, got)])]
    if all(line.startswith("  ") for line in lines):
        lines.append("They look alike and are not equal: a sensitive field differs, or they are of two types.")
    head = f"other messages were {what} than expected (- expected, + {what}):"
    raise AssertionError("\n".join([head, *(line.rstrip("\n") for line in lines)]) + _story(seen))


def _within(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those in it, if it is a group."""
    if error is not None:
        yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _within(inner)


def _story(seen: Seen) -> str:
    return f"\n\nThe journey:\n{seen.journey}"
