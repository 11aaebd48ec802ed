"""ListDiff: a part that turns lists into changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from modd.core import Accepts, Message
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, checked_function, checked_message_types

M = TypeVar("M", bound=Message)


T = TypeVar("T")


class ListDiff(NamedPart):
    """Returns messages for the items that were added to a list and removed from it since the previous list.

    Use it where one component sends the whole list each time and others need the changes:
    ``ListDiff(MembersListed, lambda listed: listed.names, added=Joined, removed=Left)``.

    on: the message type that has the list; subclasses count.
    items: ``(message) -> items``, the whole current list; the first list is compared with an empty one.
    added, removed: ``(item) -> message``, several messages or None; by default none, but at least one of the two
        functions is required.
    key: ``(item) -> value``, the identity of an item; None, the default, for the item itself. Required for items that
        cannot be hashed. Of an item that stays, the latest version is stored for ``removed``.

    Messages for removed items come first, then those for added items, each in the order of their list. Duplicates
    count, and the last of them are removed first. If a function raises, the previous list stays. No function may be
    async.

    Raises:
        InvalidOption: an option has a value of a wrong type, or an item has a key that cannot be hashed.
    """

    def __init__(
        self,
        on: type[M],
        items: Callable[[M], Iterable[T]],
        *,
        added: Callable[[T], Any] | None = None,
        removed: Callable[[T], Any] | None = None,
        key: Callable[[T], Hashable] | None = None,
    ) -> None:
        if added is None and removed is None:
            raise InvalidOption("added", added, "give added, removed or both; without them there is nothing to send")
        self._on = checked_message_types("on", on)
        self._items = checked_function("items", items)
        self._added = added and checked_function("added", added)
        self._removed = removed and checked_function("removed", removed)
        self._key = key and checked_function("key", key)
        self._previous: list[tuple[Hashable, Any]] = []
        super().__init__(of=self._on)

    def __call__(self, message: Any, /) -> list[Any]:
        """Return the messages for the removed and the added items."""
        current = [(self._key_of(item), item) for item in self._items(message)]
        removed = _map(self._removed, _difference(self._previous, current))
        added = _map(self._added, _difference(current, self._previous))
        self._previous = current
        return removed + added

    @property
    def accepts(self) -> Accepts:
        """The type that has the list."""
        return Accepts(self._on)

    def _key_of(self, item: Any) -> Hashable:
        key = item if self._key is None else self._key(item)
        try:
            hash(key)
        except TypeError:
            cure = f"give a function from an item to a value that can be hashed, which {type(key).__name__} cannot"
            raise InvalidOption("key", self._key, cure) from None
        return key  # type: ignore[no-any-return]


def _difference(items: list[tuple[Hashable, Any]], subtracted: list[tuple[Hashable, Any]]) -> Iterator[Any]:
    """Yield the items whose key is not in the subtracted list, or not as often."""
    left = Counter(key for key, _ in subtracted)
    for key, item in items:
        left[key] -= 1
        if left[key] < 0:
            yield item


def _map(function: Callable[[Any], Any] | None, items: Iterable[Any]) -> list[Any]:
    return [] if function is None else [function(item) for item in items]
