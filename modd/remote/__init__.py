"""Contexts in several processes: calls over a link to NATS, and topics over any store.

Begin reading at `remote`, the side that asks; `serve` is the side that answers; `topic` puts items into the queues of
several groups.
"""

from modd.remote.errors import GroupNotEmpty, NotServed, RemoteError, UnreadableReply
from modd.remote.remote import Remote
from modd.remote.serve import Serve
from modd.remote.topic import Topic

__all__ = ["GroupNotEmpty", "NotServed", "Remote", "RemoteError", "Serve", "Topic", "UnreadableReply"]
