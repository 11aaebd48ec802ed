"""Factories of the shopping context: each creates a component with its own state."""

from factories.cart import Cart
from factories.checkout import Checkout

__all__ = ["Cart", "Checkout"]
