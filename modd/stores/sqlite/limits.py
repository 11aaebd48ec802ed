"""The limits of SQLite on values: each check names the argument and the limit, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from modd.checks import checked_text
from modd.errors import InvalidOption
from modd.ports.items import Item
from modd.ports.transaction import Parameters

LARGEST = 2**63 - 1
"""The largest number of SQLite, which has 64 bits."""


LARGEST_VALUE = 999_000_000
"""The most bytes of a value; SQLite takes 1,000,000,000 in a row, and the other columns need some of these."""


SMALL = 1_000_000
"""A number, or the length of a text, that is far from the limits."""


SMALL_KINDS = frozenset({int, str, float, type(None)})
"""The types of most values."""


def checked_bytes(option: str, value: Any) -> bytes:
    """Return bytes that a row can have. Raises `InvalidOption`, with the type and the length alone."""
    if not isinstance(value, bytes):
        raise InvalidOption(option, type(value), "give bytes; encode the content")
    _check_length(option, value)
    return value


def checked_item(item: Any) -> Item:
    """Return an item whose body a row can have. Raises `InvalidOption`, also for a body without an item."""
    if isinstance(item, Item):
        _check_length("body", item.body)
        return item
    if isinstance(item, bytes):
        _check_length("body", item)
    raise InvalidOption("body", type(item), "give bytes; encode what you put")  # its type alone: it is confidential


def checked_number(option: str, value: int) -> int:
    """Return a whole number of at most 64 bits. Raises `InvalidOption`."""
    if not -LARGEST - 1 <= value <= LARGEST:
        raise InvalidOption(option, value, f"give a number of at most 64 bits, up to {LARGEST}")
    return value


def checked_parameters(parameters: Parameters) -> dict[str, Any] | tuple[Any, ...]:
    """Return a copy of the parameters of a statement, which the caller may change. Raises `InvalidOption`."""
    if isinstance(parameters, Mapping):
        named = dict(parameters)
        for name, value in named.items():
            if not _is_small(value):
                _check_parameter(f"parameters[{name!r}]", value)
        return named
    values = tuple(parameters)
    for at, value in enumerate(values):
        if not _is_small(value):
            _check_parameter(f"parameters[{at}]", value)
    return values


def checked_rows(rows: Iterable[Parameters]) -> Sequence[Parameters]:
    """Return a copy of the parameters of a statement that is executed for each. Raises `InvalidOption`."""
    # each at once: the rows may be one dict that changes from row to row
    copied = [row if type(row) is tuple else checked_parameters(row) for row in rows]
    tuples = [row for row in copied if type(row) is tuple]
    if not _are_small([*chain.from_iterable(tuples)]):
        for row in tuples:
            checked_parameters(row)
    return copied


def _are_small(values: list[Any]) -> bool:
    """Return True for most values: a look at all of them together takes half of the time of one after another."""
    if not SMALL_KINDS.issuperset(map(type, values)):
        return False
    texts = [value for value in values if type(value) is str]
    numbers = [value for value in values if type(value) is int]
    if min(numbers, default=0) < -SMALL or max(numbers, default=0) > SMALL:
        return False
    return all(map(str.isascii, texts)) and max(map(len, texts), default=0) <= SMALL


def _is_small(value: Any) -> bool:
    """Return True for most values, which are sure to be within the limits: a check takes longer than a row."""
    kind = type(value)
    if kind is str:
        return len(value) <= SMALL and value.isascii()
    return -SMALL <= value <= SMALL if kind is int else value is None or kind is float


def _check_parameter(option: str, value: Any) -> None:
    if isinstance(value, int):
        checked_number(option, value)
    elif isinstance(value, str):
        _check_length(option, checked_text(option, value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _check_length(option, value)


def _check_length(option: str, value: Any) -> None:
    if len(value) > LARGEST_VALUE:
        cure = f"give at most {LARGEST_VALUE:,} bytes; store larger content elsewhere, and its address here"
        raise InvalidOption(f"len({option})", len(value), cure)
