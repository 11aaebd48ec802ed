"""The messages in the queues of these tests, which ``--types`` decodes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from modd import Bus, Message, Sensitive
from modd.cqrs import Actor, Codec, Command, CommandBus, Envelope, Event, EventBus, Failed, Stamp

SECRET = "4242-4242"


class Card(msgspec.Struct, frozen=True):
    number: Annotated[str, Sensitive] = SECRET
    name: str = "Ada"


class Pay(Command[None]):
    amount: int = 3
    card: Annotated[str, Sensitive] = SECRET


class Paid(Event):
    amount: int = 3


class Wise(Message):
    schema_version = 2
    word: str = "so"


class Mood(Stamp):
    word: str = "fine"


class Feeling:
    """A middleware that adds stamps of its own."""

    stamps = (Mood,)

    async def __call__(self, envelope: Envelope[Any], call_next: Any) -> None:
        await call_next(envelope)


def pay(command: Pay) -> None:
    """Never called: the tests put envelopes into queues and look at them."""


commands = CommandBus([pay], middleware=[Feeling()])
surrounding = Bus([commands])
several = [Paid, [commands]]
packed = Codec([Pay], [Mood], format="msgpack")
nothing = object()
events = EventBus([])


def envelope(id: str = "pay-1") -> Envelope[Pay]:
    """Return an envelope with sensitive values in its message, in a stamp, and in the text of another stamp."""
    stamps = Actor(id="ada", claims={"sub": SECRET}), Failed(error=f"{SECRET} was refused"), Mood()
    return Envelope(Pay(), *stamps, id=id)
