"""The buses around a typed bus: its handlers ask the outermost, and its events flow on there in one turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any

from modd.concurrency.blocks import async_block
from modd.concurrency.scopes import open_scopes
from modd.core import (
    Accepts,
    Answerer,
    Bus,
    Caused,
    Component,
    Entry,
    Part,
    Receiver,
    answerers_in,
    current_origin,
    innermost,
    inside,
    is_among,
    message_of,
    name_of,
)
from modd.errors import InvalidOption, MultipleHandlers, TurnFailed, TurnOverflow


def root_bus(part: Part) -> Any:
    """Return the outermost bus around a part, or the part itself without one; prefer a bus in a turn.

    Raises `InvalidOption` for a part in two outermost buses.
    """
    roots = _roots_around(part)
    if len(roots) > 1:
        names = ", ".join(sorted(root.name for root in roots))
        raise InvalidOption("bus", part, f"it is in {len(roots)} buses: {names}; give one of these")
    return next(iter(roots), part)


@async_block
async def open_bus(bus: Any) -> AsyncIterator[None]:
    """Open the outermost bus around a bus, and with it all buses inside, for the block; do nothing if it is open."""
    if bus.is_open:
        yield
        return
    async with root_bus(bus):
        yield


def root_to_ask(part: Part, intent: Any) -> Any:
    """Return the outermost bus around a part that a handler asks for an intent, as `root_bus` does.

    Raises `MultipleHandlers` if the part is in two outermost buses that could answer.
    """
    roots = _roots_around(part)
    if len(roots) > 1:
        kind = type(message_of(intent))
        answers = [(root, answerer) for root in roots for answerer in answerers_in(root, kind)]
        if len({id(root) for root, _ in answers}) > 1:
            names = [f"{answerer.name} in {root.name}" for root, answerer in answers]
            raise MultipleHandlers(kind, f"the buses around {name_of(part)}", sorted(names))
        roots = [root for root, _ in answers] or sorted(roots, key=lambda root: root.name)
    return next(iter(roots), part)


def is_open_around(part: Any) -> bool:
    """Return True if a typed bus, or an outermost bus around it, is open or about to close."""
    return bool(part.is_open or any(root.is_open for root in _roots_around(part)))


def _roots_around(part: Part) -> list[Bus]:
    """Return the outermost buses around a part; of several, the bus of the innermost turn alone, if there is one."""
    roots = [bus for bus in _buses_around(part) if not _buses_around(bus)]
    if len(roots) > 1:
        busy = (turn.bus for turn in open_scopes(innermost()) if is_among(turn.bus, roots))
        roots = [*islice(busy, 1)] or roots
    return roots


async def dispatch_in_turn(
    answerer: Answerer,
    envelope: Any,
    on_later_failure: Callable[[TurnFailed], object] | None = None,
    *,
    within: Part | None = None,
) -> Any:
    """Have a typed bus alone handle an envelope, in a turn of the outermost bus around it, if there is one.

    The events that it releases flow on there as if the bus had sent the message to it. Returns the `Dispatched`.

    on_later_failure: is called if the dispatch succeeded, and messages that it caused failed; by default their errors
        are raised as `TurnFailed`.
    within: a bus around the typed bus; the turn is one of the outermost bus around it. By default the typed bus.

    Raises the error of the handler, `TurnFailed` of a turn that a limit cut short, and `InvalidOption` as `root_bus`.
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

    try:
        await _through(root_bus(within or answerer), answerer, dispatch)(envelope.message)
    except TurnFailed as error:
        if on_later_failure is None or answer is None or error.subgroup(TurnOverflow) is not None:
            raise
        on_later_failure(error)
    if failed is not None:
        raise failed
    return answer


async def tell_failure(answerer: Answerer, envelope: Any, error: Exception, *, within: Part | None = None) -> None:
    """Have the buses around a typed bus handle the `Failure` of an envelope, as when the handler had raised it there.

    within: a bus around the typed bus, as for `dispatch_in_turn`.

    Raises `TurnFailed` if more than this failure is unhandled, as when a component that handles it raises.
    """

    async def fail(_: Any) -> None:
        current_origin.set(envelope)  # the cause of what components return
        raise error

    root = root_bus(within or answerer)
    if root is answerer:
        return
    try:
        await _through(root, answerer, fail)(envelope.message)
    except TurnFailed as failed:
        if not _is_only(failed, error):
            raise


def _is_only(failed: TurnFailed, error: Exception) -> bool:
    """Return True if a turn, and the turns inside, failed by this error alone."""
    return all(each is error or (isinstance(each, TurnFailed) and _is_only(each, error)) for each in failed.exceptions)


def _through(part: Any, answerer: Part, dispatch: Component) -> Component:
    """Return a call that sends a message through each bus from a part down to the answerer, and to no other part."""
    if part is answerer:
        return dispatch
    inner = next(each for each in part.components if is_among(answerer, inside(each)))
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
