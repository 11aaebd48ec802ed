"""The errors of workers."""

from __future__ import annotations

from modd.errors import ModdError


class DuplicateHandler(ModdError, ValueError):
    """Two handlers of one type of event have the same name, by which a worker tells their rows apart.

    intent: the type of the event.
    handler: the name of both handlers.
    bus: the name of the bus.

    Register each with a name of its own: ``register(UserCreated, notify, name="notify_admin")``.
    """

    def __init__(self, intent: type, handler: str, bus: str) -> None:
        self.intent, self.handler, self.bus = intent, handler, bus
        super().__init__(
            f"{bus} has two handlers of {intent.__qualname__} named {handler!r}; give each a name of its own: "
            f'register({intent.__name__}, ..., name="...")'
        )


class AlreadyRunning(ModdError, RuntimeError):
    """A worker, a follower or an app was run while it was running.

    worker: the name of the object, in the text.

    Run it once at a time, and create a second one to run two.
    """

    def __init__(self, worker: str) -> None:
        super().__init__(f"{worker} is running; run it once at a time, and create a second one to run two")


class StampedFailure(ModdError):
    """A dispatch raised nothing and left a `Failed` stamp; the text is that of the stamp."""
