"""Asking: an intent is sent to the typed bus that handles it, and its result comes back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

from modd.core.causation import Caused, Entry, Question, current_origin
from modd.core.component import Accepts, Part, Receiver, check_message
from modd.core.limits import BEAT
from modd.core.message import Message
from modd.core.turn import Turn, end, innermost, publish
from modd.errors import MultipleHandlers, NoHandler, NotAnswered, TurnFailed


class Answer(Protocol):
    """The outcome of a dispatch."""

    result: Any
    events: tuple[Message, ...]

    @property
    def answered(self) -> bool:
        """True if there is a result at all; a result may be None, too."""
        ...

    @property
    def caused(self) -> Caused:
        """The events that are to flow on, with their cause."""
        ...


class Answerer(Part):
    """A part that has results for intents: a typed bus."""

    name: str

    @property
    @abstractmethod
    def types(self) -> tuple[type[Message], ...]:
        """The types that it handles."""

    @abstractmethod
    def override(self, handlers: Mapping[type[Message], Any]) -> AbstractContextManager[None]:
        """Have fakes handle some of its types, for as long as the block lasts."""

    @abstractmethod
    async def dispatch(self, intent: Any, /, *stamps: Any) -> Any:
        """Handle an intent and return an `Answer`."""


async def ask(bus: Any, intent: Any, stamps: tuple[Any, ...]) -> Any:
    """Send an intent to a bus and return the result that its answerer notes; see `Bus.ask`."""
    answerer, alone = bus.answerers.get(type(intent)) or find_answerer(bus, intent)
    around = innermost()
    if alone and bus.unpaused < BEAT - 1 and (around is None or not (around.open or around.outer)):
        return await _ask_directly(bus, intent, stamps, answerer)
    question = Question(intent, stamps, answerer)
    current_origin.set(question)
    try:
        await bus(intent)
    except TurnFailed as failed:
        if question.error is None:
            failed.result = question.answer
            raise
    finally:
        question.open = False
    if question.error is not None:
        raise question.error
    if not question.answered:
        raise NotAnswered(type(intent), bus.name)
    return question.answer


async def _ask_directly(bus: Any, intent: Any, stamps: tuple[Any, ...], answerer: Answerer) -> Any:
    """Ask the only receiver of an intent without a queue, in half the time; its error or events go through the loop.

    Contract: the answerer is the only receiver, the turns of the bus overlap, the caller is in no turn, nothing
    observes the bus, and it is not yet time to let other tasks run. The error or the events are a turn of their own:
    a limit counts them apart from messages that the handler has sent.
    """
    bus.unpaused += 1
    turn = Turn(bus, None, bus.check_from)
    publish(turn)
    result, answered, returned = None, False, None
    try:
        answer = await answerer.dispatch(intent, *stamps)
        result, answered = answer.result, answer.result is not None or answer.answered
        returned = answer.caused if answer.events else None
    except Exception as error:
        returned = error
    finally:
        turn.open = False
    if turn.outcome is not None:
        end(turn)
    if returned is not None:
        receiver = Receiver(answerer, partial(_give, returned), Accepts())
        try:
            await bus(Entry(intent, receivers=(receiver,)))
        except TurnFailed as failed:
            if answered:
                failed.result = result
                raise
    if isinstance(returned, Exception):
        raise returned
    if not answered:
        raise NotAnswered(type(intent), bus.name)
    return result


def _give(returned: Any, _: Message) -> Any:
    if isinstance(returned, Exception):
        raise returned
    return returned


def find_answerer(bus: Any, intent: Any) -> tuple[Answerer, bool]:
    """Return the one typed bus inside that an intent gets to, and True if it may be asked directly.

    Raises `NoHandler`, `MultipleHandlers`.
    """
    check_message(intent)
    kind = type(intent)
    answerers = [*answerers_in(bus, kind)]
    if not answerers:
        raise NoHandler(kind, bus.name, {k for part in answerers_in(bus) for k in part.types})
    if len(answerers) > 1:
        raise MultipleHandlers(kind, bus.name, [part.name for part in answerers])
    alone = [receiver.component for receiver in bus.routing.receivers(kind)] == answerers
    bus.answerers[kind] = answerers[0], alone and bus.gate is bus.keyed_gates is None and not bus.watchers
    return bus.answerers[kind]  # type: ignore[no-any-return]


def answerers_in(part: Part, kind: type[Message] | None = None) -> Iterator[Answerer]:
    """Yield the typed buses inside that a message of this type gets to; without a type, all of them."""
    for receiver in part.inside:
        component = receiver.component
        if isinstance(component, Part) and (kind is None or receiver.accepts.takes(kind)):
            if isinstance(component, Answerer):
                yield component
            yield from answerers_in(component, kind)


@contextmanager
def override(bus: Any, handlers: Mapping[type[Message], Any]) -> Iterator[None]:
    """Have fakes handle these types in every typed bus inside a bus; see `Bus.override`."""
    known = {part: part.types for part in answerers_in(bus)}
    with ExitStack() as stack:
        for kind in handlers:
            if not any(kind in types for types in known.values()):
                raise NoHandler(kind, bus.name, {k for types in known.values() for k in types})
        for part, types in known.items():
            fakes = {kind: fake for kind, fake in handlers.items() if kind in types}
            if fakes:
                stack.enter_context(part.override(fakes))
        yield
