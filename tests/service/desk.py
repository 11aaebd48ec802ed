"""A cloakroom: its messages, its pure decisions, and a handler of them around a dict."""

from __future__ import annotations

from typing import Any

from modd import Message, Value
from modd.cqrs import Command, Event, Query
from modd.service import DomainError, Handler, Service


class Asked(Message):
    """An inbound message: words, such as ``hang ada`` or ``take ada``."""

    text: str


class Hang(Command[None]):
    owner: str


class Take(Command[None]):
    owner: str


class Count(Query[int]):
    pass


class Hung(Event):
    owner: str
    hook: int


class Taken(Event):
    owner: str


class Emptied(Event):
    pass


class Told(Message):
    text: str


class CloakroomError(DomainError):
    pass


class Full(CloakroomError):
    pass


class NoCoat(CloakroomError):
    pass


class Coats(Value, frozen=True):
    """The model of a decision: the owners of the coats by hook."""

    owners: tuple[str, ...] = ()
    hooks: int = 2


def decide(command: Hang | Take, coats: Coats) -> list[Event] | CloakroomError:
    if isinstance(command, Take):
        if command.owner not in coats.owners:
            raise NoCoat(command.owner)
        return [Taken(command.owner), *([Emptied()] if len(coats.owners) == 1 else [])]
    if len(coats.owners) >= coats.hooks:
        return Full(f"{coats.hooks} hooks")
    return [Hung(command.owner, len(coats.owners))]


COMMANDS = {"hang": Hang, "take": Take}


def interpret(message: Asked) -> list[Message]:
    """Return a command for each pair of words, or a query."""
    if message.text == "count":
        return [Count()]
    words = message.text.split()
    return [
        COMMANDS[verb](owner) if verb in COMMANDS else Told(f"no such verb: {verb}")
        for verb, owner in zip(words[::2], words[1::2], strict=True)
    ]


class Cloakroom:
    """The adapter: coats in memory, and the log of all that was asked of it."""

    def __init__(self, *owners: str) -> None:
        self.owners, self.log = [*owners], list[object]()

    async def load(self, command: Hang | Take) -> Coats:
        self.log.append(f"load for {command.owner}")
        return Coats(tuple(self.owners))

    def store(self, event: Event) -> None:
        self.log.append(event)
        if isinstance(event, Hung):
            self.owners.append(event.owner)
        elif isinstance(event, Taken):
            self.owners.remove(event.owner)

    async def count(self, query: Count) -> Told:
        return Told(f"{len(self.owners)} coats")


def tell(event: Event) -> list[Told]:
    """Return one message about most events, two about the last coat, and none about the taking of it."""
    match event:
        case Hung():
            return [Told(f"{event.owner} on hook {event.hook}")]
        case Emptied():
            return [Told("empty"), Told("lights off")]
        case _:
            return []


def cloakroom_handler(cloakroom: Cloakroom, **options: Any) -> Handler[Asked]:
    """Return a handler of a cloakroom."""
    defaults: dict[str, Any] = {
        "interpret": interpret,
        "load": cloakroom.load,
        "store": cloakroom.store,
        "query": cloakroom.count,
        "outbound": tell,
        "errors": {CloakroomError: about},
    }
    return Handler(Service(decide), **(defaults | options))


def about(error: CloakroomError, command: Hang | Take) -> Told:
    """Return the message about an error."""
    return Told(f"{command.owner}: {type(error).__name__} {error}")
