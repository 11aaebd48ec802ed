"""The shopping context: a cart and a checkout on one bus."""

from factories import Cart, Checkout
from modd import Bus

shopping = Bus([Cart(), Checkout()], name="shopping")
