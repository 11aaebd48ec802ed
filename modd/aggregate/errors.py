"""The errors of aggregates."""

from __future__ import annotations

from collections.abc import Iterable

from modd.aggregate.rejected import Rejected
from modd.cqrs.errors import GiveUp, InvalidHandler
from modd.errors import InvalidOption, ModdError
from modd.texts import escape_control


class CommandRejected(GiveUp):
    """A command was rejected, and nothing was recorded; a retry does not help.

    Raise it in a function of a chain, or in code that such a function calls, to reject the command; `dispatch` and
    `ask` raise it with the other fields.

    reason: the reason, as a text; by default "Command rejected."
    command: the name of the command's type on the wire; empty until an aggregate has it.
    aggregate: the name of the aggregate; empty until then.
    id: the identity of the instance; empty until then.

    Raises:
        InvalidOption: ``reason`` is no text.
    """

    def __init__(self, reason: str = "", command: str = "", aggregate: str = "", id: str = "") -> None:
        if not isinstance(reason, str):
            raise InvalidOption("reason", reason, "give a text")
        self.rejected = Rejected(reason or REJECTED, command, aggregate, id)
        """The rejection as an event."""
        super().__init__(self.rejected.reason)

    @property
    def command(self) -> str:
        """The name of the command's type on the wire."""
        return self.rejected.command

    @property
    def aggregate(self) -> str:
        """The name of the aggregate."""
        return self.rejected.aggregate

    @property
    def id(self) -> str:
        """The identity of the instance."""
        return self.rejected.id


REJECTED = "Command rejected."
"""The reason of a rejection without one."""


class MisusedMark(InvalidHandler):
    """A function of a chain has made no mark, a second one, or one that is not for its place; nothing was recorded.

    function: the name of the function.
    command: the name of the command's type on the wire.
    problem: the fault and the way to mend it, as a text.

    The last function marks with ``mark.as_done(...)``, those before it with ``mark.as_ready_for_next()``, and each may
    mark with ``mark.as_rejected(...)``: once, and before it returns.
    """

    def __init__(self, function: str, command: str, problem: str) -> None:
        self.function, self.command = function, command
        super().__init__(function, f"for {command} {problem}")


class UnknownEvent(ModdError, LookupError):
    """An event was published, or found in a stream, for which the aggregate has no function.

    event: the name of the event's type on the wire.
    aggregate: the name of the aggregate.
    known: the names of the events that have a function.
    place: the place of a stored event, such as ``invoice/7, revision 3``; empty for one that was published.

    Add the type to ``events`` of the aggregate; for a stored event under an older name, give the codec an upcaster.
    """

    def __init__(self, event: str, aggregate: str, known: Iterable[str], place: str = "") -> None:
        self.event, self.aggregate, self.known, self.place = event, aggregate, tuple(known), place
        where = f" (stored in {escape_control(place)})" if place else ""
        cure = "for one that was renamed, give the codec an upcaster" if place else "add a function for it"
        super().__init__(
            f"{aggregate} has no function for the event {event}{where}; its events are: {', '.join(self.known)}; {cure}"
        )


class WrongState(ModdError, TypeError):
    """An event function has returned something else than a state.

    function: the name of the function.
    state: the type of the states.
    returned: the type of the value that it returned.

    Return the new state, as in ``return msgspec.structs.replace(state, amount=event.amount)``.
    """

    def __init__(self, function: str, state: type, returned: type) -> None:
        self.function, self.state, self.returned = function, state, returned
        super().__init__(
            f"{function} returned {returned.__qualname__}, and the state is {state.__qualname__}; "
            "return the new state, such as msgspec.structs.replace(state, ...)"
        )
