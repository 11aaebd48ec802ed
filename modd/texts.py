"""Texts of errors and values: each is made safely, because the text must not fail in place of the work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import dumps

_PLAIN = frozenset(" ._-()[]'=,/")
"""Characters without a meaning in Mermaid, besides letters and digits."""


_NOT_PLAIN_ASCII = re.compile(r"[^\n\x20-\x7e]")


def text_of(error: BaseException) -> str:
    """Return type and text of an error: a text that can be encoded, whatever the error is."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as failure:
        return f"{name}, whose text raises {type(failure).__name__}"
    return encodable(f"{name}: {text}" if text else name)


def encodable(text: str) -> str:
    """Return a text with half characters, which no encoding takes, written as escapes."""
    return text.encode(errors="backslashreplace").decode()


def escape_control(text: str) -> str:
    """Return a text with characters that control a terminal written as escapes; line breaks stay."""
    return _NOT_PLAIN_ASCII.sub(lambda match: match[0] if match[0].isprintable() else ascii(match[0])[1:-1], text)


def escape_json(text: str) -> str:
    """Return JSON with characters that control a terminal written as escapes of JSON: the same data."""
    return _NOT_PLAIN_ASCII.sub(lambda match: match[0] if match[0].isprintable() else dumps(match[0])[1:-1], text)


def errors_in(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and, for a group, the errors in it to any depth, each before the errors in it."""
    pending = [error]
    while pending:  # without recursion, because groups may be deeper than the stack
        each = pending.pop()
        yield each
        if isinstance(each, BaseExceptionGroup):
            pending += reversed(each.exceptions)


def notes_of(error: BaseException) -> list[str]:
    """Return the notes on an error as texts, whatever they are."""
    notes = getattr(error, "__notes__", ())
    return [note if isinstance(note, str) else show(note) for note in notes] if isinstance(notes, (list, tuple)) else []


def first_cause(error: BaseException) -> BaseException:
    """Return the first error in a group, however deep it is; any other error as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def show(value: object) -> str:
    """Return the repr of a value, or a text that names the error of its repr."""
    try:
        return encodable(repr(value))
    except Exception as failure:
        return f"<{type(value).__name__}, whose repr raised {type(failure).__name__}>"


def describe(value: object) -> str:
    """Return a text for a value: the name of a class, or the repr, shortened, with the type."""
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    text = show(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"


def amount(number: int, thing: str, things: str | None = None) -> str:
    """Return a number with its noun: ``1 message``, ``2_000 messages``. things: the plural; by default with an s."""
    return f"{number:_} {thing if number == 1 else things or f'{thing}s'}"


def full_name(type_: type) -> str:
    """Return module and qualified name of a type, to tell two types with the same name apart."""
    return f"{type_.__module__}.{type_.__qualname__}"


def explain_no_message(value: object) -> str:
    """Return the rest of a sentence about a value that should be a message."""
    if isinstance(value, type):
        return f"gave the class {value.__qualname__}; did you mean {value.__qualname__}()?"
    if hasattr(type(value), "message"):
        return f"gave {describe(value)}, which has a message and is none; send that, or give it to dispatch or ask"
    return f"gave {describe(value)}, which is not a message; derive its type from modd.Message and give an instance"


def escape_mermaid(text: str) -> str:
    """Replace characters with a meaning in Mermaid by character codes, and the first letter of the word ``end``."""
    codes = (char if char.isalnum() or char in _PLAIN else f"#{ord(char)};" for char in text)
    return re.sub(r"\be(?=nd\b)", "#101;", "".join(codes))
