"""The checkout: shows the total."""

from collections.abc import Callable
from decimal import Decimal

from taxonomy import AtCheckout, CartTotalsUpdated


def Checkout(show: Callable[[str], object] = print) -> Callable[[CartTotalsUpdated | AtCheckout], None]:
    """Create a checkout that remembers the latest totals and shows them when the customer wants to pay."""
    items, total = 0, Decimal(0)

    def checkout(message: CartTotalsUpdated | AtCheckout) -> None:
        nonlocal items, total
        match message:
            case CartTotalsUpdated():
                items, total = message.items, message.total
            case AtCheckout() if items == 0:
                show("the cart is empty")
            case AtCheckout():
                show(f"{items} {'item' if items == 1 else 'items'}, total cost: {total}")

    return checkout
