"""Composed buses, ready to use."""
