"""Responses for errors: a status for each type of error, and no sensitive content."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core.core_schema import ErrorType

from modd.core import mask_error, mask_values, path_steps, show_safely
from modd.cqrs import Forbidden, InvalidIntent
from modd.fastapi.request_bus import SENT
from modd.http_errors import OUTAGES, STATUSES, is_of_client, retry_after
from modd.texts import encodable, text_of

log = logging.getLogger("modd.fastapi")

_TEXTS_WITHOUT_VALUES = set(get_args(ErrorType)) - {
    "assertion_error",
    "union_tag_invalid",
    "value_error",
}
"""The types of pydantic's errors whose texts are made without the value and without code of users."""


async def respond(statuses: Mapping[type[Exception], int], request: Request, error: Exception) -> JSONResponse:
    """Return the response for an error in a table of statuses.

    Raises the error again, for a response of 500, if it is an `InvalidIntent` about a result or about an intent that
    the client did not send.
    """
    kind = next(kind for kind in type(error).__mro__ if kind in statuses)
    status, sent = statuses[kind], request.scope.get(SENT, [])
    if kind in OUTAGES:
        log.warning("a request is answered with %d: %s", status, text_of(error))
        return _response(status, error, "Unavailable")
    if type(error) is Forbidden:
        return _refusal(status, error)
    if not isinstance(error, InvalidIntent):
        return _response(status, error, encodable(mask_error(show_safely(str, error), error, tuple(sent))))
    if not is_of_client(error, sent):
        raise error
    return _response(status, error, [_misfit("invalid", _place(request, path), text) for path, text in error.errors])


async def respond_to_misfits(status: int, request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the response for a request that does not fit its route: all misfits with their paths, and no values."""
    detail = [_misfit(each["type"], each["loc"], _text_without_values(each)) for each in error.errors()]
    return _response(status, error, detail)


def _refusal(status: int, error: Forbidden) -> JSONResponse:
    """Return the response for a refused message, without the rule, which is of no use to the client."""
    name = error.intent.__qualname__
    if error.actor is not None:
        return _response(status, error, f"{error.actor} may not {name}")
    return _response(401 if status == STATUSES[Forbidden] else status, error, f"{name} needs an actor: sign in")


def _response(status: int, error: Exception, detail: Any) -> JSONResponse:
    seconds = retry_after(error)
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return JSONResponse({"error": type(error).__name__, "detail": detail}, status, headers)


def _misfit(kind: str, place: Iterable[str | int], text: str) -> dict[str, Any]:
    """Return a misfit in the form that FastAPI gives it, and documents in OpenAPI."""
    loc = [encodable(step) if isinstance(step, str) else step for step in place]
    return {"type": kind, "loc": loc, "msg": encodable(text)}


def _place(request: Request, path: str) -> tuple[str | int, ...]:
    """Return the place in a request that a field of the intent came from: path, query or body."""
    steps = path_steps(path)
    for place, names in (("path", request.path_params), ("query", request.query_params)):
        if steps and steps[0] in names:
            return place, *steps
    return "body", *steps


def _text_without_values(misfit: Mapping[str, Any]) -> str:
    text: str = misfit["msg"]
    return text if misfit["type"] in _TEXTS_WITHOUT_VALUES else mask_values(text, misfit.get("input"))
