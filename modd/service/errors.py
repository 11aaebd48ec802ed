"""The errors of services: those of the domain, and those of functions that are to be pure."""

from __future__ import annotations

from modd.errors import ModdError
from modd.texts import amount


class DomainError(ModdError):
    """The base of the errors of your domain, such as a room that is full: ``class RoomFull(DomainError)``.

    Return or raise one in a function of a `Service`: nothing is stored then, and the `Handler` makes the message of it
    that you name in ``errors``.
    """


class ImpureCall(ModdError, RuntimeError):
    """A function that runs under the guard of `pure` has called something that is not pure; the call was not made.

    function: the name of the guarded function.
    call: the call, as ``time.time`` or ``os.environ``.
    place: the file and the line that made the call; empty by default.

    Read the clock, throw the dice, open the file in a `Handler`, and pass the value in. An effect comes back as data:
    as an event, which the handler stores and tells.
    """

    def __init__(self, function: str, call: str, place: str = "") -> None:
        self.function, self.call, self.place = function, call, place
        where = f" in {place}" if place else ""
        super().__init__(
            f"{function} is to be pure, and calls {call}{where}; pass the value in, or return an event about the effect"
        )


class TooFewValues(ModdError, LookupError):
    """An `Entropy` has fewer values than were taken.

    wanted: the number of values that were to be taken.
    left: the number of values that there are.

    Give it as many values as the decision can need.
    """

    def __init__(self, wanted: int, left: int) -> None:
        self.wanted, self.left = wanted, left
        super().__init__(f"{amount(wanted, 'value')} wanted, and {left} left; give Entropy {wanted - left} more")
