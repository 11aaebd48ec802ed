"""Pickling of errors: what cannot be pickled becomes its text, so that no error breaks a pool of processes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from modd.texts import show, text_of

E = TypeVar("E", bound=BaseException)

_PLAIN = frozenset({str, int, float, bool, type(None)})


class Packed(NamedTuple):
    """A value as a pickle of its own, which may turn out to be unreadable, and its text for that case."""

    pickled: bytes
    """Empty for a value that cannot be pickled."""
    text: str
    is_error: bool


def pack(value: Any) -> Any:
    """Return a value that can be pickled at any rate; see `unpack`."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return kind(map(pack, value))
    is_error = isinstance(value, BaseException)
    return Packed(_pickle(value), text_of(value) if is_error else show(value), is_error)


def unpack(value: Any, stand_in: Callable[[str], BaseException]) -> Any:
    """Return a packed value, or its text if it is lost; ``stand_in`` makes an error of the text of a lost error."""
    if isinstance(value, Packed):
        try:
            return pickle.loads(value.pickled)
        except Exception:  # a type whose __init__ does not take its args, or that this process cannot import
            return stand_in(value.text) if value.is_error else value.text
    if type(value) in (tuple, list):
        return type(value)(unpack(item, stand_in) for item in value)
    return value


def build(kind: type[E], args: tuple[Any, ...], attributes: dict[str, Any]) -> E:
    """Create an error with these arguments of its built-in base, and these attributes, without its own __init__."""
    error = kind.__new__(kind, *args)
    native: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    native.__init__(error, *args)
    error.__dict__.update(attributes)
    return error


def copy_deeply(value: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy of a value, or the value itself if it cannot be copied."""
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        return value


def _pickle(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception:
        return b""
