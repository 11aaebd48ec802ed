"""The subject of each record: names are hashed, so that they may be any text."""

from __future__ import annotations

from hashlib import blake2b


def hash_name(*names: str) -> str:
    """Return the token of a subject for a name: 32 hex digits; several names are one name in several parts."""
    state = blake2b(digest_size=16)
    for name in names:
        encoded = name.encode()
        state.update(b"%d:" % len(encoded))
        state.update(encoded)
    return state.hexdigest()


class Subjects:
    """The subjects of one store.

    name: the name of the store.
    """

    def __init__(self, name: str) -> None:
        self.prefix = f"modd.{name}.r."
        """The beginning of each subject of the store; `modd.{name}.` has room for subjects that are no records."""
        self.all = f"{self.prefix}>"
        self.events = f"{self.prefix}e.*"
        """The filter of the events of all streams."""
        self.feeds = f"{self.prefix}f.*"
        """The filter of the records of the feeds themselves."""
        self.outbox = f"{self.prefix}o.>"
        """The filter of the outbox."""
        self.outbox_items, self.outbox_lease = f"{self.prefix}o.i.*", f"{self.prefix}o.l"

    def cache(self, key: str) -> str:
        """Return the subject of a value of the cache."""
        return f"{self.prefix}c.{hash_name(key)}"

    def lock(self, key: str) -> str:
        """Return the subject of a lock."""
        return f"{self.prefix}l.{hash_name(key)}"

    def inbox(self, id: str) -> str:
        """Return the subject of an id of the inbox."""
        return f"{self.prefix}in.{hash_name(id)}"

    def documents(self, space: str) -> str:
        """Return the filter of all documents of a space."""
        return f"{self.prefix}d.{hash_name(space)}.*"

    def document(self, space: str, key: str) -> str:
        """Return the subject of a document."""
        return f"{self.prefix}d.{hash_name(space)}.{hash_name(key)}"

    def queue(self, name: str) -> str:
        """Return the beginning of all subjects of a queue, without a dot at its end."""
        return f"{self.prefix}q.{hash_name(name)}"

    def outbox_item(self, id: str) -> str:
        """Return the subject of an item of the outbox."""
        return f"{self.prefix}o.i.{hash_name(id)}"

    def stream(self, name: str) -> str:
        """Return the subject of the events of a stream."""
        return f"{self.prefix}e.{hash_name(name)}"

    def snapshot(self, name: str) -> str:
        """Return the subject of the snapshot of a stream."""
        return f"{self.prefix}s.{hash_name(name)}"

    def tag(self, tag: str) -> str:
        """Return the subject of the index messages of a tag."""
        return f"{self.prefix}t.{hash_name(tag)}"

    def feed(self, name: str) -> str:
        """Return the subject of the record of a feed itself."""
        return f"{self.prefix}f.{hash_name(name)}"

    def feed_item(self, feed: str, position: int | str = "*", id: str = "*") -> str:
        """Return the subject of an item of a feed; without a position or a hash of an id, a filter for it."""
        return f"{self.feed(feed)}.{position}.{id}"

    def scratch(self, token: str) -> str:
        """Return a subject for a message that only carries a condition, and is removed after a minute."""
        return f"{self.prefix}x.{token}"
