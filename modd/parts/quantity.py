"""QuantityStore: a part that keeps a total for each key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, Generic, Protocol, Self, TypeVar

from modd.core import Accepts, Message
from modd.parts.base import NamedPart, checked_function, checked_message_types


class Amount(Protocol):
    """A value that can be added: int, Decimal, Fraction, timedelta."""

    def __add__(self, other: Self, /) -> Self: ...


M = TypeVar("M", bound=Message)


K = TypeVar("K", bound=Hashable)


Q = TypeVar("Q", bound=Amount)


class QuantityStore(NamedPart, Generic[K, Q]):
    """Keeps a total for each key, and returns a message when a total changes.

    Use it to count, such as items in stock or occupied seats:
    ``QuantityStore(Moved, key=lambda m: m.sku, quantity=lambda m: m.count, changed=StockChanged)``

    on: the message type that changes quantities; subclasses count.
    key: ``(message) -> key``, the key whose quantity changes.
    quantity: ``(message) -> amount``, the amount to add, negative too. Use int or Decimal: sums of floats rarely return
        to 0. An amount of 0 changes nothing and returns no message.
    changed: ``(key, quantity) -> message``, several messages or None, with the new quantity; None, the default, returns
        no messages.

    A key whose quantity becomes 0 is removed after ``changed`` was called. If a function raises, the quantity stays as
    it was. No function may be async.

    Raises:
        InvalidOption: an option has a value of a wrong type.
    """

    def __init__(
        self,
        on: type[M],
        *,
        key: Callable[[M], K],
        quantity: Callable[[M], Q],
        changed: Callable[[K, Q], Any] | None = None,
    ) -> None:
        self._on = checked_message_types("on", on)
        self._key = checked_function("key", key)
        self._quantity = checked_function("quantity", quantity)
        self._changed = changed and checked_function("changed", changed, 2)
        self._quantities: dict[K, Q] = {}
        self.quantities: Mapping[K, Q] = MappingProxyType(self._quantities)
        """The current quantities, read-only."""
        super().__init__(of=self._on)

    def __call__(self, message: Any, /) -> Any:
        """Add the quantity and return the result of ``changed``."""
        key, amount = self._key(message), self._quantity(message)
        if not amount:
            return None
        total = self._quantities[key] + amount if key in self._quantities else amount
        message_of_change = None if self._changed is None else self._changed(key, total)
        if total:
            self._quantities[key] = total
        else:
            del self._quantities[key]
        return message_of_change

    @property
    def accepts(self) -> Accepts:
        """The type that changes quantities."""
        return Accepts(self._on)
