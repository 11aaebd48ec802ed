"""The orders that processes work on, and what becomes of each, by its number."""

from __future__ import annotations

from modd.cqrs import Command, Event

CUSTOMERS = ("Ada", "Grace")


class Place(Command[None]):
    """Somebody orders something."""

    number: int


class Placed(Event):
    """An order stands."""

    number: int


def customer_of(number: int) -> str:
    """Whose order it is."""
    return CUSTOMERS[number % 2]


def key_of(number: int) -> str | None:
    """What is done in order: the orders of a customer, but for some."""
    return None if number % 5 == 0 else customer_of(number)


def is_poison(number: int) -> bool:
    """Whether the order is one that is buried."""
    return number % 7 == 3


def fails_first(number: int) -> bool:
    """Whether each process fails with the order once."""
    return number % 5 == 1
