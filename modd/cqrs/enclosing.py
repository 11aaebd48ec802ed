"""The buses around a typed bus: its handlers ask the outermost, and its events flow on there in one turn."""

from __future__ import annotations

from typing import Any

from modd.concurrency.scopes import open_scopes
from modd.core import Accepts, Answerer, Bus, Caused, Component, Entry, Part, Receiver, innermost, inside, is_among


def root_bus(part: Part) -> Any:
    """Return the outermost bus around a part, or the part itself without one; prefer a bus in a turn."""
    roots = [bus for bus in _buses_around(part) if not _buses_around(bus)]
    busy = [turn.bus for turn in open_scopes(innermost()) if is_among(turn.bus, roots)]
    return next(iter([*busy, *roots]), part)


async def dispatch_in_turn(answerer: Answerer, envelope: Any) -> Any:
    """Have a typed bus alone handle an envelope, in a turn of the outermost bus around it, if there is one.

    The events that it releases flow on there as if the bus had sent the message to it. Returns the `Dispatched`. Raises
    the error of the handler, and `TurnFailed` for unhandled errors of the messages that the dispatch caused.
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
    """Return a call that sends a message through each bus from a part down to the answerer, and to no other part."""
    if part is answerer:
        return dispatch
    inner = next(each for each in part.components if isinstance(each, Part) and is_among(answerer, inside(each)))
    further = _through(inner, answerer, dispatch)
    if not isinstance(part, Bus):
        return further
    receiver = Receiver(inner, further, Accepts())
    send: Any = part  # a bus takes an entry of its queue, too
    return lambda message: send(Entry(message, receivers=(receiver,)))


def _buses_around(part: Part) -> list[Bus]:
    """Return all buses that a part is in, at any depth, each once."""
    found: list[Part] = []
    pending = [*part.around]
    while pending:
        outer = pending.pop()
        if not is_among(outer, found):
            found.append(outer)
            pending += outer.around
    return [outer for outer in found if isinstance(outer, Bus)]
