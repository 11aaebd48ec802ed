"""modd: message oriented domain design on asyncio and trio.

To read the core, begin with `modd.bus`, the loop; then `modd.component` (what a callable accepts), `modd.wiring` (what
a bus is made of), `modd.deliver` and `modd.collect` (the careful way of the loop), `modd.turn` and `modd.gate` (turns
and who waits for whom), `modd.failure`, `modd.observer` and `modd.journey`. `modd.errors` and `modd.message` know
nothing of the rest. `modd.parts` are ready-made components, `modd.testing` is for your tests.
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
    NotAComponent,
    NotAMessage,
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
    "NotAComponent",
    "NotAMessage",
    "Observer",
    "Part",
    "Sensitive",
    "TurnFailed",
    "TurnOverflow",
    "UnknownComponent",
    "UnresolvedAnnotation",
    "detached",
]
