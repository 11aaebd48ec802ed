"""The step of an instance: the value that a function of a flow returned, checked and taken apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from modd.cqrs.intents import Command
from modd.flow.effects import CancelTimeout, End, Go, SetTimeout
from modd.flow.errors import UnknownTimeout, WrongStep
from modd.texts import describe

S = TypeVar("S")


class FlowStep(msgspec.Struct, Generic[S], frozen=True):
    """A step of an instance.

    state: its new state; None if it has ended. commands: the commands to send, in order.
    timeouts: for each timeout that changes, the seconds until it is due, or None if it is cancelled.
    """

    state: S | None
    commands: tuple[Command[Any], ...] = ()
    timeouts: Mapping[str, float | None] = {}

    def due_times(self, before: Mapping[str, float], now: float) -> dict[str, float]:
        """Return the times at which timeouts are due after this step; none if it is the end.

        before: those before the step. now: the time of the step.
        """
        if self.state is None:
            return {}
        after = {name: due for name, due in before.items() if name not in self.timeouts}
        return after | {name: now + seconds for name, seconds in self.timeouts.items() if seconds is not None}


class StepCheck:
    """Checks the values that functions of a flow return.

    flow: the name of the flow. kind: the type of its states. timeouts: the names that have a function.
    """

    def __init__(self, flow: str, kind: type, timeouts: Collection[str]) -> None:
        self._flow, self._kind, self._timeouts = flow, kind, timeouts

    def step_of(self, function: str, returned: Any) -> FlowStep[Any] | None:
        """Return the step that a function returned; None for none. Raises `WrongStep`, `UnknownTimeout`."""
        if returned is None:
            return None
        if not isinstance(returned, (Go, End)):
            self._refuse(function, f"{describe(returned)}; return go(state, *effects), end(*effects) or None")
        effects: tuple[Any, ...] = returned.effects
        commands = tuple(self._commands_in(function, effects))
        timeouts = dict(self._timeouts_in(function, effects))
        if isinstance(returned, Go):
            return FlowStep(self._checked_state(function, returned.state), commands, timeouts)
        for name, seconds in timeouts.items():
            if seconds is not None:
                self._refuse(function, f"end() with the timeout {name!r}, which cannot come any more; return go()")
        return FlowStep(None, commands)

    def _checked_state(self, function: str, state: Any) -> Any:
        if not isinstance(state, self._kind):
            wanted = f"its state is {self._kind.__qualname__}; give the new state first"
            self._refuse(function, f"go() with {describe(state)} as the state, and {wanted}")
        return state

    def _commands_in(self, function: str, effects: Iterable[Any]) -> Iterable[Command[Any]]:
        for effect in effects:
            if isinstance(effect, Command):
                yield effect
            elif not isinstance(effect, (SetTimeout, CancelTimeout)):
                wanted = "effects are commands, timeout(...) and cancel_timeout(...)"
                self._refuse(function, f"{describe(effect)} as an effect; {wanted}")

    def _timeouts_in(self, function: str, effects: Iterable[Any]) -> Iterable[tuple[str, float | None]]:
        for effect in effects:
            if isinstance(effect, Command):
                continue
            if effect.name not in self._timeouts:
                raise UnknownTimeout(effect.name, self._flow, self._timeouts, function)
            yield effect.name, effect.seconds if isinstance(effect, SetTimeout) else None

    def _refuse(self, function: str, problem: str) -> NoReturn:
        raise WrongStep(function, self._flow, problem)
