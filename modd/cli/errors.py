"""The errors of the command line, besides those of a store."""

from __future__ import annotations

from collections.abc import Iterable

from modd.errors import ModdError

MOST_NAMED = 5
"""The most candidates that an error names."""


class UsageError(ModdError, ValueError):
    """The arguments of a command are wrong, whatever is in the file."""


class NoSuchFile(UsageError):
    """There is no file at the path; none is created."""

    def __init__(self, path: str) -> None:
        self.path = path
        scheme, mark, rest = path.partition("://")
        if mark:  # of a server: without user, password and options
            host = rest.rpartition("@")[2].partition("?")[0]
            text = f"{scheme}://{host} is no file, and only `queue` works on a server of NATS or PostgreSQL"
        elif "@" in path or "password" in path:
            text = "this address is no file, and that of a server begins with nats:// or postgresql://"
        else:
            text = f"{path} is no file"
        super().__init__(f"{text}; give the path of a SqliteStore")


class NoSuchQueue(UsageError):
    """The file has no queue of this name.

    ``queue`` is the name, ``queues`` the names of the queues in the file.
    """

    def __init__(self, queue: str, path: str, queues: Iterable[str]) -> None:
        self.queue, self.queues = queue, tuple(queues)
        super().__init__(f"no queue {queue!r} in {path}; it has: {', '.join(self.queues) or 'none'}")


class NoSuchPart(UsageError):
    """The file has no flow or projection of this name.

    ``kind`` is the kind of part, ``part`` the name, ``parts`` the names of the parts of this kind in the file.
    """

    def __init__(self, kind: str, part: str, path: str, parts: Iterable[str]) -> None:
        self.kind, self.part, self.parts = kind, part, tuple(parts)
        super().__init__(f"no {kind} {part!r} in {path}; it has: {', '.join(self.parts) or 'none'}")


class NoSuchHandler(ModdError, LookupError):
    """No queue of the file has a handler of this name, or deliveries for one.

    ``handler`` is the name, ``handlers`` the names of the handlers in the file.
    """

    def __init__(self, handler: str, path: str, handlers: Iterable[str]) -> None:
        self.handler, self.handlers = handler, tuple(handlers)
        super().__init__(f"no handler {handler!r} in {path}; it has: {', '.join(self.handlers) or 'none'}")


class NoSuchItem(ModdError, LookupError):
    """The queue has no item with this id."""

    def __init__(self, id: str, queue: str) -> None:
        self.id = id
        super().__init__(f"no item {id!r} in queue {queue!r}; it was never put there, or was acknowledged or discarded")


class NoSuchStream(ModdError, LookupError):
    """The file has no stream of events with this name.

    ``stream`` is the name, ``near`` are the names of streams that begin alike, if there are any.
    """

    def __init__(self, stream: str, path: str, near: Iterable[str]) -> None:
        self.stream, self.near = stream, tuple(near)
        names = f"; there is {', '.join(self.near)}" if self.near else ""
        super().__init__(f"no stream {stream!r} in {path}{names}; list streams with `events {path} --after NAME`")


class NoSuchEvent(ModdError, LookupError):
    """The file has no event at this position.

    ``position`` is the position, ``last`` that of the last event.
    """

    def __init__(self, position: int, path: str, last: int) -> None:
        self.position, self.last = position, last
        super().__init__(f"no event {position} in {path}; the last one is {last}")


class AmbiguousId(ModdError, LookupError):
    """Several dead letters have an id with the given beginning, or several items a message; nothing was done.

    ``id`` is the beginning, or the id of the message, as it was given; ``candidates`` the ids; ``things`` their noun.
    """

    def __init__(self, id: str, queue: str, candidates: Iterable[str], things: str = "dead letters") -> None:
        self.id, self.candidates = id, tuple(candidates)
        shown, more = self.candidates[:MOST_NAMED], len(self.candidates) - MOST_NAMED
        names = f"{', '.join(shown)}{f' and {more} more' if more > 0 else ''}"
        super().__init__(
            f"{id!r} stands for {len(self.candidates)} {things} in queue {queue!r}: {names}; give more of the id, "
            "or the whole id"
        )


class NotConfirmed(ModdError, RuntimeError):
    """The user did not answer yes to a question."""

    def __init__(self) -> None:
        super().__init__("nothing was done")
