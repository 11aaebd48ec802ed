"""What can be wrong with a command, besides what can be wrong with a store."""

from __future__ import annotations

from collections.abc import Iterable

from modd.errors import ModdError


class Misuse(ModdError, ValueError):
    """A command was given that cannot be done, whatever is in the file."""


class NoSuchFile(Misuse):
    """There is no file at the path; none is made."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} is no file; give the path that a SqliteStore was made with")


class NoSuchQueue(Misuse):
    """The file has no queue of this name."""

    def __init__(self, wanted: str, path: str, known: Iterable[str]) -> None:
        self.wanted, self.known = wanted, tuple(known)
        super().__init__(f"no queue {wanted!r} in {path}; it has: {', '.join(self.known) or 'none'}")


class NoSuchItem(ModdError, LookupError):
    """The queue has no item of this id, or has it no more."""

    def __init__(self, id: str, queue: str) -> None:
        self.id = id
        super().__init__(f"no item {id!r} in queue {queue!r}; it was never put there, or was acknowledged or discarded")


class NotConfirmed(ModdError, RuntimeError):
    """Whoever was asked did not say yes."""

    def __init__(self) -> None:
        super().__init__("nothing was done")
