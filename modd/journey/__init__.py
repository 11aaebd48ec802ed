"""Journeys: an observer that tells what happened in a bus, as text and as a diagram."""

from modd.journey.journey import Journey

__all__ = ["Journey"]
