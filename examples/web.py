"""The registration context behind HTTP: messages are the bodies of requests and responses.

Run it: `python examples/web.py`, then `curl -H "Authorization: Bearer demo" http://127.0.0.1:8000/users`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from math import ceil
from typing import Annotated

import uvicorn
from fastapi import Body, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from examples.users import (
    ADMIN,
    Backlog,
    CreateUser,
    Database,
    EmailTaken,
    GetUser,
    ListUsers,
    Mailbox,
    RemoveUser,
    UnknownUser,
    User,
    Users,
)
from modd import Bus
from modd.cqrs import (
    Actor,
    CircuitOpen,
    DispatchTimeout,
    FeatureDisabled,
    Forbidden,
    InvalidIntent,
    LockTimeout,
    NoHandler,
    RateLimited,
)

STATUS: dict[type[Exception], int] = {
    Forbidden: 403,
    NoHandler: 404,
    UnknownUser: 404,
    EmailTaken: 409,
    InvalidIntent: 422,
    RateLimited: 429,
    CircuitOpen: 503,
    ConnectionError: 503,
    FeatureDisabled: 503,
    LockTimeout: 503,
    DispatchTimeout: 504,
}
"""The status for each error. An error that is not here is a 500, and its text stays in the log."""

RETRY_AFTER = 1
"""Seconds for the header Retry-After if the error has no such time."""


async def error_response(request: Request, error: Exception) -> JSONResponse:
    """Return the response for an error of the table."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    detail = [{"path": path, "message": text} for path, text in getattr(error, "errors", ())]
    wait = ceil(getattr(error, "retry_after", RETRY_AFTER))
    headers = {"Retry-After": str(wait)} if status in (429, 503) else {}
    return JSONResponse({"error": type(error).__name__, "detail": detail or str(error)}, status, headers)


async def validation_response(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the response for an invalid body; unlike the default of FastAPI, it does not repeat the input."""
    detail = [{"path": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in error.errors()]
    return JSONResponse({"error": "InvalidIntent", "detail": detail}, STATUS[InvalidIntent])


async def actor_of(request: Request, bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Actor:
    """Return the actor for the token of a request."""
    actor: Actor | None = request.app.state.tokens.get(bearer.credentials)
    if actor is None:
        raise HTTPException(401, "unknown token", {"WWW-Authenticate": "Bearer"})
    return actor


CurrentActor = Annotated[Actor, Depends(actor_of)]


def App(users: Bus, tokens: Mapping[str, Actor]) -> FastAPI:
    """Create the HTTP interface of a context, which is open while the server runs.

    tokens: the actors by their bearer tokens.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with users:
            yield

    app = FastAPI(title="users", lifespan=lifespan)
    app.state.tokens = tokens
    app.exception_handler(RequestValidationError)(validation_response)
    for kind in STATUS:
        app.add_exception_handler(kind, error_response)

    @app.post("/users", status_code=201)
    async def create(command: Annotated[CreateUser, Body()], actor: CurrentActor) -> int:
        return await users.ask(command, actor)

    @app.get("/users")
    async def find_all(actor: CurrentActor) -> tuple[User, ...]:
        return await users.ask(ListUsers(), actor)

    @app.get("/users/{id}")
    async def find(id: int, actor: CurrentActor) -> User:
        return await users.ask(GetUser(id), actor)

    @app.delete("/users/{id}", status_code=204)
    async def remove(id: int, actor: CurrentActor) -> None:
        await users.ask(RemoveUser(id), actor)

    return app


if __name__ == "__main__":
    uvicorn.run(App(Users(Database(), Mailbox(), Backlog()), {"demo": ADMIN}))
