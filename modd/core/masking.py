"""Texts for logs and errors: sensitive content is masked, and a value that cannot be shown raises no error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from traceback import format_exception
from typing import Any

from modd.core.sensitive import fields_in, items_in, shows_secret
from modd.errors import ErrorGroup
from modd.texts import encodable, errors_in, show, text_of

_SHORT = 4
"""Characters; a shorter secret is masked where it stands alone, because it may be part of any word."""


_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types of values without parts."""


_CONTAINERS = frozenset({list, tuple, set, frozenset, dict})
"""Types whose text has at least three characters for each item."""


def mask_secrets(text: str, message: Any, shortest: int = 1) -> str:
    """Return a text, such as the text of an error, with ``***`` for the content of a message's sensitive fields.

    shortest: the characters that a content must have to be masked.
    """
    return _mask(text, lambda: _secrets(message, len(text), hidden=False), shortest)


def mask_values(text: str, value: Any) -> str:
    """Return a text with ``***`` for every value in data, sensitive or not; names of fields stay."""
    return _mask(
        text, lambda: _values(value, len(text)), shortest=2
    )  # a digit alone is more often of the text than of the data


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


def log_error(
    logger: logging.Logger, text: str, *args: object, error: Exception, message: Any, level: int = logging.ERROR
) -> None:
    """Log an error with its traceback; without sensitive content of the message at hand, as a part of the text then."""
    try:
        trace = "".join(format_exception(error))
        masked = encodable(mask_error(trace, error, message))
    except Exception:
        trace, masked = "", error_text(error, message)
    if masked == trace:
        logger.log(level, text, *args, exc_info=error)
    else:  # not as `exc_info`, of which a handler of logs makes a text of its own
        logger.log(level, f"{text}\n%s", *args, masked.rstrip())


def shown(value: Any) -> str:
    """Return the repr of a value, or ``***`` if the repr would show sensitive content."""
    return "***" if shows_secret(value) else show(value)


def _mask(text: str, find: Callable[[], Iterator[str]], shortest: int) -> str:
    try:
        secrets = {secret for secret in find() if len(secret) >= shortest and secret in text and not secret.isspace()}
    except Exception:  # the secrets cannot be found, so any part of the text may be one
        return "***"
    return _covered(text, secrets) if secrets else text


def _covered(text: str, secrets: set[str]) -> str:
    """Return a text with ``***`` for each run of secrets that overlap: one pass, however many secrets there are."""
    lengths: dict[str, set[int]] = {}
    for secret in secrets:
        lengths.setdefault(secret[:_SHORT], set()).add(len(secret))
    first_letters = {secret[0] for secret in secrets}
    pieces: list[str] = []
    end = 0
    for start, letter in enumerate(text):
        ends = _ends_at(text, start, lengths, secrets) if letter in first_letters else ()
        if start >= end:
            pieces.append("***" if ends else letter)
        if ends:
            end = max(end, *ends)
    return "".join(pieces)


def _ends_at(text: str, start: int, lengths: Mapping[str, set[int]], secrets: set[str]) -> Sequence[int]:
    """Return the ends of the secrets that begin at a position of a text."""
    return [
        start + length
        for size in range(1, _SHORT + 1)
        for length in lengths.get(text[start : start + size], ())
        if text[start : start + length] in secrets and (length >= _SHORT or _stands_alone(text, start, start + length))
    ]


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return True if no letter or digit is next to a part of a text."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def _secrets(value: Any, longest: int, hidden: bool) -> Iterator[str]:
    """Yield the texts of all sensitive content in a value that a text of this length may have in it."""
    if type(value) in (list, tuple) and _PLAIN.issuperset(map(type, value)):  # a quick way for thousands of values
        if hidden:
            yield from _plain_texts(value, longest)
            yield from _texts(value, longest)
        return
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


def _plain_texts(values: Iterable[Any], longest: int) -> Iterator[str]:
    """Yield what `_texts` returns for each of many plain values, but not for True, False and None."""
    for value in values:
        if type(value) is not str:
            if value is not None and type(value) is not bool:
                yield str(value)
        elif len(value) <= longest and value.isalnum():  # its repr and its stripped text are itself
            yield value
        else:
            yield from _texts(value, longest)


def _texts(value: Any, longest: int) -> Iterable[str]:
    if isinstance(value, str):  # the repr of a long text would take long, and is no shorter than the text
        return (value.strip(),) if len(value) > longest else (value, value.strip(), repr(value)[1:-1])
    if isinstance(value, bytes):
        if len(value) > 4 * longest:  # a character has at most four bytes
            return ()
        return value.decode(errors="replace"), repr(value)[2:-1]
    if type(value) in _CONTAINERS and 3 * len(value) > longest:
        return ()
    if any(isinstance(item, (str, bytes)) and len(item) > longest for item in items_in(value)):
        return ()
    return str(value), repr(value)
