"""The causes of commands: an event of the log, or a timeout, with everything that commands inherit from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modd.aggregate.event_codec import CORRELATION, ID, STAMPS
from modd.core import wire_name
from modd.cqrs.stamps import InFlow, Tenant
from modd.cqrs.wire import STAMP
from modd.follower.track import LoggedEvent

INHERITED = (CORRELATION, STAMPS)
"""The headers of the event that began an instance which its timeouts pass on."""


class Cause(msgspec.Struct, frozen=True):
    """The cause of commands.

    id: that of the event, or a text that no other timeout has. headers: those of the event, as far as they are needed.
    """

    id: str
    headers: Mapping[str, str]

    @property
    def correlation_id(self) -> str:
        """The id of the first message in its line."""
        return self.headers.get(CORRELATION, self.id)

    def stamps(self) -> list[dict[str, Any]]:
        """Return the data of the stamps that it passes on. Raises msgspec's errors."""
        text = self.headers.get(STAMPS)
        return [] if text is None else _decode(text)


class EventPlace(msgspec.Struct, frozen=True):
    """The place of an event.

    in_flow: the identity of the instance whose command has caused it; None for none. tenant: the id of its tenant.
    """

    in_flow: str | None = None
    tenant: str | None = None


NOWHERE = EventPlace()
"""The place of most events: neither a flow nor a tenant is in their stamps."""


IN_FLOW, TENANT = wire_name(InFlow), wire_name(Tenant)


def cause_of(event: LoggedEvent) -> Cause:
    """Return an event as a cause; without an id, its position is its id."""
    return Cause(event.headers.get(ID, str(event.position)), event.headers)


def place_of(headers: Mapping[str, str], flow: str) -> EventPlace:
    """Return the place that the headers of an event tell, for a flow of this name. Raises msgspec's errors."""
    text = headers.get(STAMPS, "")
    if IN_FLOW not in text and TENANT not in text:
        return NOWHERE
    in_flow = tenant = None
    for stamp in _decode(text):
        kind = stamp.get(STAMP)
        if kind == TENANT:
            tenant = str(stamp["id"])
        elif kind == IN_FLOW and stamp["flow"] == flow:
            in_flow = str(stamp["id"])
    return EventPlace(in_flow, tenant)


def origin_of(cause: Cause) -> dict[str, str]:
    """Return the headers of the event that began an instance which commands of its timeouts inherit."""
    headers = {name: cause.headers[name] for name in INHERITED if name in cause.headers}
    return {CORRELATION: cause.id} | headers


_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
