"""Benchmarks: modd against handwritten floors, in one run (see README.md here)."""
