"""Given, when, then for a flow: the past of an instance, an event or a timeout, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Generic, TypeVar

import msgspec

from modd.core import Message
from modd.cqrs.intents import Command
from modd.flow import Flow, Timeout
from modd.service import pure
from modd.testing.aggregate_scenario import ALIKE, differing_lines
from modd.testing.flow_events import Happening, PlacedEvent, place_event

S = TypeVar("S")


class FlowSituation(msgspec.Struct, Generic[S], frozen=True):
    """The situation of an instance of a flow.

    state: its state; None before it begins and after its end. timeouts: those that are set, with their seconds.
    has_ended: True after its end. commands: those of the last event. passed_over: the reason for which the last event
    was passed over; empty if it was not. id: its identity; empty before it begins.
    """

    state: S | None = None
    timeouts: Mapping[str, float] = {}
    has_ended: bool = False
    commands: tuple[Command[Any], ...] = ()
    passed_over: str = ""
    id: str = ""

    def after(self, flow: Flow[S], placed: PlacedEvent) -> FlowSituation[S]:
        """Return the instance after an event, or after a timeout that is due. Raises as `modd.flow.Flow` does."""
        event, id = placed.content, self.id or placed.id or ""
        reason = self._find_reason(flow, event) or placed.find_misplacement(self.id)
        if reason:
            return msgspec.structs.replace(self, commands=(), passed_over=reason)
        before = self.timeouts
        if isinstance(event, Timeout):  # it comes once
            before = {name: seconds for name, seconds in before.items() if name != event.name}
        state = flow.state if self.state is None else self.state
        stored = flow.states.encode(state)
        step = flow.decide(self.state, event)
        if flow.states.encode(state) != stored:
            cure = "return a new one, such as msgspec.structs.replace(state, ...)"
            raise AssertionError(f"the state was changed in place by the function for {event!r}; {cure}")
        if step is None:
            return FlowSituation(self.state, before, id=self.id)
        if step.state is None:
            return FlowSituation(has_ended=True, commands=step.commands, id=id)
        flow.states.encode(step.state)  # one that would not come back is an error here, too
        return FlowSituation(step.state, step.due_times(before, 0), commands=step.commands, id=id)

    def _find_reason(self, flow: Flow[S], event: Message | Timeout) -> str:
        """Return the reason for which an event is passed over; empty if it is not."""
        if self.has_ended:
            return "the instance has ended"
        if self.state is None:
            begins = ", ".join(kind.__qualname__ for kind in flow.begins)
            return "" if type(event) in flow.begins else f"the instance has not begun, which it does with {begins}"
        if isinstance(event, Timeout):
            return "it is not set" if event.name in flow.timeouts.keys() - self.timeouts.keys() else ""
        if type(event) in flow.reacts:
            return ""
        return "the instance has begun already" if type(event) in flow.begins else "the flow has no function for it"


class GivenFlow(Generic[S]):
    """A flow and the events of the past of an instance; its functions run under the guard of `modd.service.pure`.

    The function ``identity`` of the flow is asked about each event. The instance is that of the event that begins it;
    an event of another one is passed over. An event without an identity counts as caused by a command of the instance,
    unless it comes with its stamps: ``Envelope(event)``, or ``Envelope(event, InFlow("fulfilment", "7"))``.

    flow: the flow. past: its events and timeouts, in order.
    """

    def __init__(self, flow: Flow[S], past: Sequence[Happening]) -> None:
        self._flow, self._instance = _guarded(flow), FlowSituation[S]()
        for event in past:
            self._instance = self._instance.after(self._flow, place_event(self._flow, event))

    def when(self, event: Happening) -> WhenFlow[S]:
        """Set the event for the instance, or the timeout that is due: ``when(Timeout("payment"))``.

        Raises `InvalidOption` for anything else, `modd.service.ImpureCall`, and the errors of the function for it and
        of ``identity``.
        """
        placed = place_event(self._flow, event)
        return WhenFlow(placed.content, self._instance, self._instance.after(self._flow, placed))


class WhenFlow(Generic[S]):
    """An event that an instance has had, to be compared with expectations, without await.

    event: the event or the timeout. before, after: the instance.

    The methods raise `AssertionError` with the difference, and with the reason if the event was passed over.
    """

    def __init__(self, event: Message | Timeout, before: FlowSituation[S], after: FlowSituation[S]) -> None:
        self._event, self._before, self._after = event, before, after

    def then(self, *commands: Command[Any]) -> None:
        """Expect that exactly these commands are sent, in this order."""
        if list(self._after.commands) != list(commands):
            lines = differing_lines(commands, self._after.commands)
            self._fail("the commands differ (- expected, + sent):", *lines)

    def then_nothing(self) -> None:
        """Expect that nothing follows: no command is sent, and state and timeouts stay as they are."""
        found = [*self._changes()]
        if found:
            self._fail("nothing was expected to follow, but:", *found)

    def then_timeouts(self, timeouts: Mapping[str, float]) -> None:
        """Expect that exactly these timeouts are set afterwards. timeouts: the seconds that each was set with."""
        if dict(self._after.timeouts) != dict(timeouts):
            self._fail(
                "the timeouts differ (- expected, + actual):",
                f"- {dict(timeouts)!r}",
                f"+ {dict(self._after.timeouts)!r}",
            )

    def then_state(self, state: S) -> None:
        """Expect that this is the state of the instance afterwards."""
        actual = self._after.state
        if actual is None:
            self._fail(
                f"a state was expected, but the instance has {'ended' if self._after.has_ended else 'not begun'}"
            )
        if actual != state:
            alike = [ALIKE] if repr(state) == repr(actual) else []
            self._fail("the state differs (- expected, + actual):", f"- {state!r}", f"+ {actual!r}", *alike)

    def then_ended(self) -> None:
        """Expect that the instance has ended."""
        if not self._after.has_ended:
            found = "it has not begun" if self._after.state is None else f"its state is {self._after.state!r}"
            self._fail(f"the end of the instance was expected, but {found}")

    def _changes(self) -> Iterator[str]:
        before, after = self._before, self._after
        if after.commands:
            yield f"{', '.join(map(repr, after.commands))} {'was' if len(after.commands) == 1 else 'were'} sent"
        if after.has_ended and not before.has_ended:
            yield "the instance ended"
            return
        if after.state != before.state:
            yield f"its state became {after.state!r}"
        if after.timeouts != before.timeouts:
            yield f"its timeouts became {dict(after.timeouts)!r}"

    def _fail(self, *lines: str) -> None:
        if self._after.passed_over:
            lines += (f"{self._event!r} was passed over: {self._after.passed_over}",)
        raise AssertionError("\n".join(lines))


def _guarded(flow: Flow[S]) -> Flow[S]:
    """Return the same flow with its functions under the guard of `pure`."""
    guarded = copy(flow)
    guarded.begins = {kind: pure(function) for kind, function in flow.begins.items()}
    guarded.reacts = {kind: pure(function) for kind, function in flow.reacts.items()}
    guarded.timeouts = {name: pure(function) for name, function in flow.timeouts.items()}
    return guarded
