"""Given, when, then: a test of a bus that reads like a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import ndiff
from typing import TypeVar

import msgspec

from modd.core import Bus, Message
from modd.errors import InvalidOption
from modd.journey.journey import Journey
from modd.texts import errors_in, show

E = TypeVar("E", bound=BaseException)


def given(bus: Bus, *messages: Message) -> Given:
    """Begin a scenario: ``await given(bus, Added("a")).when(Paid()).then(Shipped("a"))``.

    bus: the bus to test.
    messages: messages that are sent first, one after another, to set up the state of the bus.

    Raises:
        InvalidOption: ``bus`` is no bus.
    """
    if not isinstance(bus, Bus):
        raise InvalidOption("bus", bus, "give the Bus to test: given(bus, ...)")
    return Given(bus, messages)


class Given:
    """A bus and the messages that set up its state."""

    def __init__(self, bus: Bus, messages: Sequence[Message]) -> None:
        self._bus, self._messages = bus, messages

    def when(self, *messages: Message) -> When:
        """Set the messages to send, one after another, up to the first that raises. Raises `InvalidOption` for none."""
        if not messages:
            raise InvalidOption("messages", messages, "give the messages to send: when(Paid())")
        return When(self._bus, self._messages, messages)


class When:
    """A scenario without its expectation: await one of the methods to run it.

    The methods raise `AssertionError` with the difference and the journey of the sent messages. An error of a message
    that sets up the state is raised unchanged.
    """

    def __init__(self, bus: Bus, setup: Sequence[Message], messages: Sequence[Message]) -> None:
        self._bus, self._setup, self._messages = bus, setup, messages

    async def then(self, *messages: Message) -> Journey:
        """Expect that the components of the bus return exactly these messages, in this order.

        Messages of components in a bus inside count only if they leave that bus. Failures do not count. Returns the
        journey, for further checks.
        """
        run = _without_error(await self._run())
        _compare("returned", messages, run.journey.returned_messages(), run)
        return run.journey

    async def then_nothing(self) -> Journey:
        """Expect that no component of the bus returns a message. Returns the journey."""
        return await self.then()

    async def then_left(self, *messages: Message) -> Journey:
        """Expect that exactly these messages leave the bus, in this order. Returns the journey."""
        run = _without_error(await self._run())
        _compare("outbound", messages, run.outbound, run)
        return run.journey

    async def then_raises(self, kind: type[E]) -> E:
        """Expect that an error of this type is raised to the sender, alone or in a group. Returns the first of them."""
        run = await self._run()
        for error in () if run.error is None else errors_in(run.error):
            if isinstance(error, kind):
                return error
        actual = "nothing was raised" if run.error is None else f"{show(run.error)} was raised"
        raise AssertionError(f"{kind.__name__} was expected, but {actual}{_story(run)}") from run.error

    async def _run(self) -> ScenarioRun:
        for message in self._setup:
            await self._bus(message)
        run = ScenarioRun(Journey(self._bus))
        with run.journey:
            try:
                for message in self._messages:
                    run.outbound += await self._bus(message)
            except Exception as error:
                run.error = error
        return run


class ScenarioRun(msgspec.Struct):
    """The result of a scenario. outbound: the messages that left the bus. error: the error that was raised."""

    journey: Journey
    outbound: tuple[Message, ...] = ()
    error: Exception | None = None


def _without_error(run: ScenarioRun) -> ScenarioRun:
    if run.error is not None:
        raise AssertionError(f"{show(run.error)} was raised; use then_raises to expect it{_story(run)}") from run.error
    return run


def _compare(kind: str, expected: Sequence[Message], actual: Sequence[Message], run: ScenarioRun) -> None:
    if list(expected) == list(actual):
        return
    lines = [*ndiff([*map(repr, expected)], [*map(repr, actual)])]
    if all(line.startswith("  ") for line in lines):
        lines.append("They look alike and are not equal: a sensitive field differs, or their types differ.")
    head = f"the {kind} messages differ from the expected ones (- expected, + {kind}):"
    raise AssertionError("\n".join([head, *(line.rstrip("\n") for line in lines)]) + _story(run))


def _story(run: ScenarioRun) -> str:
    return f"\n\nThe journey:\n{run.journey}"
