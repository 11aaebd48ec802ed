"""Checks of content: a predicate, a type, or a JSON schema, as a function that returns the parts that are not valid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from inspect import isawaitable
from types import UnionType
from typing import Any, TypeAlias, get_origin

import msgspec

from modd.checks import checked_callable
from modd.core import Message, mask_values, misfit_of, take_apart
from modd.errors import InvalidOption, MissingExtra
from modd.middleware.type_check import NATIVE, Misfits
from modd.texts import text_of

Check: TypeAlias = Callable[[Any, str], Misfits | Awaitable[Misfits]]
"""Takes a value and its path, and returns the parts that are not valid; sync or async."""


def compile_check(option: str, value: Any, owner: str = "a Validator") -> Check:
    """Return the check for the value of an option. Raises `InvalidOption`, `MissingExtra`.

    owner: the part that wants a JSON schema, in the text of `MissingExtra`.
    """
    if isinstance(value, Mapping):
        return _schema_check(option, value, owner)
    if isinstance(value, (type, UnionType)) or get_origin(value) is not None or take_apart(value).bare is not value:
        return _type_check(option, value)
    cure = "give a predicate, a type for msgspec, a JSON schema as a mapping, or None"
    return _predicate_check(checked_callable(option, value, cure))


def _predicate_check(predicate: Callable[[Any], Any]) -> Check:
    async def check(value: Any, path: str) -> Misfits:
        try:
            fits = predicate(value)
            if isawaitable(fits):
                fits = await fits
        except Exception as error:
            return [(path, mask_values(text_of(error), value))]
        return [] if fits else [(path, "it is not valid")]

    return check


def _type_check(option: str, kind: Any) -> Check:
    try:
        msgspec.json.Decoder(kind)
    except TypeError as error:
        raise InvalidOption(option, kind, f"give a type that msgspec can convert to: {error}") from None

    def check(value: Any, path: str) -> Misfits:
        try:
            msgspec.convert(_content(value, NATIVE), kind, builtin_types=NATIVE)
        except (msgspec.ValidationError, TypeError) as error:
            where, text = misfit_of(error, path)
            return [(where, text if error.__cause__ is None else mask_values(text, value))]
        return []

    return check


def _schema_check(option: str, schema: Mapping[str, Any], owner: str) -> Check:
    try:
        jsonschema = import_module("jsonschema_rs")
    except ImportError:
        raise MissingExtra(f"a JSON schema in {owner}", "jsonschema") from None
    try:  # mask: error texts show "value" in place of the value, which may be a secret
        validator = jsonschema.validator_for(dict(schema), mask="value", retriever=_refuse_reference)
    except ValueError as error:
        raise InvalidOption(option, schema, f"give a valid JSON schema: {error}") from None

    def check(value: Any, path: str) -> Misfits:
        try:
            errors = validator.iter_errors(_content(value))
        except (TypeError, ValueError) as error:
            return [(path, mask_values(str(error), value))]
        return [(_path(path, error.instance_path), error.message) for error in errors]

    return check


def _content(value: Any, native: tuple[type, ...] = ()) -> Any:
    """Return the content of a message or result as plain values, without the name of the message type."""
    content = msgspec.to_builtins(value, builtin_types=native, str_keys=not native)
    if isinstance(value, Message):
        del content[value.__struct_config__.tag_field]
    return content


def _path(start: str, steps: list[str | int]) -> str:
    return start + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _refuse_reference(address: str) -> Any:
    raise ValueError(f"references are not followed: {address}")
