"""What is around a typed bus: whom its handlers ask, and the turn that what it releases flows on in (MO-27)."""

from __future__ import annotations

from typing import Any

from modd.concurrency.scopes import open_scopes
from modd.core import Accepts, Answerer, Bus, Caused, Component, Entry, Part, Receiver, innermost, inside


def root_bus(part: Part) -> Any:
    """The outermost bus that the part is in, of several one that is in a turn now; without any, the part itself."""
    tops = [each for each in _around(part) if isinstance(each, Bus) and not any(_buses(each))]
    busy = [turn.bus for turn in open_scopes(innermost()) if turn.bus in tops]
    return next(iter([*busy, *tops]), part)


async def dispatch_in_turn(answerer: Answerer, envelope: Any) -> Any:
    """Have a typed bus alone handle an envelope, in a turn of the outermost bus around it, if there is one.

    Events that it releases flow on there as if the bus had given the message to it. Returns the `Dispatched`; raises the
    error of the handler, and `TurnFailed` for errors that nothing handled of all that it caused.
    """
    answer: Any = None
    failed: Exception | None = None

    async def dispatch(_: Any) -> Caused | None:
        nonlocal answer, failed
        try:
            answer = await answerer.dispatch(envelope)
        except Exception as error:  # for the caller alone, who may try again: it is no `Failure` in the buses around
            failed = error
            return None
        return answer.caused  # type: ignore[no-any-return]

    await _through(root_bus(answerer), answerer, dispatch)(envelope.message)
    if failed is not None:
        raise failed
    return answer


def _through(part: Any, answerer: Part, dispatch: Component) -> Component:
    """Return a call that sends a message through each bus on the way from a part to the answerer, and to no other part."""
    if part is answerer:
        return dispatch
    inner = next(each for each in part.components if isinstance(each, Part) and answerer in inside(each))
    further = _through(inner, answerer, dispatch)
    if not isinstance(part, Bus):
        return further
    receiver = Receiver(inner, further, Accepts())
    send: Any = part  # a bus takes an entry of its queue, too
    return lambda message: send(Entry(message, receivers=(receiver,)))


def _buses(part: Part) -> list[Part]:
    return [each for each in _around(part) if isinstance(each, Bus)]


def _around(part: Part) -> list[Part]:
    """All parts around, each once."""
    found: dict[Part, None] = {}
    ways = [*part.around]
    while ways:
        each = ways.pop()
        if each not in found:
            found[each] = None
            ways += each.around
    return [*found]
