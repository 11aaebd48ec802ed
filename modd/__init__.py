"""modd: message oriented domain design on asyncio and trio.

The packages, lowest first; each uses only packages above it in this list:

- `modd.errors`, `modd.checks`, `modd.concurrency`, `modd.ports`: errors, checks of options, what anyio does not have,
  and the protocols of queues, event stores, caches, locks, inboxes and outboxes.
- `modd.core`: the bus. Begin with `modd.core.bus`, the one loop.
- `modd.stores`: the ports in memory and in a SQLite file.
- `modd.parts`, `modd.journey`: ready-made components; an observer that tells what happened.
- `modd.cqrs`, `modd.middleware`: typed buses for commands, queries and events, and middleware around their handlers.
- `modd.aggregate`, `modd.service`: decisions that are recorded as events; pure decisions with the I/O around them.
- `modd.worker`, `modd.relay`: they carry messages from queues and outboxes to buses.
- `modd.cli`, `modd.fastapi`, `modd.testing`: ``python -m modd`` for people, a bus behind HTTP (an extra), and helpers
  for your tests.
"""

from modd.core import (
    Accepts,
    Bus,
    Component,
    Delivery,
    Failure,
    Finding,
    Intent,
    Message,
    Observer,
    Part,
    Sensitive,
    Value,
    detached,
)
from modd.errors import (
    AlreadyOpen,
    BusInsideItself,
    Deadlock,
    DuplicateName,
    InOtherLoop,
    InvalidOption,
    InvalidWiring,
    ModdError,
    MultipleHandlers,
    NoHandler,
    NotAComponent,
    NotAMessage,
    NotAnswered,
    NotEntered,
    OpenedInOtherTask,
    StrayCancellation,
    TurnFailed,
    TurnOverflow,
    UnknownComponent,
    UnresolvedAnnotation,
)
from modd.journey.journey import Journey

__version__ = "0.1.0"

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
    "Finding",
    "InOtherLoop",
    "Intent",
    "InvalidOption",
    "InvalidWiring",
    "Journey",
    "Message",
    "ModdError",
    "MultipleHandlers",
    "NoHandler",
    "NotAComponent",
    "NotAMessage",
    "NotAnswered",
    "NotEntered",
    "Observer",
    "OpenedInOtherTask",
    "Part",
    "Sensitive",
    "StrayCancellation",
    "TurnFailed",
    "TurnOverflow",
    "UnknownComponent",
    "UnresolvedAnnotation",
    "Value",
    "detached",
]
