"""A message of a NATS server."""

from __future__ import annotations

from msgspec import Struct


class NatsMessage(Struct, frozen=True, eq=True, gc=False):
    """A message of a NATS server, or the answer to a request.

    subject: its subject.
    body: its content.
    headers: its headers, by name; empty if it has none. A message about the status of a consumer has ``Status`` and
        ``Description``.
    reply: the subject for an answer; empty if it wants none.
    """

    subject: str
    body: bytes = b""
    headers: dict[str, str] = {}
    reply: str = ""
