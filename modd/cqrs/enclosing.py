"""What is around a typed bus: whom its handlers ask, and the turn that what it releases flows on in (MO-27)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from modd.core import Answering, Asking, Caused, Part, deliver, innermost, inside, open_turns, result_of, settle


def top_of(part: Part) -> Any:
    """The outermost bus that the part is in, of several one that is in a turn now; without any, the part itself."""
    tops = [each for each in _around(part) if isinstance(each, Asking) and not any(_buses(each))]
    busy = [turn.bus for turn in open_turns(innermost()) if turn.bus in tops]
    return next(iter([*busy, *tops]), part)


async def dispatch_in_turn(who: Answering, envelope: Any) -> Any:
    """Have a typed bus, and nobody else, handle an envelope in a turn of the outermost bus around, if there is one.

    What it releases flows on there as if the bus had given the message to it. Returns what the dispatch came to; raises
    what the handler raises, and `TurnFailed` for what nobody handled of all that it caused.
    """
    answers: list[Any] = []

    async def dispatch() -> Caused:
        answers.append(await who.dispatch(envelope))
        return answers[0].caused  # type: ignore[no-any-return]

    way = _way(top_of(who), who)
    await (_in_turns(way, envelope.message, dispatch) if way else dispatch())
    return answers[0]


async def _in_turns(way: Sequence[tuple[Any, Part]], message: Any, dispatch: Any) -> Any:
    """A turn of each bus on the way, within each other; gives back what leaves the outermost."""
    if not way:
        return await dispatch()
    (bus, inner), *further = way
    turn = await bus._enter(message, next(open_turns(innermost()), None))
    queue: deque[Any] = deque()
    try:
        await settle(turn, message, inner.__call__, await _in_turns(further, message, dispatch), queue)
        while queue:
            await deliver(turn, queue.popleft(), queue)
    except BaseException as error:
        cut = bus._cut_short(turn, error, queue)
        if cut is not error:
            raise cut from None
        raise
    bus._leave(turn)
    return result_of(turn)


def _way(part: Any, who: Part) -> list[tuple[Any, Part]]:
    """The buses from a part down to one inside it, each with the component of it that is next on the way."""
    if part is who:
        return []
    inner = next(each for each in part.components if isinstance(each, Part) and who in inside(each))
    further = _way(inner, who)
    return [(part, inner), *further] if isinstance(part, Asking) else further


def _buses(part: Part) -> list[Part]:
    return [each for each in _around(part) if isinstance(each, Asking)]


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
