"""ListDiff: what came and what went (MO-22)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from modd.core import Accepts, Message
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, checked_function, checked_types

M = TypeVar("M", bound=Message)


T = TypeVar("T")


class ListDiff(NamedPart):
    """Makes messages of what came into a list and what went from it (MO-22).

    Use it where somebody tells the whole list every time and others want to know the changes:
    ``ListDiff(MembersListed, lambda listed: listed.names, added=Joined, removed=Left)``.

    on: the message type that tells the list; subclasses count.
    items: ``(message) -> items``, the whole list as it is now; the first one is compared with an empty list.
    added, removed: ``(item)`` gives a message, several or None; at least one of the two is needed.
    key: ``(item) -> value``, what makes two items the same; None for the item itself. Needed for items that cannot be
        hashed. An item that stays is remembered as it was told last.

    What went comes before what came, each in the order of its list. Equal items count as often as they are there, and
    the last of them go first. The list is only remembered when all messages could be made. No function may be async.
    Raises `InvalidOption`; when given a message, whatever the functions raise.
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
            raise InvalidOption("added", added, "give added, removed or both; without them nothing is told")
        self._on = checked_types("on", on)
        self._items = checked_function("items", items)
        self._added = added and checked_function("added", added)
        self._removed = removed and checked_function("removed", removed)
        self._key = key and checked_function("key", key)
        self._known: list[tuple[Hashable, Any]] = []
        super().__init__(of=self._on)

    def __call__(self, message: Any, /) -> list[Any]:
        """Give back the messages for what went and what came since the last list."""
        now = [(self._key_of(item), item) for item in self._items(message)]
        removed = _made(self._removed, _besides(self._known, now))
        added = _made(self._added, _besides(now, self._known))
        self._known = now
        return removed + added

    @property
    def accepts(self) -> Accepts:
        """The type that tells the list."""
        return Accepts(self._on)

    def _key_of(self, item: Any) -> Hashable:
        key = item if self._key is None else self._key(item)
        try:
            hash(key)
        except TypeError:
            wanted = f"give a function from an item to a value that can be hashed, which {type(key).__name__} cannot"
            raise InvalidOption("key", self._key, wanted) from None
        return key  # type: ignore[no-any-return]


def _besides(these: list[tuple[Hashable, Any]], others: list[tuple[Hashable, Any]]) -> Iterator[Any]:
    """The items of one list that are not in the other, or not as often."""
    left = Counter(key for key, _ in others)
    for key, item in these:
        left[key] -= 1
        if left[key] < 0:
            yield item


def _made(make: Callable[[Any], Any] | None, items: Iterable[Any]) -> list[Any]:
    return [] if make is None else [make(item) for item in items]
