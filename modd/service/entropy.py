"""Entropy: dice that were thrown before, so that a decision may use chance and stay pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from msgspec.structs import force_setattr

from modd.checks import checked_whole
from modd.core import Value
from modd.errors import InvalidOption
from modd.service.errors import TooFewValues

T = TypeVar("T")


class Entropy(Value, Generic[T], frozen=True):
    """Dice that were thrown before: values of chance for a pure function, as ``(first, second), rest = dice.take(2)``.

    Throw them in the ``load`` of a `Handler`, or write them down in a test. It is a frozen value, and may be a field of
    a command.

    values: the values, in the order in which they are taken.

    Raises:
        InvalidOption: ``values`` is no list.
    """

    values: Sequence[T]

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not isinstance(self.values, Sequence):
            raise InvalidOption("values", self.values, "give a list of the values: Entropy([6, 1, 4])")
        force_setattr(self, "values", tuple(self.values))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, number: int) -> tuple[tuple[T, ...], Entropy[T]]:
        """Return the first values, and an `Entropy` of the rest. Raises `TooFewValues`.

        number: the number of values, 0 or more.
        """
        if checked_whole("number", number) > len(self.values):
            raise TooFewValues(number, len(self.values))
        return tuple(self.values[:number]), Entropy(self.values[number:])
