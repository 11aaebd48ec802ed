"""The errors of a store on a NATS server, besides those that all stores share."""

from __future__ import annotations

from typing import ClassVar

from modd.errors import ModdError
from modd.ports.errors import StoreError


class ServerTooOld(StoreError):
    """The NATS server does not know batches that are stored whole or not at all, so that it would store loose messages.

    store: the name of the store.
    version: the version of the server.
    level: the level of its JetStream API.

    Install nats-server 2.12.2 or later; nothing was created on this one.
    """

    is_misuse: ClassVar[bool] = True
    """True: no later try can succeed."""

    def __init__(self, store: str, version: str, level: int) -> None:
        self.version, self.level = version, level
        super().__init__(
            store,
            f"the server has version {version} and level {level} of the JetStream API, and a store needs 2.12.2 or "
            "later with level 2; install a newer nats-server; nothing was created on this one",
        )


class TooMany(ModdError, ValueError):
    """A call or a transaction has more writes than the server stores in one batch; nothing was written.

    most: most writes of a batch.

    Write less at once, or raise ``limits { batch { max_msgs } }`` in the configuration of each server.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            f"more than {most} writes at once, and the server stores at most {most} in one batch; write less at once, "
            "or raise `limits { batch { max_msgs } }` in the configuration of each server"
        )


class WrongSequence(Exception):
    """A record is not at the sequence with which a write was compared; nothing was written. Read and plan anew."""


class InDoubt(WrongSequence):
    """A write was refused, and an earlier attempt of it, whose answer was lost, may be the reason.

    A server that was restarted knows the ids of those messages alone that are still stored.
    """
