"""NATS: a link to its servers, for stores and for messages of your own.

Begin reading at `link`. It needs the extra ``nats``.
"""

from modd.nats.errors import LinkClosed, LinkLost, LinkRefused, NoAnswer, NobodyThere, NotPermitted, SlowConsumer
from modd.nats.link import Link
from modd.nats.message import NatsMessage

__all__ = [
    "Link",
    "LinkClosed",
    "LinkLost",
    "LinkRefused",
    "NatsMessage",
    "NoAnswer",
    "NobodyThere",
    "NotPermitted",
    "SlowConsumer",
]
