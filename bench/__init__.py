"""Benchmarks of modd: README.md in this folder explains them."""
