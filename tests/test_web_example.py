"""The registration context behind HTTP, as a client sees it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx2
import pytest
import uvicorn
from openapi_spec_validator import validate

from examples.users import ADMIN, GUEST, Backlog, CreateUser, Database, GetUser, Mailbox, UserCreated, Users
from examples.web import App
from modd import Bus
from modd.cqrs import (
    Actor,
    CircuitOpen,
    DispatchTimeout,
    FeatureDisabled,
    InvalidIntent,
    LockTimeout,
    NoHandler,
    RateLimited,
)

ADA = {"name": "Ada", "email": "ada@example.com"}


class Service:
    """The server on a free port, and what is behind it."""

    def __init__(self) -> None:
        self.database, self.mailbox, self.off = Database(), Mailbox(), set[Any]()
        self.users: Bus = Users(self.database, self.mailbox, Backlog(), off=self.off)
        self.app = App(self.users, {"admin": ADMIN, "guest": GUEST, "clerk": Actor(id="cy", roles=("clerk",))})
        self.url = ""

    def client(self, token: str | None = "admin") -> httpx2.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    def ask(self, method: str, path: str, token: str | None = "admin", **more: Any) -> httpx2.Response:
        with self.client(token) as client:
            return client.request(method, path, **more)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Run a server in a thread of its own; what connects before it has started waits in the socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:  # TCP: answers do not wait
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=60))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=120)
            assert not thread.is_alive()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    with serving(service.app) as service.url:
        yield service


class Held:
    """Something that is open together with the bus."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def __call__(self, message: UserCreated) -> None:
        self.states.append("used")

    async def __aenter__(self) -> None:
        self.states.append("open")

    async def __aexit__(self, *_: object) -> None:
        self.states.append("closed")


def raising(error: Exception) -> Callable[[GetUser], NoReturn]:
    def fake(query: GetUser) -> NoReturn:
        raise error

    return fake


def test_messages_are_the_bodies_of_requests_and_responses(service: Service) -> None:
    created = service.ask("POST", "/users", json=ADA)
    assert (created.status_code, created.json()) == (201, 1)
    found = service.ask("GET", "/users/1", "guest")
    assert (found.status_code, found.json()) == (200, {"id": 1, **ADA})
    assert service.ask("GET", "/users", "guest").json() == [found.json()]
    assert service.mailbox.sent == ["ada@example.com: Welcome, Ada!"]
    removed = service.ask("DELETE", "/users/1")
    assert (removed.status_code, removed.content) == (204, b"")
    assert service.ask("GET", "/users/1").status_code == 404


def test_the_context_is_open_for_as_long_as_the_server_runs() -> None:
    service, held = Service(), Held()
    service.users.add(held)
    with serving(service.app) as service.url:
        service.ask("POST", "/users", json=ADA)
        assert held.states == ["open", "used"]
    assert held.states == ["open", "used", "closed"]


@pytest.mark.parametrize("token", [None, "stolen"])
def test_who_is_not_known_is_refused_before_anything_is_dispatched(service: Service, token: str | None) -> None:
    refused = service.ask("POST", "/users", token, json=ADA)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert not service.database.users


def test_the_actor_decides_who_may_do_what(service: Service) -> None:
    assert service.ask("POST", "/users", "clerk", json=ADA).status_code == 201
    refused = service.ask("DELETE", "/users/1", "clerk")
    assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
    assert "cy may not RemoveUser" in refused.json()["detail"]


@pytest.mark.parametrize("body", [{"name": "Ada"}, ADA | {"email": "nowhere"}, ADA | {"name": 1}, [], None])
def test_a_body_that_is_no_message_is_refused(service: Service, body: Any) -> None:
    refused = service.ask("POST", "/users", json=body)
    assert (refused.status_code, refused.json()["error"]) == (422, "RequestValidationError")
    assert refused.json()["detail"][0]["loc"][0] == "body"
    assert "nowhere" not in refused.text  # addresses are sensitive
    assert not service.database.users


def test_errors_of_the_context_are_answers(service: Service) -> None:
    service.ask("POST", "/users", json=ADA)
    taken = service.ask("POST", "/users", json=ADA)
    assert (taken.status_code, taken.json()["error"]) == (409, "EmailTaken")
    service.database.fail = 3
    lost = service.ask("POST", "/users", json=ADA | {"email": "eve@example.com"})
    assert (lost.status_code, lost.json()["error"]) == (503, "ConnectionError")
    service.off.add(CreateUser)
    assert service.ask("POST", "/users", json=ADA).json()["error"] == "FeatureDisabled"


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (RateLimited(GetUser, 59.2), 429, "60"),
        (CircuitOpen(GetUser, 2.5), 503, "3"),
        (LockTimeout("users", 5), 503, None),
        (FeatureDisabled(GetUser), 503, None),
        (DispatchTimeout(GetUser, 5), 504, None),
        (NoHandler(GetUser, "queries", ()), 404, None),
    ],
)
def test_each_error_of_the_table_has_its_status(
    service: Service, error: Exception, status: int, retry_after: str | None
) -> None:
    with service.users.override({GetUser: raising(error)}):
        answer = service.ask("GET", "/users/1")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert answer.json() == {"error": type(error).__name__, "detail": str(error)}


def test_errors_of_fields_are_told_by_their_paths(service: Service) -> None:
    with service.users.override({GetUser: raising(InvalidIntent(GetUser, [("$.id", "too small")]))}):
        answer = service.ask("GET", "/users/1")
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        [{"type": "invalid", "loc": ["path", "id"], "msg": "too small"}],
    )


def test_the_messages_are_in_the_documentation_of_the_interface(service: Service) -> None:
    document = service.ask("GET", "/openapi.json").json()
    validate(document)
    body = document["paths"]["/users"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    found = document["paths"]["/users/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert (body["$ref"], found["$ref"]) == ("#/components/schemas/CreateUser", "#/components/schemas/User")
    assert document["components"]["schemas"]["CreateUser"]["required"] == ["name", "email"]
    assert document["components"]["securitySchemes"] == {"HTTPBearer": {"type": "http", "scheme": "bearer"}}
