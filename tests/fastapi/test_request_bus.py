"""The bus of a request sends with its stamps, and tells the client what was queued."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import anyio
import httpx2
import pytest
import uvicorn
from fastapi import Depends, FastAPI, Request, Response

from modd import Bus
from modd.cqrs import Actor, Codec, Command, CommandBus, Envelope, EventBus, NotAnswered, Tenant
from modd.errors import InvalidOption
from modd.fastapi import Accepted, Body, NotInstalled, RequestBus, bus_with, install
from modd.middleware import Next
from tests.fastapi.shop import ORDER, SendMail, Ship, Shop, client

pytestmark = pytest.mark.anyio

REQUESTS = 50
GUARD = 60
"""Seconds; only against a hang."""


class Meet(Command[int]):
    number: int


class Meeting:
    """A handler that returns when all have come, which turns one after another never do."""

    def __init__(self, size: int) -> None:
        self.size, self.present = size, 0
        self.complete = anyio.Event()

    async def meet(self, command: Meet) -> int:
        self.present += 1
        if self.present == self.size:
            self.complete.set()
        with anyio.fail_after(GUARD):
            await self.complete.wait()
        return command.number

    def app(self) -> FastAPI:
        app = FastAPI()
        install(app, Bus([CommandBus([self.meet]), EventBus()], name="meeting"))

        @app.post("/meet")
        async def meet(command: Body[Meet], bus: PlainBus) -> int:
            return await bus.ask(command)

        return app


PlainBus = Annotated[RequestBus, Depends(bus_with())]


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Run a server in a thread; requests that come before it has started wait in the socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(GUARD)
            assert not thread.is_alive()


async def post_all(http: httpx2.AsyncClient) -> list[int]:
    answers: list[int] = []

    async def post(number: int) -> None:
        answers.append((await http.post("/meet", json={"number": number})).json())

    async with anyio.create_task_group() as tasks:
        for number in range(REQUESTS):
            tasks.start_soon(post, number)
    return sorted(answers)


async def test_requests_are_handled_side_by_side() -> None:
    # FA-6
    async with client(Meeting(REQUESTS).app()) as http:
        assert await post_all(http) == [*range(REQUESTS)]


@pytest.mark.costly
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_requests_to_a_server_are_handled_side_by_side() -> None:
    # FA-6
    with serving(Meeting(REQUESTS).app()) as url:
        limits = httpx2.Limits(max_connections=REQUESTS)
        async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=GUARD, trust_env=False) as http:
            assert await post_all(http) == [*range(REQUESTS)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_has_the_shop_open_for_as_long_as_it_runs() -> None:
    # FA-6
    with serving(Shop().app) as url:
        async with httpx2.AsyncClient(base_url=url, headers={"user": "ada"}, trust_env=False, timeout=GUARD) as http:
            assert (await http.post("/orders", json=ORDER)).status_code == 201
            assert (await http.get("/orders/1")).json()["lines"] == [{"sku": "yoyo", "count": 1}]
            assert (await http.post("/mails", json={"to": "ada"})).status_code == 202


async def test_the_stamps_of_a_message_come_from_dependencies() -> None:
    # FA-7
    shop = Shop()
    async with client(shop.app) as http:
        placed = await http.post("/orders", json=ORDER, headers={"tenant": "blue"})
        del http.headers["user"]
        nobody = await http.post("/orders", json=ORDER)
    assert (placed.status_code, placed.json()) == (201, 1)
    [envelope] = shop.envelopes
    actor, tenant = envelope.last(Actor), envelope.last(Tenant)
    assert actor is not None and actor.id == "ada" and tenant is not None and tenant.id == "blue"
    assert (nobody.status_code, nobody.json()["error"]) == (401, "Forbidden")


async def test_the_stamps_of_a_call_are_added() -> None:
    # FA-7
    shop = Shop()
    bus = CommandBus([shop.ship, shop.place])
    app = FastAPI()
    install(app, bus)

    @app.post("/")
    async def place(bus: PlainBus) -> int:
        return await bus.ask(shop.order, Actor(id="eve"))

    async with client(app) as http:
        assert (await http.post("/")).json() == 1
    assert [stamp.id for stamp in shop.envelopes[0].all(Actor)] == ["eve"]


async def test_a_message_that_was_queued_gives_202_with_its_id() -> None:
    # FA-8
    shop = Shop()
    async with client(shop.app) as http:
        answer = await http.post("/mails", json={"to": "ada"})
    [claim] = await shop.queue.claim(1, 60)
    envelope: Envelope[SendMail] = Codec([SendMail]).decode(claim.body)
    assert (answer.status_code, answer.json()) == (202, {"id": envelope.id})
    assert envelope.message == SendMail("ada") and envelope.has(Actor)


async def test_a_message_that_was_handled_at_once_keeps_the_status_of_its_route() -> None:
    # FA-8
    async with client(Shop().app) as http:
        answer = await http.post("/shipments", json={"order": 1})
    assert answer.status_code == 200 and answer.json().keys() == {"id"}


async def stop(envelope: Envelope[Any], call_next: Next) -> None:
    """A middleware that lets nothing through."""


async def test_a_message_that_was_stopped_is_not_accepted() -> None:
    # FA-8
    shop, errors = Shop(), list[Exception]()
    app = FastAPI()
    install(app, CommandBus([shop.ship], middleware=[stop]))

    @app.post("/")
    async def ship(bus: PlainBus) -> Accepted | None:
        try:
            return await bus.accept(Ship(1))
        except NotAnswered as error:
            errors.append(error)
            return None

    async with client(app) as http:
        assert (await http.post("/")).json() is None
    assert len(errors) == 1


async def test_an_app_without_a_bus_is_told() -> None:
    # FA-9
    app, errors = FastAPI(title="other"), list[NotInstalled]()

    @app.exception_handler(NotInstalled)
    async def note(request: Request, error: NotInstalled) -> Response:
        errors.append(error)
        return Response(status_code=500)

    @app.get("/")
    async def get(bus: PlainBus) -> None: ...

    async with client(app) as http:
        await http.get("/")
    assert errors[0].app == "other" and "install(app, bus)" in str(errors[0])


def test_a_dependency_that_is_no_function_is_told() -> None:
    # FA-9
    with pytest.raises(InvalidOption, match="dependency=Actor"):
        bus_with(Actor(id="ada"))  # type: ignore[arg-type]
