"""modd: message oriented domain design on asyncio and trio.

To read the core, begin with `modd.bus`, the loop. Then, as you like:

- what a bus is made of: `modd.wiring`, `modd.component` (parts), `modd.accepts` (annotations), `modd.opening`;
- what the loop leaves to others: `modd.deliver`, `modd.take` and `modd.collect` (the careful way), `modd.failure`;
- turns: `modd.admission` (begin and end), `modd.turn` (their state), `modd.gate` (who waits for whom), `modd.limits`;
- watching: `modd.observer`, `modd.journey`, `modd.graph`.

`modd.message` and `modd.errors` know nothing of the rest. `modd.parts` are ready-made components. On the core stand
`modd.cqrs` (typed buses for commands, queries and events; `modd.asking` and `modd.origin` are their place in the core)
and `modd.middleware`.

Beside the core are `modd.ports`, what is asked of whatever keeps bytes, and `modd.stores`, which do, in memory and in a
file (`modd.stores.sqlite`; begin with `store`, then `writer`). `modd.worker` and `modd.relay` know both a store and a
bus. `modd.cli` is for people (``python -m modd``), `modd.testing` for your tests.
"""

from modd.bus import Bus
from modd.component import Accepts, Component, Part
from modd.errors import (
    AlreadyOpen,
    BusInsideItself,
    Deadlock,
    DuplicateName,
    InvalidOption,
    ModdError,
    NoHandler,
    NotAComponent,
    NotAMessage,
    NotAnswered,
    SeveralHandlers,
    TurnFailed,
    TurnOverflow,
    UnknownComponent,
    UnresolvedAnnotation,
)
from modd.failure import Failure
from modd.journey import Journey
from modd.message import Intent, Message, Sensitive
from modd.observer import Delivery, Observer
from modd.turn import detached

__all__ = [
    "Accepts",
    "AlreadyOpen",
    "Bus",
    "BusInsideItself",
    "Component",
    "Deadlock",
    "Delivery",
    "DuplicateName",
    "Failure",
    "Intent",
    "InvalidOption",
    "Journey",
    "Message",
    "ModdError",
    "NoHandler",
    "NotAComponent",
    "NotAMessage",
    "NotAnswered",
    "Observer",
    "Part",
    "Sensitive",
    "SeveralHandlers",
    "TurnFailed",
    "TurnOverflow",
    "UnknownComponent",
    "UnresolvedAnnotation",
    "detached",
]
