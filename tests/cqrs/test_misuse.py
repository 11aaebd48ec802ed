"""Misuse of typed buses, stamps and codecs is told, with the cure."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, InvalidOption, NotAMessage, NotEntered
from modd.cqrs import Actor, Codec, CommandBus, Envelope, EventBus
from modd.middleware import Endpoint, Webhook
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


# DF-26
@pytest.mark.parametrize("kind", [CommandBus, Bus])
async def test_a_bus_that_is_closed_without_being_open_says_so(kind: Any) -> None:
    bus = kind(name="shop")
    for _ in range(2):
        with pytest.raises(NotEntered, match=r"^shop is not open, so it cannot be closed; open it by `async with`"):
            await bus.__aexit__(None, None, None)
        async with bus:
            pass


# DF-26
async def test_a_webhook_that_is_closed_without_being_open_says_so() -> None:
    with pytest.raises(NotEntered, match="the connections of a webhook"):
        await Webhook([Endpoint("https://h.example.com")]).__aexit__(None, None, None)


# DF-26
@pytest.mark.parametrize("wrap", [lambda kind: kind, lambda kind: [Created(), kind], lambda kind: (kind,)])
async def test_an_event_handler_that_returns_a_class_of_messages_is_named(wrap: Any) -> None:
    def greet(event: Created) -> Any:
        return wrap(Welcomed)

    with pytest.raises(NotAMessage, match=r"greet.*Welcomed\(\)"):
        await EventBus([greet]).dispatch(Envelope(Created("Ada")))
