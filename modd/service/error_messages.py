"""The messages about errors: those that the user names by type of error, and `ServerError` for all others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modd.concurrency.cancellation import error_of
from modd.core import Message, error_text, log_error, wire_name
from modd.errors import InvalidOption
from modd.service.injected import messages_in
from modd.service.server_error import ServerError


class ErrorMessages:
    """Makes messages of errors.

    errors: by type of error, a function ``(error, subject)``; the nearest base counts. name: the name of the handler.

    Raises:
        InvalidOption: ``errors`` has anything but types of errors, or anything but functions.
    """

    def __init__(self, errors: Any, name: str) -> None:
        self._functions, self._name = _checked_errors(errors), name

    async def messages(self, error: Exception, subject: Message) -> Sequence[Message]:
        """Return the messages about an error; of one without a function a `ServerError`, which is logged, too.

        subject: the command, the query or the message that failed.
        """
        functions = (self._functions[kind] for kind in type(error).__mro__ if kind in self._functions)
        function = next(functions, None)
        if function is None:
            return (self._server_error(error, subject),)
        told: list[Message] = []

        async def tell() -> None:
            told.extend(await messages_in(function(error, subject), self._name))

        failure = await error_of(tell)
        return told if failure is None else (self._server_error(failure, subject),)

    def _server_error(self, error: Exception, subject: Message) -> ServerError:
        logger = logging.getLogger(f"modd.{self._name}")
        log_error(logger, "%s failed", wire_name(type(subject)), error=error, message=subject)
        return ServerError(error_text(error, subject))


def _checked_errors(errors: Any) -> dict[type[Exception], Callable[[Any, Any], Any]]:
    cure = "give a function (error, command) for each type of error"
    if not isinstance(errors, Mapping):
        raise InvalidOption("errors", errors, cure)
    for kind, function in errors.items():
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise InvalidOption("errors", kind, cure)
        if not callable(function):
            raise InvalidOption("errors", function, cure)
    return dict(errors)
