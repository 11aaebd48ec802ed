"""QuantityStore: how many there are of each (MO-22)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, Generic, Protocol, Self, TypeVar

from modd.core import Accepts, Message
from modd.parts.base import NamedPart, checked_function, checked_types


class Amount(Protocol):
    """What can be added up: int, Decimal, Fraction, timedelta."""

    def __add__(self, other: Self, /) -> Self: ...


M = TypeVar("M", bound=Message)


K = TypeVar("K", bound=Hashable)


Q = TypeVar("Q", bound=Amount)


class QuantityStore(NamedPart, Generic[K, Q]):
    """Keeps a quantity per key and tells when one changes (MO-22).

    Use it for what is counted: items in stock, seats taken.
    ``QuantityStore(Moved, key=lambda m: m.sku, quantity=lambda m: m.count, changed=StockChanged)``

    on: the message type that changes quantities; subclasses count.
    key: ``(message) -> key``, of what the quantity is.
    quantity: ``(message) -> amount``, what to add, also less than nothing; int or Decimal, since sums of floats rarely
        come back to 0. Adding 0 changes nothing and tells nothing.
    changed: ``(key, quantity)`` gives a message, several or None; None to tell nobody.

    A key whose quantity comes to 0 is dropped after this was told. The quantity is only kept when the message could
    be made. No function may be async. Raises `InvalidOption`; when given a message, whatever the functions raise.
    """

    def __init__(
        self,
        on: type[M],
        *,
        key: Callable[[M], K],
        quantity: Callable[[M], Q],
        changed: Callable[[K, Q], Any] | None = None,
    ) -> None:
        self._on = checked_types("on", on)
        self._key = checked_function("key", key)
        self._quantity = checked_function("quantity", quantity)
        self._changed = changed and checked_function("changed", changed, 2)
        self._quantities: dict[K, Q] = {}
        self.quantities: Mapping[K, Q] = MappingProxyType(self._quantities)
        """The quantities as they are now, to be read."""
        super().__init__(of=self._on)

    def __call__(self, message: Any, /) -> Any:
        """Add the quantity; gives back what `changed` makes of it."""
        key, amount = self._key(message), self._quantity(message)
        if not amount:
            return None
        total = self._quantities[key] + amount if key in self._quantities else amount
        made = None if self._changed is None else self._changed(key, total)
        if total:
            self._quantities[key] = total
        else:
            del self._quantities[key]
        return made

    @property
    def accepts(self) -> Accepts:
        """The type that changes quantities."""
        return Accepts(self._on)
