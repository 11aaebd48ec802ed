"""The message types of the shopping context."""

from decimal import Decimal

from modd import Message


class AddedToCart(Message):
    """A customer put a product into the cart."""

    sku: str
    price: Decimal
    """The price of one unit."""
    quantity: int


class CartTotalsUpdated(Message):
    """The cart has changed: the number of items and their total."""

    items: int
    total: Decimal


class AtCheckout(Message):
    """The customer wants to pay."""
