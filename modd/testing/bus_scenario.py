"""Given, when, then for a bus: messages of the past, messages to send, and the messages that come of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from modd.concurrency.blocks import block
from modd.core import Bus, Message, Question, answerers_in, current_origin, message_of
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Actor, Stamp, checked_stamps
from modd.cqrs.typed_bus import TypedBus
from modd.errors import InvalidOption
from modd.journey.journey import Journey
from modd.testing.aggregate_scenario import differing_lines
from modd.testing.stored_messages import StoredMessages, missing_of
from modd.texts import errors_in, show

E = TypeVar("E", bound=BaseException)


Sent: TypeAlias = Message | Envelope
"""A message, or an envelope with a message for a typed bus."""


class Given:
    """A bus and the messages that set up its state."""

    def __init__(self, bus: Bus | TypedBus, setup: Sending) -> None:
        self._bus, self._setup = bus, setup

    def when(self, *messages: Sent, by: Actor | None = None, stamps: Iterable[Stamp] = ()) -> When:
        """Set the messages to send, one after another, up to the first that raises.

        by: the actor of these messages; None, the default, for no actor.
        stamps: further stamps for these messages; by default none.

        Raises `InvalidOption` for no message, something else than an actor, or something else than stamps.
        """
        if not messages:
            raise InvalidOption("messages", messages, "give the messages to send: when(Paid())")
        return When(self._bus, self._setup, Sending(messages, stamps_of(by, stamps)))


class When:
    """A scenario without its expectations: await one of the methods to run it.

    The messages are sent once, by the first expectation; the following ones look at the same run. The methods raise
    `AssertionError` with the difference and the journey of the sent messages, and say which messages are in a queue or
    an outbox if something is missing. An error of a message that sets up the state is raised unchanged.
    """

    def __init__(self, bus: Bus | TypedBus, setup: Sending, sending: Sending) -> None:
        self._bus, self._setup, self._sending = bus, setup, sending
        self._finished: ScenarioRun | None = None

    async def then(self, *messages: Message) -> Journey:
        """Expect that the components of the bus return exactly these messages, in this order.

        The events that a typed bus releases are messages that it returns. Messages of components in a bus inside count
        only if they leave that bus. Failures do not count. Returns the journey, for further checks.
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

    async def then_result(self, value: object) -> Journey:
        """Expect that the last message has this result, from the handler of a typed bus. Returns the journey."""
        run = _without_error(await self._run())
        if run.answer is None or not run.answer.answered:
            name = type(message_of(self._sending.messages[-1])).__qualname__
            reasons = run.stored.reasons or [f"{name} was not handled"]
            raise AssertionError("\n".join([f"{name} has no result:", *reasons]) + _story(run))
        if run.answer.result != value:
            actual = f"- {value!r}\n+ {run.answer.result!r}"
            raise AssertionError(
                f"the result differs from the expected one (- expected, + actual):\n{actual}{_story(run)}"
            )
        return run.journey

    async def then_raises(self, kind: type[E]) -> E:
        """Expect that an error of this type is raised to the sender, alone or in a group. Returns the first of them."""
        run = await self._run()
        for error in () if run.error is None else errors_in(run.error):
            if isinstance(error, kind):
                return error
        if run.error is None:
            actual = "\n".join(["nothing was raised", *run.stored.reasons])
        else:
            actual = f"{show(run.error)} was raised"
        raise AssertionError(f"{kind.__name__} was expected, but {actual}{_story(run)}") from run.error

    async def _run(self) -> ScenarioRun:
        if self._finished is None:
            with _around(self._bus) as bus:
                self._finished = await _run_in(bus, self._setup, self._sending)
        return self._finished


class Sending(msgspec.Struct, frozen=True, eq=False):
    """Messages to send one after another, each with these stamps."""

    messages: Sequence[Sent]
    stamps: Sequence[Stamp]

    async def send(self, bus: Bus, run: ScenarioRun) -> None:
        """Send the messages, and note the messages that leave the bus and the answer to the last one."""
        for message in self.messages:
            run.outbound += await _send(bus, message, self.stamps, run)


class ScenarioRun(msgspec.Struct):
    """The result of a scenario.

    outbound: the messages that left the bus. answer: the outcome of the last message in a typed bus. error: the error
    that was raised. stored: the messages that were put into a queue or an outbox,
    from the setup on.
    """

    journey: Journey
    stored: StoredMessages = msgspec.field(default_factory=StoredMessages)
    outbound: tuple[Message, ...] = ()
    answer: Any = None
    error: Exception | None = None


@block
def _around(bus: Bus | TypedBus) -> Iterator[Bus]:
    """Yield a bus; around a typed bus put one for the time of the block, which sees its events."""
    if isinstance(bus, Bus):
        yield bus
        return
    around = Bus([bus], name="scenario")
    try:
        yield around
    finally:
        around.remove(bus)


async def _run_in(bus: Bus, setup: Sending, sending: Sending) -> ScenarioRun:
    run = ScenarioRun(Journey(bus))
    with bus.observe(run.stored):
        await setup.send(bus, ScenarioRun(Journey(bus)))
        with run.journey:
            try:
                await sending.send(bus, run)
            except Exception as error:
                run.error = error
    return run


async def _send(bus: Bus, sent: Any, stamps: Sequence[Stamp], run: ScenarioRun) -> tuple[Message, ...]:
    """Send a message as `Bus.__call__` does, also in an envelope, and note the answer of a typed bus."""
    message = message_of(sent)
    answerers = tuple(answerers_in(bus, type(message)))
    run.answer = None
    if not answerers:
        return await bus(sent, *stamps)
    question = Question(message, sent, tuple(stamps), answerers, reports=False)
    current_origin.set(question)
    try:
        return await bus(message)
    finally:
        question.open = False
        run.answer, question.answer = question.answer, None


def stamps_of(by: Any, stamps: Any) -> tuple[Stamp, ...]:
    """Return an actor, if there is one, and stamps. Raises `InvalidOption` for anything else."""
    if by is not None and not isinstance(by, Actor):
        raise InvalidOption("by", by, 'give the actor: by=Actor("ada")')
    if not isinstance(stamps, Iterable):
        raise InvalidOption("stamps", stamps, 'give a list of stamps: stamps=[Tenant("acme")]')
    return (*([] if by is None else [by]), *checked_stamps(tuple(stamps)))


def _without_error(run: ScenarioRun) -> ScenarioRun:
    if run.error is not None:
        raise AssertionError(f"{show(run.error)} was raised; use then_raises to expect it{_story(run)}") from run.error
    return run


def _compare(kind: str, expected: Sequence[Message], actual: Sequence[Message], run: ScenarioRun) -> None:
    if list(expected) == list(actual):
        return
    lines = differing_lines(expected, actual)
    if missing_of(expected, actual):
        lines += run.stored.reasons
    head = f"the {kind} messages differ from the expected ones (- expected, + {kind}):"
    raise AssertionError("\n".join([head, *lines]) + _story(run))


def _story(run: ScenarioRun) -> str:
    return f"\n\nThe journey:\n{run.journey}"
