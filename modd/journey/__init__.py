"""Journeys: an observer that records the messages in a bus, and prints them as text or as a diagram."""

from modd.journey.journey import Journey

__all__ = ["Journey"]
