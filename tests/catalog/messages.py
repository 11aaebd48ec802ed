"""The events of the program that these tests look at."""

from __future__ import annotations

from modd.cqrs import Event


class OrderPlaced(Event, tag="order-placed"):
    """An order was placed."""

    schema_version = 2
    order: str
    sku: str


class Cancelled(Event):
    order: str


class Shipped(Event):
    order: str
