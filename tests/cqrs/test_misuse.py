"""Misuse of typed buses, stamps and codecs is told, with the cure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modd import Bus, InvalidOption, Journey, NotAMessage, NotEntered
from modd.concurrency.blocks import async_block, block
from modd.cqrs import (
    Actor,
    Codec,
    CommandBus,
    Delay,
    Envelope,
    EventBus,
    Failed,
    InvalidHandler,
    InvalidMiddleware,
    Next,
    OnlyHandler,
    Query,
    QueryBus,
    Retried,
    Tenant,
)
from modd.middleware import Endpoint, Enqueue, Retryer, Webhook
from modd.ports import Item
from modd.stores import MemoryCache, MemoryEventStore, MemoryQueue, SqliteStore
from modd.testing import Recorder
from tests.cqrs.shop import Create, Created, Welcomed

pytestmark = pytest.mark.anyio


# DF-26
@pytest.mark.parametrize("given", [Create(), Create, None, b"{}"])
def test_a_codec_that_is_given_no_envelope_says_so(given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"give it Envelope\(message\)"):
        Codec([Create]).encode(given)


# DF-26
@pytest.mark.parametrize("roles", ["admin", b"admin", ("admin", 1), [None], None, 5])
def test_roles_of_an_actor_are_texts_and_not_one_text(roles: Any) -> None:
    with pytest.raises(InvalidOption, match=r"roles=.*give a tuple of texts"):
        Actor("ada", roles=roles)
    assert Actor("ada", roles=("admin",)).roles == ("admin",)


@pytest.mark.parametrize("expires", ["soon", True])
def test_an_actor_expires_at_a_number_of_seconds(expires: Any) -> None:
    with pytest.raises(InvalidOption, match=r"expires=.*give seconds since 1970"):
        Actor("ada", expires=expires)
    assert Actor("ada", expires=5.5).expires == 5.5


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"a": object()}, "Encoding objects of type object"),
        ({"a": [{"secret-1": 1j}]}, "Encoding objects of type complex"),
        ({"secret-1": "\udc80"}, "half characters"),
        ({object(): 1}, "Only dicts"),
        ("secret-1", "this is none"),
        (None, "this is none"),
    ],
)
def test_claims_of_an_actor_can_be_encoded_and_are_not_shown_if_they_cannot(claims: Any, reason: str) -> None:
    # DF-26
    with pytest.raises(InvalidOption, match=rf"claims=.*give a dict.*{reason}") as info:
        Actor("ada", claims=claims)
    assert "secret" not in str(info.value) and info.value.__cause__ is None
    assert Actor("ada", claims={"aud": ["shop"], "exp": 5}).claims == {"aud": ["shop"], "exp": 5}


class Read(Query[Any]): ...


# DF-26
@pytest.mark.parametrize("bus", [CommandBus, QueryBus])
async def test_a_handler_of_commands_or_queries_that_returns_a_class_of_messages_is_named(bus: Any) -> None:
    def greet(message: Any) -> Any:
        return Created

    kind = Create if bus is CommandBus else Read
    with pytest.raises(NotAMessage, match=r"greet.*Created\(\)"):
        await bus({kind: greet}).ask(kind())


WRONG = [object(), -1, 3.5, "nonsense", b"bytes", "\udc80"]
MAKERS: dict[str, tuple[Callable[[Any], Any], set[Any]]] = {
    "types": (Codec, set()),
    "stamps": (lambda value: Codec([Create], value), set()),
    "enc_hook": (lambda value: Codec([Create], enc_hook=value), set()),
    "handlers": (CommandBus, set()),
    "middleware": (lambda value: CommandBus(middleware=value), set()),
    "resources": (lambda value: CommandBus(resources=value), set()),
    "clock": (lambda value: CommandBus(clock=value), set()),
    "multiple": (lambda value: CommandBus(multiple=value), set()),
    "new_id": (lambda value: CommandBus(new_id=value), set()),
    "drain": (lambda value: CommandBus(drain=value), {3.5}),
    "envelope id": (lambda value: Envelope(Create(), id=value), {"nonsense"}),
    "actor": (lambda value: Actor(value), {"nonsense"}),
    "tenant": (lambda value: Tenant(value), {"nonsense"}),
    "only handler": (lambda value: OnlyHandler(value), {"nonsense"}),
    "delay": (lambda value: Delay(value), {3.5}),
    "memory cache": (lambda value: MemoryCache(clock=value), set()),
    "memory events": (lambda value: MemoryEventStore(clock=value), set()),
    "sqlite connect": (lambda value: SqliteStore("modd.db", connect=value), set()),
    "sqlite clock": (lambda value: SqliteStore("modd.db", clock=value), set()),
    "queue name": (lambda value: SqliteStore("modd.db").queue(value), {"nonsense"}),
    "enqueue": (lambda value: Enqueue(value), set()),
    "enqueue codec": (lambda value: Enqueue(MemoryQueue(), codec=value), set()),
    "recorder": (lambda value: Recorder(name=value), {"nonsense", "\udc80"}),
    "item id": (lambda value: Item(b"", id=value), {"nonsense"}),
    "item key": (lambda value: Item(b"", key=value), {"nonsense"}),
    "item delay": (lambda value: Item(b"", delay=value), {3.5}),
    "item headers": (lambda value: Item(b"", {"name": value}), {"nonsense"}),
    "item header": (lambda value: Item(b"", {value: "text"}), {"nonsense"}),
}


# DF-26
@pytest.mark.costly
@pytest.mark.parametrize("made", MAKERS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: "object" if type(value) is object else ascii(value))
def test_a_value_of_a_wrong_type_is_refused_when_the_object_is_made(made: str, value: Any) -> None:
    make, right = MAKERS[made]
    if any(value == each for each in right):
        make(value)
        return
    with pytest.raises((InvalidOption, InvalidMiddleware, InvalidHandler)):
        make(value)


# DF-26
@pytest.mark.parametrize("kind", [CommandBus, Bus])
async def test_a_bus_that_is_closed_without_being_open_says_so(kind: Any) -> None:
    bus = kind(name="shop")
    for _ in range(2):
        with pytest.raises(NotEntered, match=r"^shop is not open; open it by `async with`"):
            await bus.__aexit__(None, None, None)
        async with bus:
            pass


# DF-26
async def test_a_webhook_that_is_closed_without_being_open_says_so() -> None:
    with pytest.raises(NotEntered, match="the connections of a webhook"):
        await Webhook([Endpoint("https://h.example.com")]).__aexit__(None, None, None)


@block
def lasting() -> Iterator[None]:
    yield


@async_block
async def lasting_async() -> AsyncIterator[None]:
    yield


# DF-26
@pytest.mark.parametrize("kind", [True, False])
async def test_a_store_that_is_closed_without_being_open_says_so(kind: bool, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "modd.db")
    for _ in range(2):
        with pytest.raises(NotEntered, match=r"modd\.db is not open"):
            await store.__aexit__(None, None, None)
        async with store:
            with pytest.raises(NotEntered, match="is not open"):
                await store.transaction(immediate=kind).__aexit__(None, None, None)


# DF-26
async def test_a_block_that_is_left_without_being_entered_says_so() -> None:
    with pytest.raises(NotEntered, match=r"lasting is not open"):
        lasting().__exit__(None, None, None)
    with pytest.raises(NotEntered, match=r"lasting_async is not open"):
        await lasting_async().__aexit__(None, None, None)
    journey = Journey(Bus(name="shop"))
    for _ in range(2):
        with pytest.raises(NotEntered, match=r"the journey in shop is not open"):
            journey.__exit__(None, None, None)
        with journey:
            pass


# DF-26
async def test_texts_with_half_characters_are_escaped_on_the_way_of_a_message(tmp_path: Path) -> None:
    async def fail(envelope: Envelope[Any], call_next: Next) -> None:
        envelope.add(Failed("no \udc80"))

    bus = CommandBus({Create: lambda message: 1}, middleware=[Retryer(attempts=2, backoff="none"), fail])
    envelope = (await bus.dispatch(Create())).envelope
    assert [stamp.error for stamp in envelope.all(Retried)] == [r"no \udc80"] * 2
    async with SqliteStore(tmp_path / "modd.db") as store:
        queue = store.queue("orders")
        await queue.put(Item(b"body"))
        [claim] = await queue.claim(1, 60.0)
        await queue.bury(claim, "no \udc80")
        assert [dead.reason for dead in await queue.dead()] == [r"no \udc80"]


# DF-26
@pytest.mark.parametrize("wrap", [lambda kind: kind, lambda kind: [Created(), kind], lambda kind: (kind,)])
async def test_an_event_handler_that_returns_a_class_of_messages_is_named(wrap: Any) -> None:
    def greet(event: Created) -> Any:
        return wrap(Welcomed)

    with pytest.raises(NotAMessage, match=r"greet.*Welcomed\(\)"):
        await EventBus([greet]).dispatch(Envelope(Created("Ada")))
