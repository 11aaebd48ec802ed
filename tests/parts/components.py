"""Components that many tests of parts use."""

from __future__ import annotations

from types import TracebackType

from modd import Message


class Listener:
    """A catch-all that stores the messages that it receives."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)


class Resource:
    """A component that is opened and closed, and logs it."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __call__(self, message: Message) -> None:
        self.log.append(type(message).__name__)

    async def __aenter__(self) -> Resource:
        self.log.append("opened")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.log.append("closed")
