"""Components that many tests of parts use."""

from __future__ import annotations

from types import TracebackType

from modd import Message


class Heard:
    """A catch-all that keeps what it got."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)


class Held:
    """A component that is to be opened and closed."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __call__(self, message: Message) -> None:
        self.log.append(type(message).__name__)

    async def __aenter__(self) -> Held:
        self.log.append("opened")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.log.append("closed")
