"""A shop of three contexts: cart, stock and shipping share message types only, and do not know each other."""

from collections.abc import Callable
from decimal import Decimal

import anyio

from modd import Bus, Journey, Message


class Ordered(Message):
    """Comes into the shop: a customer orders so many of a product."""

    sku: str
    quantity: int


class Priced(Message):
    """Inside the cart only: the price of the order."""

    sku: str
    quantity: int
    total: Decimal


class OrderPlaced(Message):
    """Leaves the cart: the order is placed."""

    sku: str
    quantity: int


class Reserved(Message):
    """Leaves the stock: the goods are set aside."""

    sku: str
    quantity: int


class OutOfStock(Message):
    """Leaves the stock, and the shop: there are too few of the product."""

    sku: str


class Shipped(Message):
    """Leaves shipping, and the shop: the parcel is on its way."""

    sku: str
    parcel: int


def Cart(prices: dict[str, Decimal]) -> Bus:
    """Create the cart context, which prices an order and places it."""

    def price(message: Ordered) -> Priced:
        return Priced(message.sku, message.quantity, prices[message.sku] * message.quantity)

    def place(message: Priced) -> OrderPlaced:
        return OrderPlaced(message.sku, message.quantity)

    return Bus([price, place], name="cart", inbound=[Ordered], outbound=[OrderPlaced])


def Stock(shelf: dict[str, int]) -> Bus:
    """Create the stock context, which sets goods aside as long as there are enough."""

    def reserve(message: OrderPlaced) -> Reserved | OutOfStock:
        if shelf.get(message.sku, 0) < message.quantity:
            return OutOfStock(message.sku)
        shelf[message.sku] -= message.quantity
        return Reserved(message.sku, message.quantity)

    return Bus([reserve], name="stock", inbound=[OrderPlaced], outbound=[Reserved, OutOfStock])


def Shipping() -> Bus:
    """Create the shipping context, which packs reserved goods."""

    def pack() -> Callable[[Reserved], Shipped]:
        parcels = 0

        def packer(message: Reserved) -> Shipped:
            nonlocal parcels
            parcels += 1
            return Shipped(message.sku, parcels)

        return packer

    return Bus([pack()], name="shipping", inbound=[Reserved], outbound=[Shipped])


def Shop() -> Bus:
    """Create the shop, which has the three contexts inside."""
    contexts = [Cart({"yoyo": Decimal("10.99"), "rope": Decimal("14.99")}), Stock({"yoyo": 3, "rope": 1}), Shipping()]
    return Bus(contexts, name="shop", inbound=[Ordered], outbound=[Shipped, OutOfStock])


async def main() -> None:
    """Order more than there is in stock."""
    shop = Shop()
    print(shop.graph())
    with Journey(shop) as journey:
        for order in (Ordered("yoyo", 2), Ordered("yoyo", 2), Ordered("rope", 1)):
            for left in await shop(order):
                print(left)
    print()
    print(journey)


if __name__ == "__main__":
    anyio.run(main)
