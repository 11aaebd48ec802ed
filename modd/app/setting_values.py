"""The values of settings: from the text of a variable to a value, by the type of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from math import isnan
from pathlib import PurePath
from types import NoneType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union

import msgspec

from modd.app.setting_types import COLLECTIONS, QUOTED, choice_text, members_of, type_with_example, value_text
from modd.checks import is_encodable
from modd.core import mask_values, misfit_of, take_apart
from modd.texts import amount, show

Reader: TypeAlias = Callable[[str], Any]
"""A function from the text of a variable to a value; it raises `Unfit`."""

T = TypeVar("T")

LONGEST = 80
"""The most characters of a value in an error."""

BOOLS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class Unfit(ValueError):
    """A text does not fit a type.

    problem: the end of a sentence about the text, without any of it.
    text: the part of the text that does not fit, None if it must not be shown.
    detail: the rest of the sentence, with names that come from the text.
    """

    def __init__(self, problem: str, text: str | None, detail: str = "") -> None:
        self.problem, self.text, self.detail = problem, text, detail
        super().__init__(problem)

    def sentence(self, *, is_secret: bool = False, is_file: bool = False) -> str:
        """Return the sentence for an error.

        is_secret: True to show nothing that comes from the text. is_file: True to show no part of it.
        """
        if is_secret:
            return self.problem
        shown = "" if is_file or self.text is None else f"{_shortened(self.text)} "
        return f"{shown}{self.problem}{self.detail}"


def read_setting(text: str, hint: Any) -> Any:
    """Return the value of a setting. Raises `Unfit`."""
    reader = _reader_of(hint)
    if reader is not None:
        return reader(text)
    return None if text == "" and NoneType in members_of(hint) else _read_json(text, hint)


def _reader_of(hint: Any) -> Reader | None:
    """Return the reader for a type, or for a type or None; None for a type that is read as JSON."""
    _, kind, args, metadata, _ = take_apart(hint)
    reader: Reader | None
    if kind is Union:
        reader = _optional_reader([each for each in args if take_apart(each).origin is not NoneType])
    elif kind in COLLECTIONS:
        reader = _collection_reader(kind, args)
    else:
        reader = _plain_reader(kind, args)
    limits = [mark for mark in metadata if isinstance(mark, msgspec.Meta)]
    return partial(_read_limited, reader, limits) if reader is not None and limits else reader


def _optional_reader(members: list[Any]) -> Reader | None:
    inner = _reader_of(members[0]) if len(members) == 1 else None
    return None if inner is None else partial(_read_optional, inner)


def _plain_reader(kind: Any, args: tuple[Any, ...]) -> Reader | None:
    if kind is Literal:
        return partial(_read_literal, args)
    if not isinstance(kind, type):
        return None
    return next((partial(read, kind) for base, read in PLAIN.items() if issubclass(kind, base)), None)


def _collection_reader(kind: Any, args: tuple[Any, ...]) -> Reader | None:
    """Return the reader of a collection with commas; None if its items are collections, or are read as JSON."""
    is_fixed = kind is tuple and bool(args) and args[-1] is not ...
    kinds = args if is_fixed else args[:1] or (str,)
    readers = [None if take_apart(each).origin in COLLECTIONS else _reader_of(each) for each in kinds]
    found = [reader for reader in readers if reader is not None]
    return partial(_read_items, kind, found, is_fixed) if len(found) == len(readers) else None


def _read_text(kind: type[str], text: str) -> str:
    if not is_encodable(text):
        raise Unfit("is not UTF-8", None)
    return _make(kind, text)


def _read_path(kind: type[PurePath], text: str) -> PurePath:
    if not text:
        raise Unfit(f"is no {kind.__name__}", text)
    return _make(kind, text)


def _read_bool(kind: type[bool], text: str) -> bool:
    try:
        return BOOLS[text.strip().lower()]
    except KeyError:
        raise Unfit("is no bool: 1 or 0, true or false, yes or no, on or off", text) from None


def _read_number(kind: Callable[[str], float], text: str) -> float:
    value = _make(kind, text)
    if isnan(value):
        raise Unfit(f"is no {kind.__name__}", text)
    return value


def _read_enum(kind: type[Enum], text: str) -> Enum:
    """Return the member with this text as its value, or else as its name."""
    for member in kind:
        if str(member.value) == text:
            return member
    if text in kind.__members__:
        return kind[text]
    raise _no_choice(map(choice_text, kind), text)


PLAIN: dict[type, Callable[[Any, str], Any]] = {
    Enum: _read_enum,
    bool: _read_bool,
    str: _read_text,
    int: _read_number,
    float: _read_number,
    PurePath: _read_path,
}
"""The readers of plain types: the first entry counts whose type it is, or is derived from."""


def _read_literal(values: tuple[Any, ...], text: str) -> Any:
    for value in values:
        reader = _plain_reader(type(value), ())
        try:
            if text == "" if value is None else reader is not None and reader(text) == value:
                return value
        except Unfit:
            continue
    raise _no_choice(map(value_text, values), text)


def _read_optional(reader: Reader, text: str) -> Any:
    return reader(text) if text else None


def _read_items(kind: Any, readers: list[Reader], is_fixed: bool, text: str) -> Any:
    texts = [item.strip() for item in text.split(",")] if text.strip() else []
    if is_fixed and len(texts) != len(readers):
        raise Unfit(f"needs {amount(len(readers), 'item')}, and has {len(texts)}", text)
    values = [read(item) for read, item in zip(readers if is_fixed else readers * len(texts), texts, strict=True)]
    if "" in values:
        raise Unfit("has an empty item", text)
    return kind(values)


def _read_limited(reader: Reader, limits: list[msgspec.Meta], text: str) -> Any:
    value = reader(text)
    if value is not None:
        try:
            msgspec.convert(value, Annotated[type(value), *limits])
        except msgspec.ValidationError as error:
            raise Unfit(f"is refused: {_expected(error)}", text) from None
    return value


def _read_json(text: str, hint: Any) -> Any:
    if not QUOTED.keys().isdisjoint(members_of(hint)) and text[:1] not in ('"', "n"):
        text = msgspec.json.encode(text).decode()
    try:
        msgspec.json.decode(text)  # before the types, else a beginning that does not fit would hide that it is no JSON
        return msgspec.json.decode(text, type=hint, dec_hook=_path_of)
    except msgspec.ValidationError as error:
        raise Unfit(f"does not fit {type_with_example(hint)}", None, _detail(error, text)) from None
    except (msgspec.DecodeError, ValueError, RecursionError):  # a ValueError for a text that cannot be encoded
        raise Unfit(f"is no JSON ({type_with_example(hint)})", None) from None


def _path_of(kind: Any, value: Any) -> Any:
    is_path = isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str)
    return kind(value) if is_path else value


def _detail(error: msgspec.ValidationError, text: str) -> str:
    path, _ = misfit_of(error, "")
    problem = _expected(error)
    if error.__cause__ is not None:  # a hook of the type made the text, perhaps of the value
        problem = mask_values(problem, msgspec.json.decode(text))
    return f": {path.lstrip('.')}: {problem}" if path else f": {problem}"


def _expected(error: Exception) -> str:
    _, text = misfit_of(error, "")
    return f"{text[:1].lower()}{text[1:]}"


def _make(kind: Callable[[str], T], text: str) -> T:
    try:
        return kind(text)
    except Exception:  # a class of the user may raise anything, with the text in it
        raise Unfit(f"is no {kind.__name__}{_cure(text)}", text) from None


def _no_choice(choices: Iterable[str], text: str) -> Unfit:
    return Unfit(f"is none of: {', '.join(choices)}", text)


def _cure(text: str) -> str:
    is_link = text.startswith("tcp://")
    return "; Kubernetes sets it for a Service: use another prefix, or enableServiceLinks: false" if is_link else ""


def _shortened(text: str) -> str:
    return show(text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...")
