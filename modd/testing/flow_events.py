"""Events for a flow under test, with the identity of the instance that they are for."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from modd.core import Message
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import InFlow
from modd.errors import InvalidOption
from modd.flow import Flow, Timeout
from modd.service.purity import run_guarded

Happening: TypeAlias = Message | Timeout | Envelope[Any]
"""An event, a timeout that is due, or an event with the stamps that it has in the log."""


class PlacedEvent(msgspec.Struct, frozen=True):
    """An event or a timeout, and the instance that it is for.

    content: the event or the timeout. id: the identity of the instance; None for an event that names none.
    has_stamps: True if it came with its stamps, so that no command of an instance has caused it unless they say so.
    """

    content: Message | Timeout
    id: str | None = None
    has_stamps: bool = False

    def find_misplacement(self, instance: str) -> str:
        """Return the reason for which it is not for an instance; empty if it is.

        instance: the identity of the instance; empty before it has begun.
        """
        if isinstance(self.content, Timeout) or self.id == instance:
            return ""
        if self.id is not None:
            return f"its identity is {self.id!r}, and that of the instance {instance!r}" if instance else ""
        if not instance:
            return "its identity is None"
        return "its identity is None, and no command of the instance has caused it" if self.has_stamps else ""


def place_event(flow: Flow[Any], event: Any) -> PlacedEvent:
    """Return an event with the identity that the flow finds for it, under the guard of `modd.service.pure`.

    Raises `InvalidOption` for anything else, `modd.service.ImpureCall`, and the error of the function ``identity``.
    """
    content = event.message if isinstance(event, Envelope) else event
    if not isinstance(content, (Message, Timeout)):
        raise InvalidOption("event", content, 'give an event, or a timeout: when(Timeout("payment"))')
    if type(content) not in (*flow.begins, *flow.reacts):
        return PlacedEvent(content)
    in_flow = _in_flow(flow, event) if isinstance(event, Envelope) else None
    id = run_guarded(f"the identity of {flow.name}", flow.instance_of, (content, in_flow), {})
    return PlacedEvent(content, id, isinstance(event, Envelope))


def _in_flow(flow: Flow[Any], envelope: Envelope[Any]) -> str | None:
    stamp = envelope.last(InFlow)
    return stamp.id if stamp is not None and stamp.flow == flow.name else None
