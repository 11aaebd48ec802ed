"""Asking: an intent is sent to the typed bus that handles it, and its result comes back.

`ask`, `dispatch` and `override` are methods of `Bus`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar, overload

from modd.concurrency.blocks import block
from modd.concurrency.scopes import close_scope
from modd.core.answerer import Answer, Answerer, Carrier, answerers_in, find_answerers, message_of
from modd.core.causation import Entry, Question, current_origin
from modd.core.component import Accepts, Receiver
from modd.core.identity import unique
from modd.core.limits import BEAT
from modd.core.message import IntentOf, Message
from modd.core.turn import Turn, end, innermost, publish
from modd.errors import MultipleHandlers, NoHandler, NotAnswered, TurnFailed

R = TypeVar("R")


def ask(bus: Any, intent: IntentOf[R] | Carrier[IntentOf[R]], *stamps: Any) -> Coroutine[Any, Any, R]:
    """Send an intent to the typed bus inside that handles it, in nested contexts too, and return its result.

    intent: the intent, or an envelope with it. stamps: for its envelope, such as the actor.

    The handler's error is raised as it is. Raises `NoHandler`, `MultipleHandlers`, `NotAnswered` when there was no
    result or would be none because the intent is queued for later, which then does not happen; `TurnFailed`, with the
    result as ``result``, when something that the intent caused failed; and `Deadlock`.
    """
    return _ask(bus, intent, stamps)


@overload
def dispatch(bus: Any, intent: IntentOf[R], *stamps: Any) -> Coroutine[Any, Any, Answer[R]]: ...
@overload
def dispatch(bus: Any, intent: Carrier[IntentOf[R]], *stamps: Any) -> Coroutine[Any, Any, Answer[R]]: ...
@overload
def dispatch(bus: Any, intent: Message | Carrier[Message], *stamps: Any) -> Coroutine[Any, Any, Answer[Any]]: ...
def dispatch(bus: Any, intent: Any, *stamps: Any) -> Coroutine[Any, Any, Answer[Any]]:
    """Send an intent as `ask` does, and return the `Dispatched`, also for an intent that is queued for later.

    Raises as `ask` does, `NotAnswered` only if the intent did not get to its typed bus.
    """
    return _ask(bus, intent, stamps, whole=True)


async def _ask(bus: Any, intent: Any, stamps: tuple[Any, ...], *, whole: bool = False) -> Any:
    """Send an intent to a bus and return the result that its answerer notes, or the whole `Answer`; see `Bus.ask`."""
    message, found = intent, bus.answerers.get(type(intent))
    if found is None:
        message, found = message_of(intent), find_answerer(bus, intent)
    answerer, alone = found
    around = innermost()
    if alone and not whole and bus.unpaused < BEAT - 1 and (around is None or not (around.open or around.outer)):
        return await _ask_directly(bus, intent, stamps, answerer)
    question = Question(message, intent, stamps, (answerer,), not whole)
    current_origin.set(question)
    try:
        await bus(message)
    except TurnFailed as failed:
        if question.error is None:
            failed.result = None if question.answer is None else question.answer.result
            raise
    finally:
        question.close()
        answer, question.answer = question.answer, None  # its envelope refers to the question: no cycle for the GC
    if question.error is not None:
        raise question.error
    if answer is None or not (whole or answer.result is not None or answer.answered):
        raise NotAnswered(type(message), bus.name)  # to look for stamps, as `answered` does, costs a fifth of an ask
    return answer if whole else answer.result


async def send(bus: Any, message: Any, stamps: tuple[Any, ...]) -> tuple[Message, ...]:
    """Send a message with stamps for the typed buses inside that it gets to; see `Bus.__call__`.

    Raises as that does.
    """
    question = Question(message, message, stamps, tuple(answerers_in(bus, type(message))), reports=False)
    current_origin.set(question)
    try:
        return await bus(message)  # type: ignore[no-any-return]
    finally:
        question.close()
        question.answer = None


async def _ask_directly(bus: Any, intent: Any, stamps: tuple[Any, ...], answerer: Answerer) -> Any:
    """Ask the only receiver of an intent without a queue, in half the time; its error or events go through the loop.

    Contract: the answerer is the only receiver, the turns of the bus overlap, the caller is in no turn, nothing
    observes the bus, and it is not yet time to let other tasks run. The error or the events are a turn of their own:
    a limit does not count them together with messages that the handler has sent.
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
        close_scope(turn)
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
    message = message_of(intent)
    kind = type(message)
    answerers = find_answerers(bus, message)
    if len(answerers) > 1:
        raise MultipleHandlers(kind, bus.name, [part.name for part in answerers])
    [answerer] = answerers
    if message is not intent:
        return answerer, False
    receivers = bus.routing.receivers(kind)
    alone = not answerer.may_queue and len(receivers) == 1 and receivers[0].component is answerer
    bus.answerers[kind] = answerer, alone and bus.gate is bus.keyed_gates is None and not bus.watchers
    return bus.answerers[kind]  # type: ignore[no-any-return]


@block
def override(bus: Any, handlers: Mapping[type[Message], Any]) -> Iterator[None]:
    """Have fakes handle these types in every typed bus inside, for as long as the block lasts; for tests.

    ``with bus.override({PlaceOrder: fake}):``. Raises `NoHandler` for a type that no typed bus inside handles.
    """
    known = [(part, part.types) for part in unique(answerers_in(bus))]
    with ExitStack() as stack:
        for kind in handlers:
            if not any(kind in types for _, types in known):
                raise NoHandler(kind, bus.name, {k for _, types in known for k in types})
        for part, types in known:
            fakes = {kind: fake for kind, fake in handlers.items() if kind in types}
            if fakes:
                stack.enter_context(part.override(fakes))
        yield
