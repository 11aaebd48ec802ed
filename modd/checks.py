"""Checks of options: each returns the value, or raises `InvalidOption` with the cure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import signature
from math import inf
from typing import Any, TypeVar

from modd.errors import InvalidOption

T = TypeVar("T")


def checked_name(name: Any) -> str:
    """Return a name that is a text and not empty."""
    if not isinstance(name, str) or not name:
        raise InvalidOption("name", name, "give a text that is not empty")
    return name


def checked_text(option: str, value: Any, cure: str = "give a text") -> str:
    """Return a text that stores and codecs can encode."""
    if not isinstance(value, str):
        raise InvalidOption(option, value, cure)
    if not is_encodable(value):
        raise InvalidOption(
            option, value, f"{cure}; this one has half characters (lone surrogates), which cannot be encoded"
        )
    return value


def checked_limit(limit: Any) -> int | None:
    """Return the limit of a turn: a positive number of messages, or None."""
    if limit is not None and not is_count(limit):
        raise InvalidOption("limit", limit, "give the most messages of a turn, at least 1, or None for no limit")
    return limit  # type: ignore[no-any-return]


def checked_callable(option: str, value: Any, cure: str = "give a function", arguments: int | None = None) -> Any:
    """Return a value that can be called, with a number of arguments if one is named."""
    if not callable(value):
        raise InvalidOption(option, value, cure)
    if arguments is not None:
        try:
            signature(value).bind(*[None] * arguments)
        except TypeError as error:
            raise InvalidOption(option, value, f"{cure} ({error})") from None
        except ValueError:  # some builtins have no signature
            pass
    return value


def checked_list(option: str, values: Any) -> Any:
    """Return values that come as a list, or as any other iterable: a single one does not count."""
    if callable(values) or not isinstance(values, Iterable):
        raise InvalidOption(option, values, "give a list")
    return values


def checked_methods(option: str, value: Any, methods: Iterable[str], cure: str, *, attribute: str = "") -> Any:
    """Return an object that has these methods; a class does not count.

    attribute: the attribute of a store that is such an object; the cure names it if ``value`` is the store itself.
    """
    methods = tuple(methods)
    if has_methods(value, methods):
        return value
    if attribute and has_methods(getattr(value, attribute, None), methods):
        cure = f"this is a store; give store.{attribute}"
    raise InvalidOption(option, value, cure)


def has_methods(value: Any, methods: Iterable[str]) -> bool:
    """True if the value is an object, not a class, with all these methods."""
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in methods)


def checked_subclasses(
    option: str, value: Any, base: type[T], *, single: bool = False, least: int = 0, unique: bool = False
) -> tuple[type[T], ...]:
    """Return types that are derived from ``base``, as a tuple.

    single: accept one type in place of a list. least: the smallest number of types. unique: refuse a type given twice.
    """
    listed = isinstance(value, Iterable) and not isinstance(value, (str, bytes, type))
    types: tuple[Any, ...] = tuple(value) if listed else (value,)
    if not (listed or single) or not all(isinstance(kind, type) and issubclass(kind, base) for kind in types):
        cure = "give a message type, or a list of them" if single else "give a list of message types"
        raise InvalidOption(option, value, cure)
    if len(types) < least:
        raise InvalidOption(option, value, f"name at least {least} message type{'s' * (least > 1)}")
    if unique and len(set(types)) < len(types):
        raise InvalidOption(option, value, "name each message type once")
    return types


def checked_choice(option: str, value: Any, choices: Sequence[str]) -> Any:
    """Return one of some texts."""
    if not (isinstance(value, str) and value in choices):
        raise InvalidOption(option, value, f"give one of: {', '.join(map(repr, choices))}")
    return value


def checked_flag(option: str, value: Any) -> bool:
    """Return a value that is True or False."""
    if not isinstance(value, bool):
        raise InvalidOption(option, value, "give True or False")
    return value


def checked_delay(option: str, value: Any, wanted: str = "give seconds, 0 or more") -> float:
    """Return a number of seconds, 0 or more."""
    if not (is_number(value) and 0 <= value < inf):
        raise InvalidOption(option, value, wanted)
    return float(value)


def checked_span(option: str, value: Any) -> float:
    """Return a number of seconds, more than 0."""
    if not (is_number(value) and 0 < value < inf):
        raise InvalidOption(option, value, "give seconds, more than 0")
    return float(value)


def checked_count(option: str, value: Any) -> int:
    """Return a whole number, at least 1."""
    if not is_count(value):
        raise InvalidOption(option, value, "give a whole number, at least 1")
    return value  # type: ignore[no-any-return]


def checked_whole(option: str, value: Any) -> int:
    """Return a whole number, 0 or more."""
    if not (value == 0 and type(value) is int) and not is_count(value):
        raise InvalidOption(option, value, "give a whole number, 0 or more")
    return value  # type: ignore[no-any-return]


def check_headers(headers: Any) -> None:
    """Raise `InvalidOption` unless the headers are a dict of texts.

    The error names types only, because a value may be a secret. Headers are checked when an item is made: a consumer
    that could not read them would stop at this item and block the items behind it.
    """
    if not isinstance(headers, dict):
        raise InvalidOption("headers", type(headers), "give a dict of texts")
    try:
        joined = "".join([*headers, *headers.values()])  # all at once, in a quarter of the time
    except TypeError:
        kinds = {type(name): type(value) for name, value in headers.items() if not _are_texts(name, value)}
        raise InvalidOption("headers", kinds, "give texts for names and values") from None
    if not (joined.isascii() or is_encodable(joined)):
        raise InvalidOption("headers", type(headers), "give texts without half characters (lone surrogates)")


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def is_encodable(text: str) -> bool:
    """True if a text has no half characters (surrogates), as ``os.fsdecode`` and broken JSON make them."""
    if text.isascii():  # most are, and this takes no time
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_count(value: object) -> bool:
    """True if the value is a whole number, at least 1; a bool is no number."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_number(value: object) -> bool:
    """True if the value is a number; a bool is no number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
