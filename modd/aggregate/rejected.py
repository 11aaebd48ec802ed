"""The event about a rejected command."""

from __future__ import annotations

from modd.cqrs.intents import Event


class Rejected(Event):
    """A command was rejected. Return it in a function of a chain, as ``return Rejected("Amount is too high.")``.

    In a `Bus`, components that name the type in their annotation get it.

    reason: the reason, as a text.
    command: the name of the command's type on the wire; filled by the aggregate.
    aggregate: the name of the aggregate; filled by the aggregate.
    id: the identity of the instance; filled by the aggregate.
    """

    reason: str
    command: str = ""
    aggregate: str = ""
    id: str = ""
