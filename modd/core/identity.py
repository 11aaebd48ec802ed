"""Identity: observers, parts and components are told apart by it, because theirs may be an equality of any kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import BuiltinMethodType, MethodType, MethodWrapperType
from typing import Any, Generic, TypeVar
from weakref import ref

T = TypeVar("T")


def identity_of(component: Any) -> tuple[int, ...]:
    """Return the identity of a callable, for as long as it exists: of a bound method, those of object and function.

    Each access to a method makes a new bound method, so ``cart.on_added is cart.on_added`` is False.
    """
    if isinstance(component, MethodType):
        return id(component.__self__), id(component.__func__)
    if isinstance(component, (BuiltinMethodType, MethodWrapperType)):  # as `messages.append`
        return id(component.__self__), hash(component.__name__)
    return (id(component),)


def is_among(item: object, items: Iterable[object]) -> bool:
    """Return True if the very object is one of the items."""
    return any(each is item for each in items)


def unique(items: Iterable[T]) -> tuple[T, ...]:
    """Return the items in their order, each object once."""
    return tuple({id(item): item for item in items}.values())


def remove_from(items: list[T], item: T) -> None:
    """Remove an object from a list, at its first place."""
    del items[next(at for at, each in enumerate(items) if each is item)]


class WeakObjects(Generic[T]):
    """A set of objects, in the order in which they were added, that keeps none of them alive."""

    def __init__(self) -> None:
        self._references: dict[int, ref[T]] = {}

    def __iter__(self) -> Iterator[T]:
        for reference in tuple(self._references.values()):
            item = reference()
            if item is not None:
                yield item

    def add(self, item: T) -> None:
        """Add an object."""
        key, references = id(item), self._references
        references[key] = ref(item, lambda _: references.pop(key, None))

    def discard(self, item: T) -> None:
        """Remove an object if it is there."""
        self._references.pop(id(item), None)
