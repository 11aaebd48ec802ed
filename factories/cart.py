"""The cart: what is in it, and what that costs."""

from collections.abc import Callable
from decimal import Decimal

from taxonomy import AddedToCart, CartTotalsUpdated


def Cart() -> Callable[[AddedToCart], CartTotalsUpdated]:
    """A cart that tells its new totals whenever something is added."""
    items, total = 0, Decimal(0)

    def cart(message: AddedToCart) -> CartTotalsUpdated:
        nonlocal items, total
        items += message.quantity
        total += message.quantity * message.price
        return CartTotalsUpdated(items, total)

    return cart
