"""The errors of workers."""

from __future__ import annotations

from modd.errors import ModdError


class DuplicateHandler(ModdError, ValueError):
    """Two handlers of one type of event have one name: a worker could not tell what each of them has done."""

    def __init__(self, intent: type, handler: str, bus: str) -> None:
        self.intent, self.handler, self.bus = intent, handler, bus
        super().__init__(
            f"{bus} has two handlers of {intent.__qualname__} named {handler!r}; name one of them apart: "
            f'register({intent.__name__}, ..., name="...")'
        )


class AlreadyRunning(ModdError, RuntimeError):
    """A worker was run while it was running."""

    def __init__(self, worker: str) -> None:
        super().__init__(f"{worker} is running; run it once at a time, and make another one for more")


class NotedFailure(ModdError):
    """A dispatch raised nothing and left a `Failed` stamp, which says what was wrong."""


class StrayCancellation(ModdError, RuntimeError):
    """A handler let a cancellation pass that nobody had asked for: that of a task of its own, say."""

    def __init__(self, cancelled: BaseException) -> None:
        self.__context__ = cancelled
        super().__init__("the handler was cancelled by something of its own; catch that where it is awaited")
