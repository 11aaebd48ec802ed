"""Installation of a bus in an app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError

from modd.checks import checked_flag
from modd.core import Bus
from modd.cqrs import InvalidIntent, TypedBus
from modd.errors import InvalidOption
from modd.fastapi.request_bus import BUS
from modd.fastapi.responses import respond, respond_to_misfits
from modd.http_errors import OUTAGES, STATUSES, checked_statuses


def install(
    app: FastAPI,
    bus: Bus | TypedBus,
    statuses: Mapping[type[Exception], int] = {},
    *,
    lifespan: bool = True,
) -> None:
    """Give an app its bus: open it with the app, send messages of routes to it, and turn errors into responses.

    Call it once for an app, before the first request. An exception handler that the app has already stays.

    app: the app.
    bus: the bus; a `Bus` around the buses of all contexts if there are several.
    statuses: the HTTP status for each type of error, derived types included; your errors, or others for errors of modd.
        By default, `STATUSES`. The text of these errors is sent to the client. A store, a link or a context that is
        away is a 503 unless it has a status or a handler of yours, and its text goes to the log alone.
    lifespan: True (default) to open the bus when the app starts, inside of the lifespan of the app, and close it when
        the app stops. False if you open the bus.

    Raises:
        InvalidOption: the app has a bus or has served a request, or another option has a value that cannot work.
    """
    _check(app, bus)
    checked_flag("lifespan", lifespan)
    own = checked_statuses("statuses", statuses)
    table = _outages_without({*own, *app.exception_handlers}) | STATUSES | own
    setattr(app.state, BUS, bus)
    for kind in table:
        if kind in statuses or kind not in app.exception_handlers:
            app.add_exception_handler(kind, partial(respond, table))
    if app.exception_handlers.get(RequestValidationError) is request_validation_exception_handler:
        misfits: Any = partial(respond_to_misfits, table[InvalidIntent])
        app.add_exception_handler(RequestValidationError, misfits)
    if lifespan:
        _open_with(app, bus)


def _outages_without(known: set[Any]) -> dict[type[Exception], int]:
    """Return the statuses of outages but for those that the app knows, themselves or by a base such as ``OSError``."""
    return {kind: status for kind, status in OUTAGES.items() if known.isdisjoint({*kind.__mro__} - {Exception})}


def _check(app: Any, bus: Any) -> None:
    if not isinstance(app, FastAPI):
        raise InvalidOption("app", app, "give a fastapi.FastAPI")
    if not isinstance(bus, (Bus, TypedBus)):
        raise InvalidOption("bus", bus, "give a modd.Bus, or a typed bus")
    if hasattr(app.state, BUS):
        raise InvalidOption("app", app, "it has a bus; put both into one modd.Bus, and install that")
    if app.middleware_stack is not None:
        raise InvalidOption("app", app, "it has served a request; install the bus before the first one")


def _open_with(app: FastAPI, bus: Bus | TypedBus) -> None:
    outer = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with outer(app) as state, bus:
            yield state

    app.router.lifespan_context = lifespan
