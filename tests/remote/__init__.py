"""Contexts in other processes."""
