"""An instance of a flow at work: events and timeouts change it in memory, until all is written at once."""

from __future__ import annotations

from typing import Any

import msgspec

from modd.core import Message
from modd.flow import Flow, Timeout
from modd.flow.step import FlowStep
from modd.follower.cause import Cause, origin_of
from modd.follower.command_items import CommandItems
from modd.follower.direct import DirectCommands
from modd.follower.instances import FlowInstance, InstanceFailure, Waiting
from modd.ports.items import Item
from modd.worker.dead_letters import reason_of
from modd.worker.retry import RetryRules


class FlowRules(msgspec.Struct, frozen=True):
    """The knowledge that every instance of a flow needs.

    flow: the flow. items: makes items of its commands. direct: handles them at once.
    retry: decides about the next attempt of a function.
    """

    flow: Flow[Any]
    items: CommandItems
    direct: DirectCommands
    retry: RetryRules


class InstanceWork:
    """One instance, and what events and timeouts have made of it since it was stored.

    rules: those of its flow. key: its key. id: its identity. stored: the instance as it is stored; None for none.
    """

    def __init__(self, rules: FlowRules, key: str, id: str, stored: FlowInstance | None) -> None:
        self._rules, self.key, self.stored = rules, key, stored
        self.now = stored if stored is not None else FlowInstance(id)
        """The instance as it is after the work so far."""
        self.items: list[Item] = []
        """The commands to send."""
        self.has_queued = stored is not None
        """True if commands of the instance may be in the queue, so that later ones have to wait behind them."""
        self._state: Any = None
        """The state, once it is decoded."""

    @property
    def has_changed(self) -> bool:
        """True if the instance has to be written."""
        return self.now is not self.stored and (self.stored is not None or self.now.phase != "new" or self.is_set_aside)

    @property
    def has_ended(self) -> bool:
        """True if nothing is for the instance any more."""
        return self.now.phase == "ended"

    @property
    def is_set_aside(self) -> bool:
        """True if events and timeouts of the instance wait."""
        return self.now.failure is not None

    def written(self) -> None:
        """Note that the instance is stored as it is now, and its commands are sent."""
        self.stored, self.items = self.now, []

    def take(self, message: Message | Timeout, cause: Cause, now: float) -> None:
        """Have an event or a timeout take effect. Raises what its function raises; then nothing has changed.

        An instance that is set aside, or has ended, takes none.
        """
        step = self._rules.flow.decide(self._current_state(), message)
        if step is not None:
            self._follow(step, cause, now)

    def set_aside(self, error: Exception, waiting: Waiting, now: float, attempts: int = 0) -> InstanceFailure:
        """Set the instance aside, because something has failed. attempts: number of earlier attempts at it."""
        failed = attempts + 1
        delay = self._rules.retry.delay_after(error, failed)
        failure = InstanceFailure(reason_of(error), failed, None if delay is None else now + delay)
        self._set(failure=failure)
        self.wait(waiting)
        return failure

    def wait(self, *waiting: Waiting) -> None:
        """Have events and timeouts wait, last in the line."""
        self._set(waiting=(*self.now.waiting, *waiting))

    def release(self) -> tuple[Waiting, ...]:
        """Take the instance back from where it was set aside, and return what has waited."""
        waiting = self.now.waiting
        self._set(failure=None, waiting=())
        return waiting

    def come(self, timeout: str) -> Waiting:
        """Note that a timeout has come, and return the entry for it, should it wait."""
        timeouts = {name: due for name, due in self.now.timeouts.items() if name != timeout}
        self._set(timeouts=timeouts, fired=self.now.fired + 1)
        return Waiting(self.now.fired, timeout)

    def cause_of(self, timeout: Waiting) -> Cause:
        """Return a timeout that has come as a cause."""
        id = f"{self._rules.flow.name}/{self.key}/{timeout.timeout}#{timeout.position}"
        return Cause(id, self.now.origin)

    def _follow(self, step: FlowStep[Any], cause: Cause, now: float) -> None:
        flow, origin = self._rules.flow.name, self.now.origin
        items = self._rules.items.create(flow, self.now.id, self.key, step.commands, cause)
        self._set(
            **self._after(step),
            timeouts=step.due_times(self.now.timeouts, now),
            origin=origin_of(cause) if self.now.phase == "new" else origin,
        )
        self._state = step.state
        self.items += items

    def _after(self, step: FlowStep[Any]) -> dict[str, Any]:
        """Return the fields of the instance that a step changes. Raises `Unencodable`."""
        if step.state is None:
            return {"phase": "ended", "state": msgspec.Raw(b"null")}
        if step.state is self._state and self.now.version == self._rules.flow.version:
            return {}
        state = msgspec.Raw(self._rules.flow.states.encode(step.state))
        return {"phase": "running", "version": self._rules.flow.version, "state": state}

    def _current_state(self) -> Any:
        """Return the state; None before the beginning. Raises `UnreadableState`."""
        if self.now.phase == "running" and self._state is None:
            self._state = self._rules.flow.states.decode(self.now.state, self.now.version)
        return self._state

    def _set(self, **changes: Any) -> None:
        self.now = msgspec.structs.replace(self.now, **changes)
