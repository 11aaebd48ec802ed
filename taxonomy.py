"""The message types of the shopping context."""

from decimal import Decimal

from modd import Message


class AddedToCart(Message):
    """A customer put a product into the cart."""

    sku: str
    price: Decimal
    """The price of one."""
    quantity: int


class CartTotalsUpdated(Message):
    """What is in the cart now."""

    items: int
    total: Decimal


class AtCheckout(Message):
    """The customer wants to pay."""
