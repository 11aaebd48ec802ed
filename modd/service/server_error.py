"""The message about an error that is none of the domain."""

from __future__ import annotations

from modd.cqrs.intents import Event


class ServerError(Event, tag="modd.ServerError"):
    """A `Handler` could not do its work, and has no message for the error; the log has the traceback.

    reason: the type and the text of the error, sensitive content masked. It may name parts of your program: show it to
    operators, and a text of yours to users.
    """

    reason: str
