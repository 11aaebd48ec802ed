"""Problems: errors as clients see them, without a value, a class or a path of a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from modd.aggregate import CommandRejected
from modd.core import log_error, mask_error, mask_values, show_safely
from modd.cqrs import Forbidden, InvalidIntent, Undecodable
from modd.cqrs.outcomes import MessageOutcome, error_names, is_for_clients
from modd.gateway.errors import Refused
from modd.gateway.json_body import MOST_MISFITS
from modd.http_errors import OUTAGES, STATUSES, http_status_of, is_of_client, retry_after
from modd.texts import encodable, text_of

log = logging.getLogger("modd.gateway")

GATEWAY_STATUSES: dict[type[Exception], int] = STATUSES | OUTAGES | {Undecodable: 422, CommandRejected: 409}
"""The status for each error of modd. Any other error is a 500."""

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Invalid content",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
    504: "Timeout",
}
"""The titles of problems, by status; of any other status, "Error"."""

_LONGEST_PATH = 200
"""Characters of a path: its keys are of the client."""


@dataclass(frozen=True)
class Problem:
    """An error as a client sees it.

    status: the status of the response. detail: a sentence; empty if there is no more to say than the title.
    errors: path and message of each part of the content that does not fit.
    id: the id under which the log has a 500. retry_after: seconds; None if no time is known.
    """

    status: int
    detail: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    id: str = ""
    retry_after: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The content, in the form of ``application/problem+json``."""
        content: dict[str, Any] = {"type": "about:blank", "title": TITLES.get(self.status, "Error")}
        content["status"] = self.status
        if self.detail:
            content["detail"] = self.detail
        if self.errors:
            content["errors"] = [{"path": path, "message": message} for path, message in self.errors]
        if self.id:
            content["id"] = self.id
        return content

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response that belong to it."""
        headers = {"Content-Type": "application/problem+json"}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers

    def encode(self) -> bytes:
        """Return the content as JSON."""
        return msgspec.json.encode(self.body)


class Problems:
    """Turns errors into problems, and logs errors that are no client's fault.

    statuses: the statuses of errors of the application, whose texts are for clients.
    """

    def __init__(self, statuses: Mapping[type[Exception], int]) -> None:
        self._own = {CommandRejected: 409} | dict(statuses)
        self._statuses = GATEWAY_STATUSES | dict(statuses)
        self._by_name = {error_names(kind)[0]: status for kind, status in self._own.items()}

    def problem(self, error: Exception, sent: Sequence[Any] = ()) -> Problem:
        """Return the problem for an error of a request.

        sent: the messages that were sent for it.
        """
        if isinstance(error, Refused):
            return Problem(error.status, encodable(str(error.reason)), retry_after=_seconds(error, error.status))
        status = http_status_of(error, self._statuses)
        if status is None or status == 500 or (isinstance(error, InvalidIntent) and not is_of_client(error, sent)):
            return self._internal_error(error, sent)
        if type(error) is Forbidden and error.actor is None and status == STATUSES[Forbidden]:
            return Problem(401)
        if isinstance(error, InvalidIntent):
            misfits = error.errors[:MOST_MISFITS]
            return Problem(status, errors=tuple((_path(path), encodable(text)) for path, text in misfits))
        if isinstance(error, tuple(OUTAGES)):
            log.warning("a request is answered with %d: %s", status, text_of(error))
        detail = self._detail(error, sent)
        return Problem(status, detail, retry_after=_seconds(error, status))

    def problem_of_failure(self, outcome: MessageOutcome, id: str, sent: Sequence[Any]) -> Problem:
        """Return the problem for a queued message that was rejected or has failed; the log of the worker has the error.

        id: the id of the message. sent: the message.
        """
        status = next((self._by_name[name] for name in outcome.errors if name in self._by_name), 500)
        if status == 500:
            return Problem(500, id=id)
        text = outcome.reason if outcome.outcome == "rejected" else outcome.text
        return Problem(status, _without_values(text, sent), retry_after=_least_seconds(status))

    def _detail(self, error: Exception, sent: Sequence[Any]) -> str:
        """Return the text of an error of the application, without values of the request; of other errors, none."""
        if http_status_of(error, self._own) is None or not is_for_clients(error):
            return ""
        return _without_values(mask_error(show_safely(str, error), error, tuple(sent)), sent)

    def _internal_error(self, error: Exception, sent: Sequence[Any]) -> Problem:
        id = uuid4().hex
        log_error(log, "Internal error %s of a request", id, error=error, message=tuple(sent))
        return Problem(500, id=id)


def _seconds(error: Exception, status: int) -> int | None:
    """Return the value of ``Retry-After``; for 429 and 503 there is always one."""
    seconds = retry_after(error)
    return _least_seconds(status) if seconds is None else seconds


def _least_seconds(status: int) -> int | None:
    return 1 if status in (429, 503) else None


def _without_values(text: str, sent: Sequence[Any]) -> str:
    for message in sent:
        text = mask_values(text, message)
    return encodable(text)


def _path(path: str) -> str:
    return encodable(path.removeprefix("$").removeprefix("."))[:_LONGEST_PATH]
