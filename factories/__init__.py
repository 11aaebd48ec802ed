"""Factories of the shopping context: each makes a component that keeps its own state."""

from factories.cart import Cart
from factories.checkout import Checkout

__all__ = ["Cart", "Checkout"]
