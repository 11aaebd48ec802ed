"""Given, when, then for a service: a model, a command, and the events or the error of the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from modd.core import Message
from modd.errors import InvalidOption
from modd.service import DomainError, Service
from modd.testing.aggregate_scenario import differing_lines, listed
from modd.texts import show

C = TypeVar("C")


E = TypeVar("E", bound=DomainError)


class GivenService(Generic[C]):
    """A service and the model that its decision rests on.

    service: the service. model: the further arguments of its function. options: those that are given by name.
    """

    def __init__(self, service: Service[C, Any], model: Sequence[Any], options: Mapping[str, Any] = {}) -> None:
        self._service, self._model, self._options = service, model, options

    def when(self, command: C) -> WhenService:
        """Have the service decide about a command, under the guard of `pure`, without a loop and a store.

        Raises `InvalidOption` for no message, `ImpureCall`, and any other error that is none of the domain.
        """
        if not isinstance(command, Message):
            raise InvalidOption("command", command, "give the command: when(Join(...))")
        guarded: Service[Any, Any] = Service(self._service.function, guarded=True)
        try:
            return WhenService(guarded.execute(command, *self._model, **self._options))
        except DomainError as error:
            return WhenService((), error)


class WhenService:
    """The decision of a service, to be compared with expectations, without await.

    events: its events. error: its error of the domain; None without one.

    The methods raise `AssertionError` with the difference.
    """

    def __init__(self, events: Sequence[Message], error: DomainError | None = None) -> None:
        self._events, self._error = events, error

    def then(self, *events: Message) -> None:
        """Expect that exactly these events come of the command, in this order."""
        if self._error is not None:
            text = f"{listed(events)} expected, but the command failed with {show(self._error)}"
            raise AssertionError(text) from self._error
        if list(self._events) != list(events):
            head = "the events differ (- expected, + decided):"
            raise AssertionError("\n".join([head, *differing_lines(events, self._events)]))

    def then_nothing(self) -> None:
        """Expect that no event comes of the command, and no error."""
        self.then()

    def then_error(self, kind: type[E]) -> E:
        """Expect an error of the domain of this type, returned or raised, and return it."""
        if isinstance(self._error, kind):
            return self._error
        told = f"{listed(self._events)} decided" if self._error is None else f"it was {show(self._error)}"
        raise AssertionError(f"{kind.__name__} was expected, but {told}") from self._error
