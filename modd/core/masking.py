"""Texts for logs and errors: sensitive content is masked, and a value that cannot be shown raises no error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from modd.core.sensitive import fields_in, items_in, shows_secret
from modd.errors import ErrorGroup
from modd.texts import errors_in, show, text_of

_SHORTEST_SECRET = 4
"""Characters; a shorter text is no secret, and masking it would garble the text around it."""


def mask_secrets(text: str, message: Any) -> str:
    """Return a text, such as the text of an error, with ``***`` for the content of a message's sensitive fields."""
    return _mask(text, lambda: _secrets(message, len(text), hidden=False))


def mask_values(text: str, value: Any) -> str:
    """Return a text with ``***`` for every value in data, sensitive or not; names of fields stay."""
    return _mask(text, lambda: _values(value, len(text)))


def show_safely(show: Callable[[Any], str], value: Any) -> str:
    """Return the text that a function makes of a value, or a text that names its error."""
    try:
        return show(value)
    except Exception as error:  # a log line must not change the outcome of a dispatch
        return f"<{type(value).__qualname__} that cannot be shown: {type(error).__name__}>"


def error_text(error: BaseException, message: Any) -> str:
    """Return type and text of an error, without sensitive content of the message at hand."""
    return mask_error(text_of(error), error, message)


def error_repr(error: BaseException, message: Any) -> str:
    """Return the repr of an error, without sensitive content of the message at hand."""
    return mask_error(show(error), error, message)


def mask_error(text: str, error: BaseException, message: Any) -> str:
    """Return a text made of an error, without sensitive content of the message at hand and of the error itself."""
    for each in errors_in(error):
        if isinstance(each, ErrorGroup) and each.mask is not None:  # it knows the messages of the errors in it
            text = each.mask(text)
    return mask_secrets(text, (message, error))


def shown(value: Any) -> str:
    """Return the repr of a value, or ``***`` if the repr would show sensitive content."""
    return "***" if shows_secret(value) else show(value)


def _mask(text: str, find: Callable[[], Iterator[str]]) -> str:
    try:
        secrets = set(find())
    except Exception:  # the secrets cannot be found, so any part of the text may be one
        return "***"
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _secrets(value: Any, longest: int, hidden: bool) -> Iterator[str]:
    """Yield the texts of all sensitive content in a value that a text of this length may have in it."""
    fields = fields_in(value)
    for _, part, is_marked in fields:
        yield from _secrets(part, longest, hidden or is_marked)
    for item in () if fields else items_in(value):
        yield from _secrets(item, longest, hidden)
    if hidden and not isinstance(value, (bool, type(None))):
        yield from _texts(value, longest)


def _values(value: Any, longest: int) -> Iterator[str]:
    """Yield the texts of all values in data that a text of this length may have in it, without the names of fields."""
    fields = fields_in(value)
    if fields:
        items: Iterable[Any] = [part for _, part, _ in fields]
    else:
        items = value.values() if isinstance(value, dict) else items_in(value)
    for item in items:
        yield from _values(item, longest)
    if not (fields or isinstance(value, (bool, type(None), dict, list))):
        yield from _texts(value, longest)


def _texts(value: Any, longest: int) -> Iterable[str]:
    if isinstance(value, str):  # the repr of a long text would take long, and is no shorter than the text
        return (value.strip(),) if len(value) > longest else (value, value.strip(), repr(value)[1:-1])
    if isinstance(value, bytes):
        if len(value) > 4 * longest:  # a character has at most four bytes
            return ()
        return value.decode(errors="replace"), repr(value)[2:-1]
    if any(isinstance(item, (str, bytes)) and len(item) > longest for item in items_in(value)):
        return ()
    return str(value), repr(value)
