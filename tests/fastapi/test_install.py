"""A bus is installed in an app, and is open with it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from modd import Bus
from modd.cqrs import CommandBus
from modd.errors import InvalidOption, MissingExtra
from modd.fastapi import install
from tests.fastapi.shop import ORDER, OutOfStock, Shop, client

pytestmark = pytest.mark.anyio


class Opened(Bus):
    """A bus that notes when it opens and closes."""

    states: list[str]

    async def __aenter__(self) -> Any:
        self.states.append("bus opens")
        return await super().__aenter__()

    async def __aexit__(self, *error: Any) -> Any:
        self.states.append("bus closes")
        return await super().__aexit__(*error)


@pytest.mark.parametrize("lifespan", [True, False])
async def test_the_bus_is_open_inside_of_the_lifespan_of_the_app(lifespan: bool) -> None:
    # FA-9
    states: list[str] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        states.append("app starts")
        yield {"pool": 1}
        states.append("app stops")

    app = FastAPI(lifespan=own)
    bus = Opened([CommandBus()], name="opened")
    bus.states = states
    install(app, bus, lifespan=lifespan)
    async with app.router.lifespan_context(app) as state:
        assert state == {"pool": 1}
    inside = ["bus opens", "bus closes"] if lifespan else []
    assert states == ["app starts", *inside, "app stops"]


async def test_an_app_has_one_bus_from_its_first_request_on() -> None:
    # FA-9
    shop, late = Shop(), FastAPI()
    with pytest.raises(InvalidOption, match=r"it has a bus; put both into one modd\.Bus"):
        install(shop.app, Shop().bus)
    async with client(late) as http:
        await http.post("/orders", json=ORDER)
    with pytest.raises(InvalidOption, match="it has served a request"):
        install(late, shop.bus)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"app": object()}, r"give a fastapi\.FastAPI"),
        ({"bus": object()}, r"give a modd\.Bus"),
        ({"statuses": [OutOfStock]}, "give a mapping"),
        ({"statuses": {"OutOfStock": 409}}, "give a mapping"),
        ({"statuses": {int: 409}}, "give a mapping"),
        ({"statuses": {OutOfStock: 200}}, "400 to 599"),
        ({"statuses": {OutOfStock: "409"}}, "400 to 599"),
        ({"lifespan": "no"}, "give True or False"),
    ],
)
def test_options_that_cannot_work_are_told(options: dict[str, Any], text: str) -> None:
    # FA-9
    app = FastAPI()
    given: dict[str, Any] = {"app": app, "bus": Bus(name="shop")} | options
    with pytest.raises(InvalidOption, match=text):
        install(**given)
    install(app, Bus(name="shop"))  # an install that failed has left nothing


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # FA-9
    for name in [name for name in sys.modules if name.startswith("modd.fastapi")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(MissingExtra, match=r"pip install modd\[fastapi\]"):
        importlib.import_module("modd.fastapi")
