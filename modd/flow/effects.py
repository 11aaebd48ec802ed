"""The values that functions of a flow return: a state to go on with or the end, with commands and timeouts."""

from __future__ import annotations

from typing import Any, Generic, Never, TypeAlias, TypeVar

import msgspec

from modd.checks import checked_delay, checked_text
from modd.core import Value
from modd.cqrs.intents import Command
from modd.errors import InvalidOption

S = TypeVar("S")


UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
"""The seconds in each unit of a timeout."""


class Timeout(Value, frozen=True):
    """A timeout that is due: the second argument of a function in ``timeouts``.

    name: the name that was given to `timeout`.
    """

    name: str


class SetTimeout(Value, frozen=True):
    """A timeout to set, as `timeout` returns it.

    name: its name. seconds: the time until it is due.
    """

    name: str
    seconds: float


class CancelTimeout(Value, frozen=True):
    """A timeout to cancel, as `cancel_timeout` returns it.

    name: its name.
    """

    name: str


Effect: TypeAlias = Command[Any] | SetTimeout | CancelTimeout
"""A command, or a change of a timeout."""


class Go(msgspec.Struct, Generic[S], frozen=True):
    """The instance goes on, as `go` returns it.

    state: its new state. effects: commands to send, and changes of timeouts.
    """

    state: S
    effects: tuple[Effect, ...] = ()


class End(msgspec.Struct, frozen=True):
    """The instance ends, as `end` returns it.

    effects: the last commands to send.
    """

    effects: tuple[Effect, ...] = ()


def go(state: S, *effects: Effect) -> Go[S]:
    """Go on with a new state: ``return go(Shipping(event.order), Ship(event.order), timeout("lost", days=7))``.

    state: the state from now on. effects: commands, `timeout` and `cancel_timeout`, in their order.
    """
    return Go(state, effects)


def end(*effects: Effect) -> End:
    """End the instance: later events for it are passed over, and its timeouts do not come.

    effects: the last commands.
    """
    return End(effects)


def timeout(
    name: str,
    *times: Never,
    seconds: float | None = None,
    minutes: float | None = None,
    hours: float | None = None,
    days: float | None = None,
    **others: Never,
) -> SetTimeout:
    """Set a timeout of the instance, in place of an earlier one of this name: ``timeout("payment", minutes=30)``.

    name: a name that has a function in ``timeouts`` of the flow. seconds, minutes, hours, days: the time until it is
    due; give at least one, their sum counts.
    times, others: not allowed, because a time needs one of these units.

    Raises:
        InvalidOption: a time is missing, negative, no number or without a unit, or the name is no text.
    """
    name = _checked_timeout(name)
    wrong: list[Any] = [*times, *others.values()]
    if wrong:
        cure = f"name a unit ({', '.join(UNITS)}), such as timeout({name!r}, minutes=30)"
        raise InvalidOption("timeout", wrong[0], cure)
    given = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days}
    spans = {unit: checked_delay(unit, time) for unit, time in given.items() if time is not None}
    if not spans:
        raise InvalidOption("timeout", name, 'give a time, such as timeout("payment", minutes=30)')
    return SetTimeout(name, sum(time * UNITS[unit] for unit, time in spans.items()))


def cancel_timeout(name: str) -> CancelTimeout:
    """Cancel a timeout of the instance; one that is not set, or that has come, is no error.

    name: its name. Raises `InvalidOption` for no text.
    """
    return CancelTimeout(_checked_timeout(name))


def _checked_timeout(name: Any) -> str:
    return checked_text("name", name, "give the name of a timeout of the flow")
