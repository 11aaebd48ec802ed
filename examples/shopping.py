"""Two yoyos, one skipping rope, checkout: the total cost, and the journey of each message."""

from decimal import Decimal

import anyio

from modd import Journey
from objects.shopping import shopping
from taxonomy import AddedToCart, AtCheckout


async def main() -> None:
    """Go shopping."""
    with Journey(shopping) as journey:
        await shopping(AddedToCart(sku="KAY-123-YOLO", price=Decimal("10.99"), quantity=2))
        await shopping(AddedToCart(sku="SKP-001-ROPE", price=Decimal("14.99"), quantity=1))
        await shopping(AtCheckout())
    print()
    print(journey)


if __name__ == "__main__":
    anyio.run(main)
