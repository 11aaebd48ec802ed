"""The registration context behind HTTP: messages are the bodies of requests and responses.

Run it: `python examples/web.py`, then `curl -H "Authorization: Bearer demo" http://127.0.0.1:8000/users`.
"""

from collections.abc import Mapping
from typing import Annotated

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
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
from modd.cqrs import Actor
from modd.fastapi import Body, RequestBus, bus_with, install


async def actor_of(request: Request, bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Actor:
    """Return the actor for the token of a request."""
    actor: Actor | None = request.app.state.tokens.get(bearer.credentials)
    if actor is None:
        raise HTTPException(401, "unknown token", {"WWW-Authenticate": "Bearer"})
    return actor


UsersBus = Annotated[RequestBus, Depends(bus_with(actor_of))]

router = APIRouter(prefix="/users")


@router.post("", status_code=201)
async def create(command: Body[CreateUser], users: UsersBus) -> int:
    return await users.ask(command)


@router.get("")
async def find_all(users: UsersBus) -> tuple[User, ...]:
    return await users.ask(ListUsers())


@router.get("/{id}")
async def find(id: int, users: UsersBus) -> User:
    return await users.ask(GetUser(id))


@router.delete("/{id}", status_code=204)
async def remove(id: int, users: UsersBus) -> None:
    await users.ask(RemoveUser(id))


def App(users: Bus, tokens: Mapping[str, Actor]) -> FastAPI:
    """Create the HTTP interface of a context, which is open while the server runs.

    tokens: the actors by their bearer tokens.
    """
    app = FastAPI(title="users")
    app.state.tokens = tokens
    app.include_router(router)
    install(app, users, {UnknownUser: 404, EmailTaken: 409, ConnectionError: 503})
    return app


if __name__ == "__main__":
    uvicorn.run(App(Users(Database(), Mailbox(), Backlog()), {"demo": ADMIN}))
