"""The cart: its items and their total."""

from collections.abc import Callable
from decimal import Decimal

from taxonomy import AddedToCart, CartTotalsUpdated


def Cart() -> Callable[[AddedToCart], CartTotalsUpdated]:
    """Create a cart that returns its new totals when a product is added."""
    items, total = 0, Decimal(0)

    def cart(message: AddedToCart) -> CartTotalsUpdated:
        nonlocal items, total
        items += message.quantity
        total += message.quantity * message.price
        return CartTotalsUpdated(items, total)

    return cart
