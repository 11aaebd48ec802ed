"""The service: pure decisions about commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar

from modd.checks import checked_flag
from modd.core import Message, name_of, parameters_of
from modd.cqrs.arguments import handler_parameters
from modd.errors import NotAMessage
from modd.service.errors import DomainError
from modd.service.purity import check_sync, pure

C = TypeVar("C")


P = ParamSpec("P")


Outcome: TypeAlias = Message | DomainError | Iterable[Message | DomainError] | None
"""The outcome of a command: an event, several or none, or an error of the domain."""


_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)


class Service(Generic[C, P]):
    """Decides about commands, and does nothing else: ``Service(execute).execute(command, room)`` returns events.

    The function gets the command and the model that the decision rests on. It returns an event, several (a list, or a
    generator) or none, or it returns or raises a `DomainError`. It is pure: it does no I/O, and reads neither the clock
    nor chance; those come as arguments, and effects go as events. A `Handler` does the rest.

    execute: the function ``(command, *model)``, not async.
    guarded: True to run each call under the guard of `pure`, for tests and for development; False by default, which
        costs nothing.

    Raises:
        InvalidOption: ``execute`` is async or no function, or ``guarded`` is no flag.
        InvalidHandler: ``execute`` takes no command.
    """

    def __init__(self, execute: Callable[Concatenate[C, P], Outcome], *, guarded: bool = False) -> None:
        self.function = check_sync("execute", execute)
        """The function."""
        self.name = name_of(execute)
        """The name of the function."""
        handler_parameters(execute)  # it takes a command
        self._model = [each for each in parameters_of(execute)[1:] if each.kind not in _BY_NAME]
        self._call: Callable[Concatenate[C, P], Any] = pure(execute) if checked_flag("guarded", guarded) else execute

    @property
    def takes_model(self) -> bool:
        """True if the function takes more than the command."""
        return bool(self._model)

    @property
    def needs_model(self) -> bool:
        """True if the function cannot be called with the command alone."""
        return any(each.default is each.empty and each.kind is not each.VAR_POSITIONAL for each in self._model)

    def execute(self, command: C, *model: P.args, **options: P.kwargs) -> tuple[Message, ...]:
        """Return the events of a command.

        Raises `DomainError` if the function returns or raises one, `NotAMessage` if it returns anything else, and with
        ``guarded`` `ImpureCall`.
        """
        returned = self._call(command, *model, **options)
        several = isinstance(returned, (list, tuple, Set, Iterator))
        found = tuple(returned) if several else () if returned is None else (returned,)
        for each in found:
            if isinstance(each, DomainError):
                raise each
            if not isinstance(each, Message):
                self._refuse(each)
        return found

    def _refuse(self, value: Any) -> None:
        if inspect.iscoroutine(value):
            value.close()  # nothing will await it
        raise NotAMessage(value, self.name)
